package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// pollEvery is how often the ring is asked for, give or take a tenth, so that
	// clients that began at once do not stay in step; pollSoon while nobody could
	// tell it.
	pollEvery = 10 * time.Second
	pollSoon  = time.Second
	// askEvery is the least time between two questions, however many answers tell
	// of a newer ring.
	askEvery = 100 * time.Millisecond
	// ringTimeout bounds one question, and how long Dial waits for the first.
	ringTimeout = time.Second
	// maxMembers bounds the nodes to which the client connects besides those it
	// was given. Requests for the keys of others are passed on by one of them.
	maxMembers = 256
)

// keeper learns the ring, and keeps connections to those of its nodes that
// requests go to. Its goroutine is run.
type keeper struct {
	client *Client
	cfg    config
	seeds  []*link
	wake   chan struct{}
	// stale tells that there is reason to ask for the ring at once, teller, if
	// set, whose answer said so.
	stale  atomic.Bool
	teller atomic.Pointer[lane]
	// first is closed once the ring was asked for.
	first chan struct{}
	once  sync.Once

	// What follows is run's alone. Hash is that of the ring that was read last,
	// asked is when.
	hash  uint64
	asked time.Time
	turn  int
	links map[kv.NodeID]*learned
}

// learned is a link to a node of which the ring told.
type learned struct {
	addr   string
	cancel context.CancelFunc
}

func newKeeper(c *Client, cfg config, seeds []*link) *keeper {
	return &keeper{
		client: c, cfg: cfg, seeds: seeds, wake: make(chan struct{}, 1), first: make(chan struct{}),
		links: map[kv.NodeID]*learned{},
	}
}

// await waits until the ring was asked for once, or ctx ends.
func (k *keeper) await(ctx context.Context) {
	t := time.NewTimer(ringTimeout)
	defer t.Stop()
	select {
	case <-k.first:
	case <-t.C:
	case <-ctx.Done():
	}
}

// want notes that a request would have gone to m, had there been a connection.
func (k *keeper) want(m *member) {
	if !m.wanted.Load() && !m.wanted.Swap(true) {
		k.nudge()
	}
}

// refresh has the ring asked for at once, first of who knows better.
func (k *keeper) refresh(from *lane) {
	if !k.stale.Load() && !k.stale.Swap(true) {
		k.teller.Store(from)
		k.nudge()
	}
}

// attempted is told that a given address was connected to, or could not be.
func (k *keeper) attempted(err error) {
	if err == nil && k.client.route.Load() == nil {
		k.stale.Store(true)
	}
	k.nudge() // if it failed, there may be another way to that node
}

// nudge has run look what there is to do.
func (k *keeper) nudge() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run polls the ring, and starts and stops links, until ctx ends. The links end
// with ctx.
func (k *keeper) run(ctx context.Context) {
	due := time.Now().Add(pollSoon)
	for ctx.Err() == nil {
		next := due
		if may := k.asked.Add(askEvery); k.stale.Load() && may.Before(due) {
			next = may
		}
		if !time.Now().Before(next) {
			due = time.Now().Add(k.ask(ctx))
			continue
		}
		k.connect(ctx)
		k.doze(ctx, time.Until(next))
	}
}

// doze waits for d, or until nudged, or until ctx ends.
func (k *keeper) doze(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-k.wake:
	case <-ctx.Done():
	}
}

// ask asks for the ring, and returns when to do so next.
func (k *keeper) ask(ctx context.Context) time.Duration {
	k.stale.Store(false)
	l := k.choose()
	if l == nil {
		return pollSoon
	}
	k.asked = time.Now()
	ctx, cancel := context.WithTimeout(ctx, ringTimeout)
	defer cancel()
	err := k.learn(ctx, l)
	k.once.Do(func() { close(k.first) })
	if err != nil && kv.KindOf(err) != kv.KindWrongVersion {
		return pollSoon
	}
	return pollEvery - pollEvery/10 + rand.N(pollEvery/5)
}

// choose returns a connection to a node that can tell the ring, nil if there is
// none.
func (k *keeper) choose() *lane {
	if l := k.teller.Swap(nil); l != nil && l.tells() {
		return l
	}
	live := k.client.pool.lanes()
	k.turn++
	for i := range live {
		if l := live[(k.turn+i)%len(live)]; l.tells() {
			return l
		}
	}
	if len(live) > 0 {
		k.once.Do(func() { close(k.first) })
	}
	return nil
}

// tells tells whether the node at the other end can be asked for the ring.
func (l *lane) tells() bool { return l.lively() && l.Peer().Version.Has(wire.TypeRing) }

// learn asks for the ring over l and takes it over. One that is older than what
// is known is left alone.
func (k *keeper) learn(ctx context.Context, l *lane) error {
	q := question(make(chan reply, 1))
	deadline, _ := ctx.Deadline()
	l.Call(wire.Call{Type: wire.TypeRing, Deadline: deadline}, &wire.RingQuery{Known: k.hash}, q, 0)
	var r reply
	select {
	case r = <-q:
	case <-ctx.Done():
		return kv.Wrap(kv.KindTimeout, "ask for the ring", context.Cause(ctx))
	}
	if r.err != nil || r.ring.Same {
		return r.err
	}
	known := k.client.route.Load()
	if known != nil && r.ring.Epoch < known.epoch {
		return nil
	}
	var ids []kv.NodeID
	for _, n := range r.ring.Nodes {
		ids = append(ids, n.ID)
	}
	t, err := newTable(&r.ring, k.client.pool.list(ids))
	k.hash = r.ring.Hash
	k.client.route.Store(t) // nil: nodes find the owners
	return err
}

// connect starts links to the nodes that requests would go to, and stops those to
// nodes that the ring has no more, or has elsewhere.
func (k *keeper) connect(ctx context.Context) {
	t := k.client.route.Load()
	if t == nil {
		return
	}
	listed := make(map[kv.NodeID]string, len(t.members))
	for i, m := range t.members {
		listed[m.id] = t.addrs[i]
	}
	for id, l := range k.links {
		if listed[id] != l.addr {
			l.cancel()
			delete(k.links, id)
		}
	}
	for i, m := range t.members {
		if m.wanted.Load() && k.links[m.id] == nil && len(k.links) < maxMembers && !k.seeded(m, t.addrs[i]) {
			k.start(ctx, m.id, t.addrs[i])
		}
	}
}

// seeded tells whether one of the given addresses leads to m, or nothing would.
func (k *keeper) seeded(m *member, addr string) bool {
	return addr == "" || m.lively() || slices.ContainsFunc(k.seeds, func(l *link) bool {
		return l.addr == addr || kv.NodeID(l.last.Load()) == m.id
	})
}

func (k *keeper) start(ctx context.Context, id kv.NodeID, addr string) {
	ctx, cancel := context.WithCancel(ctx)
	k.links[id] = &learned{addr: addr, cancel: cancel}
	for range k.cfg.conns {
		l := &link{pool: &k.client.pool, addr: addr, dial: k.cfg.dial, want: id}
		k.client.links.Go(func() { l.run(ctx) })
	}
}

// question is a wire.Completion that passes the answer on.
type question chan reply

type reply struct {
	ring wire.RingInfo
	err  error
}

// Complete implements wire.Completion.
func (q question) Complete(_ uint32, resp wire.Response, err error) {
	if resp.Interim {
		return
	}
	r := reply{err: err}
	if err == nil {
		r.ring, r.err = wire.ParseRingInfo(resp.Payload)
	}
	q <- r
}
