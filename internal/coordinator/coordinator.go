// Package coordinator carries out get, put and delete for a key (§4.5): it finds
// the key's owners, passes the request on if this node is none of them, and
// otherwise reads or writes its own copy, asks the other owners, and answers as
// soon as a quorum has.
//
// Nothing here waits: a request is started by one goroutine and carried on by
// the answers as they come in, each in the goroutine that brought it. So a
// request costs no goroutine, and a slow replica holds nothing up but itself.
package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Local is the node's own copies (package replica).
type Local interface {
	Read(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error)
	Put(epoch uint64, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error)
	KeysPage(m wire.ListKeys) (wire.KeysPage, error)
}

// Peers reaches the other nodes (package transport).
type Peers interface {
	// Call is as wire.Completion describes.
	Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32)
	// Up tells whether a peer answers, as far as this node knows (§4.8.3).
	Up(id kv.NodeID) bool
	// Latency is a peer's usual time to answer, 0 when unknown.
	Latency(id kv.NodeID) time.Duration
}

// Cluster is what the node knows of its cluster (package membership).
type Cluster interface {
	// Ring is nil before the node has one.
	Ring() *ring.Ring
	// Props returns a bucket's properties, none of them kv.Unset but DW.
	Props(bucket []byte) kv.Props
	// Skew is how far this node's clock is ahead of its peers' median.
	Skew() time.Duration
	// Refresh asks for the state of a peer whose ring is newer.
	Refresh(from kv.NodeID)
	// Sealer seals and opens contexts under the cluster's key; nil before the
	// node has a ring.
	Sealer() *object.Sealer
}

// Stats counts what becomes of requests. Its methods are called once for each
// request that this node coordinates or passes on, and must be quick.
type Stats interface {
	// GetDone and PutDone are told how a get, and a put or delete, ended.
	GetDone(Ended)
	PutDone(Ended)
	// Forwarded is told of a request that was passed on to an owner.
	Forwarded()
	// StaleRing is told of a forwarded request that was refused because the
	// two nodes' rings differ.
	StaleRing()
	// Truncated is told how many clock entries the cap dropped in a put.
	Truncated(entries int)
}

// Ended is how a request ended at its coordinator.
type Ended struct {
	Took time.Duration
	// Asked is the number of owners, Answered how many of them had answered by
	// then; both are 0 for a request that was refused at once.
	Asked, Answered int
	// Siblings is the number of live values that a get found.
	Siblings int
	// Err is nil for success.
	Err error
}

// Config bounds the coordinator.
type Config struct {
	// MaxInFlight is the number of requests that may wait for answers at once;
	// one more is refused with KindOverloaded. Each holds a few KiB and its
	// value.
	MaxInFlight int
	// MaxSkew is how far this node's clock may be from its peers' before it
	// stops coordinating lww writes.
	MaxSkew time.Duration
	// MaxClock caps the entries of a clock (object.MaxClock).
	MaxClock int
}

// Default returns the values that fit most clusters.
func Default() Config {
	return Config{MaxInFlight: 16384, MaxSkew: clock.DefaultMaxSkew, MaxClock: object.MaxClock}
}

// Validate returns an error of KindInvalid that names the field.
func (c Config) Validate() error {
	switch {
	case c.MaxInFlight < 1:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxInFlight %d is less than 1", c.MaxInFlight)
	case c.MaxSkew <= 0:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxSkew %v is not positive", c.MaxSkew)
	case c.MaxClock < 1 || c.MaxClock > 4096:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxClock %d is not within 1 to 4096", c.MaxClock)
	}
	return nil
}

// Deps are what a Coordinator works with; all are needed.
type Deps struct {
	Self    kv.NodeID
	Local   Local
	Peers   Peers
	Cluster Cluster
	Stats   Stats
	// Now is the wall clock.
	Now func() time.Time
}

// Coordinator carries out requests. It is safe for concurrent use.
type Coordinator struct {
	Deps
	cfg      Config
	waiting  atomic.Int64
	flights  [16]flights
	next     atomic.Uint32
	puts     sync.Pool
	gets     sync.Pool
	forwards sync.Pool
}

// New returns a Coordinator. The configuration has been validated.
func New(cfg Config, deps Deps) *Coordinator {
	c := &Coordinator{Deps: deps, cfg: cfg}
	c.puts.New = func() any { return newPut(c) }
	c.gets.New = func() any { return newGet(c) }
	c.forwards.New = func() any { return newForward(c) }
	return c
}

// InFlight tells how many requests wait for their outcome.
func (c *Coordinator) InFlight() int { return int(c.waiting.Load()) }

// Receiver is told the outcome of a request, once, perhaps before the call that
// started it returns, from any goroutine. The answer's bytes are valid until
// Receive returns. It must not block.
type Receiver interface {
	Receive(a wire.Answer, err error)
}

// Request is one get, put or delete. Its slices are borrowed until the call
// that takes it returns.
type Request struct {
	Key kv.Key
	// Options are those that the client gave; the bucket's defaults fill them.
	Options kv.Options
	// Update is the write, unused in a get.
	Update object.Update
	// Forwarded tells that another node passed the request on.
	Forwarded bool
	// Deadline, if set, takes the place of Options.Timeout.
	Deadline time.Time
}

// plan is a request after its options and its place on the ring are known.
type plan struct {
	Request
	// given are the options as the client gave them; Request's are resolved
	// against this node's view, which another node may not share.
	given     kv.Options
	props     kv.Props
	ring      *ring.Ring
	partition kv.Partition
	owners    []kv.NodeID
	own       bool
}

// Get starts a get.
func (c *Coordinator) Get(req Request, to Receiver) {
	start := c.Now()
	p, err := c.plan(req, start)
	if err != nil {
		c.Stats.GetDone(Ended{Err: err})
		to.Receive(wire.Answer{}, err)
		return
	}
	if p.own {
		c.coordinateGet(p, start, to)
		return
	}
	c.forward(wire.TypeGet, p, 0, start, to)
}

// Put starts a put, or a delete.
func (c *Coordinator) Put(req Request, to Receiver) {
	start := c.Now()
	p, ctx, err := c.planPut(req, start)
	switch {
	case err != nil:
		c.Stats.PutDone(Ended{Err: err})
		to.Receive(wire.Answer{}, err)
	case !p.own:
		c.forward(wire.TypePut, p, ctx.Fastest, start, to)
	case req.Update.Deleted && len(req.Update.Context) == 0:
		c.deleteSeen(p, start, to)
	default:
		c.coordinatePut(p, ctx, start, to)
	}
}

// plan checks a request and finds its place. Its errors mean that nothing was
// applied.
func (c *Coordinator) plan(req Request, now time.Time) (plan, error) {
	p := plan{Request: req, given: req.Options, ring: c.Cluster.Ring()}
	if p.ring == nil || c.Cluster.Sealer() == nil {
		return p, kv.Errorf(kv.KindUnavailable, "coordinate", "this node is not in a ring yet")
	}
	if c.waiting.Load() >= int64(c.cfg.MaxInFlight) {
		return p, kv.Errorf(kv.KindOverloaded, "coordinate", "%d requests wait for answers", c.cfg.MaxInFlight)
	}
	p.props = c.Cluster.Props(req.Key.Bucket())
	var err error
	if p.Options, err = req.Options.Resolve(p.ring.Params().N, p.props.Quorums); err != nil {
		return p, err
	}
	if p.Deadline.IsZero() {
		p.Deadline = now.Add(p.Options.Timeout)
	}
	if longest := now.Add(kv.MaxTimeout); p.Deadline.After(longest) {
		p.Deadline = longest
	}
	p.partition = p.ring.PartitionOf(req.Key)
	p.owners = p.ring.Owners(p.partition)
	p.own = p.ring.Owns(p.partition, c.Self)
	if !p.own && req.Forwarded {
		return p, kv.Errorf(kv.KindStaleRing, "coordinate", "partition %d is not this node's in epoch %d", p.partition, p.ring.Epoch())
	}
	n := int8(len(p.owners))
	p.Options.R, p.Options.W, p.Options.DW = min(p.Options.R, n), min(p.Options.W, n), min(p.Options.DW, n)
	return p, nil
}

func (c *Coordinator) planPut(req Request, now time.Time) (plan, object.Context, error) {
	u := req.Update
	switch {
	case len(u.Value) > kv.MaxValue:
		return plan{}, object.Context{}, kv.Errorf(kv.KindTooLarge, "put", "the value has %d bytes, the limit is %d", len(u.Value), kv.MaxValue)
	case len(u.ContentType) > kv.MaxContentType:
		return plan{}, object.Context{}, kv.Errorf(kv.KindTooLarge, "put", "the content type has %d bytes, the limit is %d", len(u.ContentType), kv.MaxContentType)
	case u.Deleted && len(u.Value)+len(u.ContentType) > 0:
		return plan{}, object.Context{}, kv.Errorf(kv.KindInvalid, "delete", "a delete has no value")
	}
	p, err := c.plan(req, now)
	if err != nil {
		return p, object.Context{}, err
	}
	ctx, err := c.Cluster.Sealer().Open(u.Context)
	if err != nil {
		return p, ctx, err
	}
	if p.own && p.props.Merge == kv.MergeLWW {
		if err := clock.CheckSkew(c.Cluster.Skew(), c.cfg.MaxSkew); err != nil {
			return p, ctx, err
		}
		if err := clock.CheckSeen(kv.TimeOf(now), ctx.Time, c.cfg.MaxSkew); err != nil {
			return p, ctx, err
		}
	}
	return p, ctx, nil
}

// reachable returns an error of KindUnavailable when fewer than need of p's
// owners answer, so that a request which cannot succeed fails at once, before
// anything was done.
func (c *Coordinator) reachable(op string, p plan, need int8) error {
	up := int8(0)
	for _, id := range p.owners {
		if id == c.Self || c.Peers.Up(id) {
			up++
		}
	}
	if up < need {
		return kv.Errorf(kv.KindUnavailable, op, "%d of %d owners can be reached, %d are needed", up, len(p.owners), need)
	}
	return nil
}

func errDown(id kv.NodeID) error {
	return &kv.Error{Op: "ask", Kind: kv.KindUnavailable, Node: id}
}
