package antientropy

import (
	"bytes"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Keeper keeps this node's copies in sync with those of the other owners. It is
// safe for concurrent use.
type Keeper struct {
	// All but mu belongs to the task on the Background.
	local
	peers map[kv.NodeID]*peer
	// turn is the node with which the last exchange was begun.
	turn      kv.NodeID
	pace      yielding
	mover     mover
	refill    refill
	leftovers leftovers
	member    member
	leader    leader
	total     Tally
	// known are the other nodes, as of one Current.
	known struct {
		of  *ring.Current
		ids []kv.NodeID
	}
	// looked is when copies were last looked over for what is to be done.
	looked time.Time

	mu struct {
		sync.Mutex
		// mail is what is still to be handled, in order; inbound of it are other
		// nodes' requests, and ticking tells that a Tick is among it.
		mail    []func()
		inbound int
		ticking bool
		// moved tells that news of the ring is among it.
		moved bool
		// running tells that the task is on the Background.
		running bool
		status  Status
		busy    bool
	}
}

// New returns a Keeper. The configuration has been validated.
func New(cfg Config, deps Deps) *Keeper {
	k := &Keeper{local: local{Deps: deps, cfg: cfg}, peers: map[kv.NodeID]*peer{}, pace: yielding{Pace: pace.Pace{Rate: cfg.Rate, Burst: burst}, governor: pace.Eager()}}
	k.member.k, k.leader.k, k.mover.k = k, k, k
	k.lacks, k.missed = k.mover.lacks, k.mover.missed
	k.mover.pace.Pace = pace.Pace{Rate: cfg.FillRate, Burst: burst}
	return k
}

// Tick lets time pass. The node calls it every 50 ms or so, four times a second
// at least while the Keeper is not Busy: what waits for the rate goes on with it.
func (k *Keeper) Tick(now time.Time) {
	k.mu.Lock()
	if k.mu.ticking {
		k.mu.Unlock()
		k.wake()
		return
	}
	k.mu.ticking = true
	k.mu.Unlock()
	k.post(func() {
		k.mu.Lock()
		k.mu.ticking = false
		k.mu.Unlock()
		k.tick(now)
	})
}

// PeerUp tells that a peer answers again: the copies that both hold are compared
// soon.
func (k *Keeper) PeerUp(id kv.NodeID) {
	k.post(func() { k.peer(id).hurry(k.Now()) })
}

// Repair has all copies compared with all other owners' soon, without waiting for
// their turn.
func (k *Keeper) Repair() {
	k.post(func() {
		for _, id := range k.others(k.Cluster.Current()) {
			p := k.peer(id)
			p.hurry(k.Now())
			p.asked = true
		}
	})
}

// Moved tells that something is new about the ring: marks, a change of it that
// begins, or one that ends. It is cheap, and calls nothing.
func (k *Keeper) Moved() {
	k.mu.Lock()
	moved := k.mu.moved
	k.mu.moved = true
	k.mu.Unlock()
	if moved {
		return
	}
	k.post(func() {
		k.mu.Lock()
		k.mu.moved = false
		k.mu.Unlock()
		k.mover.look(k.Now())
		if c := k.Cluster.Current(); c != nil {
			k.proceed(c, k.Now())
		}
	})
}

// SetFillRate changes Config.FillRate. The error is of KindInvalid.
func (k *Keeper) SetFillRate(rate int64) error {
	if rate <= 0 {
		return kv.Errorf(kv.KindInvalid, "set rate", "%d is not positive", rate)
	}
	k.post(func() { k.mover.pace.Rate = rate })
	return nil
}

// Handle serves another node's request (wire.TypeExchange, TypeSweep). It answers
// later, from the Background.
func (k *Keeper) Handle(req wire.Request) {
	serve := k.exchanges
	switch req.Type {
	case wire.TypeExchange:
	case wire.TypeSweep:
		serve = k.serveSweep
	default:
		req.Reply.Fail(kv.Errorf(kv.KindInvalid, "serve", "anti-entropy does not serve %v", req.Type))
		return
	}
	k.mu.Lock()
	full := k.mu.inbound >= k.cfg.Inbound
	if !full {
		k.mu.inbound++
	}
	k.mu.Unlock()
	if full {
		req.Reply.Fail(kv.Errorf(kv.KindOverloaded, "serve", "%d requests of anti-entropy wait", k.cfg.Inbound))
		return
	}
	from, reply, payload := req.From, req.Reply, bytes.Clone(req.Payload)
	k.post(func() {
		k.mu.Lock()
		k.mu.inbound--
		k.mu.Unlock()
		b, err := serve(from, payload)
		if err != nil {
			reply.Fail(err)
			return
		}
		reply.Send(wire.Raw(b))
	})
}

// exchanges answers a request of an exchange, and counts what fills take.
func (k *Keeper) exchanges(from kv.NodeID, payload []byte) ([]byte, error) {
	if k.Cluster.Current() != k.mover.cur {
		k.mover.look(k.Now()) // who asks may know of a step that this node is to seal for
	}
	b, err := k.serveExchange(from, payload)
	if err == nil {
		b[loadAt] = byte(k.load())
	}
	if len(payload) > 1 && purpose(payload[1]) == forFill {
		k.mover.tally.sent += uint64(len(b))
		if kind(payload[0]) == kindKeys {
			k.mover.tally.objects += uint64(len(b))
		}
		k.mover.totals.Sent += uint64(len(b))
	}
	return b, err
}

// post puts something into the mail.
func (k *Keeper) post(f func()) {
	k.mu.Lock()
	k.mu.mail = append(k.mu.mail, f)
	k.mu.Unlock()
	k.wake()
}

// wake puts the task on the Background, if there is mail and it is not there. If
// the Background is full, the next Tick tries again.
func (k *Keeper) wake() {
	k.mu.Lock()
	idle := k.mu.running || len(k.mu.mail) == 0
	k.mu.running = k.mu.running || !idle
	k.mu.Unlock()
	if !idle && !k.Background.Go(k.run) {
		k.mu.Lock()
		k.mu.running = false
		k.mu.Unlock()
	}
}

// perRun bounds what the task handles before it lets others have the Background.
const perRun = 8

// run is the task: it handles some mail.
func (k *Keeper) run() {
	for range perRun {
		f := k.mailed()
		if f == nil {
			break
		}
		f()
	}
	k.mu.Lock()
	k.mu.running = false
	k.mu.Unlock()
	k.wake()
}

func (k *Keeper) mailed() func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.mu.mail) == 0 {
		return nil
	}
	f := k.mu.mail[0]
	k.mu.mail[0] = nil
	k.mu.mail = k.mu.mail[1:]
	return f
}

// call sends a request, and has done called with its outcome in the task.
func (k *Keeper) call(to kv.NodeID, t wire.Type, payload []byte, done func(answer []byte, err error)) {
	c := wire.Call{Type: t, Deadline: k.Now().Add(k.cfg.Timeout), Level: k.era()}
	k.Peers.Call(to, c, wire.Raw(payload), &outcome{k, done}, 0)
}

// outcome is the wire.Completion of one call.
type outcome struct {
	k    *Keeper
	done func(answer []byte, err error)
}

// Complete implements wire.Completion.
func (o *outcome) Complete(_ uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	answer := bytes.Clone(resp.Payload)
	o.k.post(func() { o.done(answer, err) })
}

// tick does what is due.
func (k *Keeper) tick(now time.Time) {
	if c := k.Cluster.Current(); c != nil {
		k.mover.tick(c, now)
		if now.Sub(k.looked) >= k.cfg.Poll || k.looked.IsZero() {
			k.looked = now
			k.lookOver(c, now)
		}
		k.member.tick(now)
		k.leader.tick(now)
		k.proceed(c, now)
	}
	k.publish()
}
