// Package coordinator carries out get, put and delete for a key (§4.5): it finds
// the key's owners, passes the request on if this node is none of them, and
// otherwise reads or writes its own copy, asks the other owners, and answers as
// soon as a quorum has. For an owner that is down, fails or takes too long the
// next healthy node clockwise stands in, with a hint (§4.6); copies that a get
// finds stale are brought up to date (§5).
//
// Nothing here waits: a request is started by one goroutine and carried on by
// the answers as they come in, each in the goroutine that brought it. So a
// request costs no goroutine, and a slow replica holds nothing up but itself.
package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Local is the node's own copies (package replica).
type Local interface {
	// ReadUnder returns with the object the floor of its copy, and its version.
	// It refuses, as Put does, with KindStaleRing what was planned at a level
	// that the copy no longer serves.
	ReadUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error)
	Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error)
	// PeekUnder is ReadUnder, and TryPut is Put, for a caller that must not wait for
	// the disk: the error is storage.ErrWaits where they would have to.
	PeekUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error)
	TryPut(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error)
	Merge(p kv.Partition, k kv.Key, in object.Object, floor vclock.Floor, durable storage.Waiter) error
	// Floor is that of the node's copy of p, with its version.
	Floor(p kv.Partition) (vclock.Floor, uint64)
	KeysPage(level kv.Level, m wire.ListKeys) (wire.KeysPage, error)
}

// Hints are what the node keeps for owners that it stands in for (package
// replica). Put and Merge are as those of Local, for the hint record of owner.
type Hints interface {
	PutHint(level kv.Level, owner kv.NodeID, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error)
	MergeHint(owner kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error
	// ReadHints appends the merge of all hints of k to buf.
	ReadHints(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error)
}

// Peers reaches the other nodes (package transport).
type Peers interface {
	// Call is as wire.Completion describes.
	Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32)
	// Up tells whether a peer answers, as far as this node knows (§4.8.3).
	Up(id kv.NodeID) bool
	// Latency is a peer's usual time to answer, 0 when unknown; Tail is what all
	// but one in a hundred of its answers to reads take.
	Latency(id kv.NodeID) time.Duration
	Tail(id kv.NodeID) time.Duration
}

// Cluster is what the node knows of its cluster (package membership).
type Cluster interface {
	// Current is nil before the node has a ring. Its level for a partition is
	// never below what the node's own copy refuses for being too old, or will
	// get there. It costs next to nothing.
	Current() *ring.Current
	// Props returns a bucket's properties, none of them kv.Unset but DW.
	Props(bucket []byte) kv.Props
	// Skew is how far this node's clock is ahead of its peers' median.
	Skew() time.Duration
	// Outdated is an error of KindWrongVersion while a node of the ring cannot read
	// a value that expires, or that has something beside it.
	Outdated() *kv.Error
	// Refresh asks for the state of a peer that knows more of the ring, and
	// returns at once; Coordinator.Moved is called when something came of it.
	Refresh(from kv.NodeID)
	// Sealer seals and opens contexts under the cluster's key; nil before the
	// node has a ring.
	Sealer() *object.Sealer
}

// Stats counts what becomes of requests; its methods must be quick.
type Stats interface {
	// GetDone and PutDone are told how a get, and a put or delete, ended.
	GetDone(Ended)
	PutDone(Ended)
	// Forwarded is told of a request that was passed on, ForwardDone how one ended
	// that no other node counts, or failed before any did.
	Forwarded()
	ForwardDone(metrics.Op, Ended)
	// Sampled is told of a put out of many that is followed on: of owners had have
	// acknowledged when it is answered. Acknowledged is told of each other of them
	// that does, how long after the answer.
	Sampled(owners, had int)
	Acknowledged(after time.Duration)
	// StaleRing is told of a message to another node that was refused because
	// the two nodes' rings differ.
	StaleRing()
	// StandIn is told of each write that a stand-in, perhaps this node itself,
	// has taken for an owner.
	StandIn()
	// Hedge is told of gets that took too long.
	Hedge(hedge.Event)
	// Repaired is told how many copies a get has brought up to date.
	Repaired(copies int)
	// Truncated is told how many clock entries the cap dropped in a put.
	Truncated(entries int)
}

// Ended is how a request ended at its coordinator.
type Ended struct {
	// Key is what it was for, nil if that was not even read; its bytes are borrowed.
	Key  kv.Key
	Took time.Duration
	// Inner tells that it was part of a request that is counted elsewhere: at the
	// node that passed it on, or as a delete.
	Inner bool
	// Stage is what took most of the time, Peer the node that was waited for there,
	// 0 for none.
	Stage metrics.Cause
	Peer  kv.NodeID
	// Asked is the number of slots, Answered how many of them had been answered
	// by then; both are 0 for a request that was refused at once.
	Asked, Answered int
	// Siblings is the number of live values that a get found.
	Siblings int
	// Err is nil for success.
	Err error
}

// Deps are what a Coordinator works with; all but Soon, Alarm and Admit are needed.
type Deps struct {
	Self    kv.NodeID
	Local   Local
	Hints   Hints
	Peers   Peers
	Cluster Cluster
	Stats   Stats
	// Now is the wall clock.
	Now func() time.Time
	// Soon has what was written to Local and Hints made durable in a little while, for
	// writes that nobody waits for (§6.1): it is called for each, by all at once.
	// Without it that is when the node flushes anyway.
	Soon func()
	// Alarm has Coordinator.Hedge called when a time has passed, in the place of
	// what it was told before. Without it no get is hedged.
	Alarm func(time.Duration)
	// Admit, if set, tells whether a request may begin whose door does not know how
	// long it has waited.
	Admit func() bool
}

// Coordinator carries out requests. It is safe for concurrent use.
type Coordinator struct {
	Deps
	cfg      Config
	waiting  atomic.Int64
	parked   atomic.Int64
	busy     chan struct{}
	began    time.Time
	alarm    atomic.Int64 // when it rings, since began
	budget   hedge.Budget
	book     peerBook
	flights  [16]flights
	next     atomic.Uint32
	puts     sync.Pool
	gets     sync.Pool
	forwards sync.Pool
}

// New returns a Coordinator. The configuration has been validated.
func New(cfg Config, deps Deps) *Coordinator {
	c := &Coordinator{Deps: deps, cfg: cfg, busy: make(chan struct{}, 1), began: deps.Now()}
	c.alarm.Store(noAlarm)
	c.puts.New = func() any { return newPut(c) }
	c.gets.New = func() any { return newGet(c) }
	c.forwards.New = func() any { return newForward(c) }
	return c
}

// InFlight tells how many requests wait for their outcome.
func (c *Coordinator) InFlight() int { return int(c.waiting.Load()) }

// Busy gives a token when requests come to be in flight after none was, so that
// whoever calls Expire may sleep while there are none. It may give one too many,
// of earlier.
func (c *Coordinator) Busy() <-chan struct{} { return c.busy }

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
	// Forwarded tells that another node passed the request on, StandIn that this
	// one is to coordinate it though it may be no owner.
	Forwarded, StandIn bool
	// From is the node that passed it on, Level the one at which it did.
	From  kv.NodeID
	Level kv.Level
	// Deadline, if set, takes the place of Options.Timeout.
	Deadline time.Time

	// admitted tells that the request is part of one that was let in, timed that how
	// long it has waited is known, and was little enough, seen that its context was
	// made here a moment ago, and fetched that its record had to be read from the disk.
	admitted, timed, seen, fetched bool
	// retries is how often it was tried again without news of the ring.
	retries int
	// carried is what OmitRestart keeps.
	carried *carried
	// inner tells that it is part of a request that is counted elsewhere, prior what
	// a request that comes again has waited for.
	inner bool
	prior metrics.Cause
}

// Get starts a get.
func (c *Coordinator) Get(req Request, to Receiver) { c.get(&req, c.Now(), to) }

// Put starts a put, or a delete.
func (c *Coordinator) Put(req Request, to Receiver) { c.put(&req, c.Now(), to) }

// get starts a get that came at start, put a put: perhaps once more, after the
// ring has changed.
func (c *Coordinator) get(req *Request, start time.Time, to Receiver) {
	c.tryGet(req, start, to, false)
}

func (c *Coordinator) put(req *Request, start time.Time, to Receiver) {
	c.tryPut(req, start, to, false)
}

// tryGet is get, tryPut put, perhaps for a caller that must not wait for the disk,
// which is prompt: where the request would have to it is not begun, to is told
// nothing, and they return false.
func (c *Coordinator) tryGet(req *Request, start time.Time, to Receiver, prompt bool) (done bool) {
	var p plan
	if err := c.plan(&p, wire.TypeGet, req, start); err != nil {
		c.Stats.GetDone(refusedAtOnce(req, err))
		to.Receive(wire.Answer{}, err)
		return true
	}
	if p.here() {
		return c.coordinateGet(&p, start, to, prompt)
	}
	c.forward(&p, 0, start, to, nil)
	return true
}

func (c *Coordinator) tryPut(req *Request, start time.Time, to Receiver, prompt bool) (done bool) {
	var p plan
	ctx, err := c.planPut(&p, req, start)
	switch {
	case err != nil:
		c.Stats.PutDone(refusedAtOnce(req, err))
		to.Receive(wire.Answer{}, err)
	case !p.here():
		c.forward(&p, ctx.Fastest, start, to, nil)
	case req.Update.Deleted && len(req.Update.Context) == 0:
		return c.deleteSeen(&p, start, to, prompt)
	default:
		return c.coordinatePut(&p, ctx, start, to, prompt)
	}
	return true
}
