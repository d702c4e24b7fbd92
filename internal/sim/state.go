package sim

import (
	"bytes"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A node's knowledge of its cluster is package membership's State, with its pure
// functions, as its Service has it: the state is durable before anything is done
// about it, marks of a change are not, and both spread as they may. Played are
// the messages: a node tells its state to another one now and then, and at once
// when it has something new.

const (
	// gossipEvery is how often a node tells its state to another one.
	gossipEvery = 500 * time.Millisecond
	// marksPause is how long own marks are collected before they are told.
	marksPause = 5 * time.Millisecond
	// askPause is how long a node waits before it asks the same one again.
	askPause = 20 * time.Millisecond
)

// clusterID is that of the cluster.
const clusterID kv.ClusterID = 1

// course is where a node believes the ring to be.
type course struct {
	// current is nil before the node has a ring.
	current *ring.Current
	// fresh are own marks that were not told yet; telling tells that they will be,
	// last that one of them ended the change.
	fresh         []ring.Mark
	telling, last bool
	// asked is when other machines were last asked for their state.
	asked map[*machine]time.Duration
}

// state is what the node knows of the cluster, nil before it has joined.
func (n *node) state() *membership.State { return n.disk.files.state }

// self is what a node says of itself.
func (m *machine) self() membership.Member {
	return membership.Member{ID: m.id(), Profile: membership.Profile{Name: m.String(), Weight: 1, Speaks: wire.MaxVersion}}
}

// update takes a state in, durably, and then acts on it.
func (n *node) update(st *membership.State) {
	if st == n.state() {
		return
	}
	n.disk.files.state = st
	n.world.decided(n, st)
	for _, m := range st.Members() {
		if m.Status != membership.StatusRemoved {
			n.connTo(m.ID)
		}
	}
	if n.steer() {
		n.moved()
	}
}

// steer makes the state's ring and transition the current ones, and tells whether
// that changes anything. Marks stay known when a change is amended.
func (n *node) steer() bool {
	st, was := n.state(), n.current
	if st == nil || st.Ring() == nil {
		return false
	}
	next := &ring.Current{Ring: st.Ring()}
	same := was != nil && was.Ring == st.Ring()
	if t := st.Transition(); t != nil && t.Epoch == st.Epoch()+1 {
		on := same && was.Progress != nil && sameRing(was.Progress.To(), t.To)
		if on && slices.Equal(was.Progress.Lost(), t.Lost) {
			return false
		}
		way, err := ring.NewTransition(st.Ring(), t.To, t.Lost)
		if err != nil {
			panic(err)
		}
		next.Progress = ring.NewProgress(way)
		if on {
			_, _ = next.Progress.Join(was.Progress.AppendTo(nil))
		}
	} else if same && was.Progress == nil {
		return false
	}
	n.current, n.fresh = next, nil
	n.world.say(nil, "%v knows %s", n.machine, describe(st))
	return true
}

func describe(st *membership.State) string {
	if t := st.Transition(); t != nil {
		return "the change to epoch " + slotName(t.Slot)
	}
	return "epoch " + slotName(membership.Slot{Epoch: st.Epoch()})
}

func sameRing(a, b *ring.Ring) bool {
	return a == b || a.Epoch() == b.Epoch() && bytes.Equal(a.AppendTo(nil), b.AppendTo(nil))
}

// moved tells those parts of the node that wait for news of the ring, and has a
// change end that is over.
func (n *node) moved() {
	if n.keeper == nil {
		return
	}
	cause := n.world.cause
	n.world.cause = nil
	if g := n.current.Progress; g != nil && g.Over() {
		n.after(upTo(n.rng, time.Millisecond), n.settle)
	}
	n.coord.Moved()
	n.keeper.Moved()
	n.world.cause = cause
}

// settle ends the change that is over. Who has set the last mark tells the others.
func (n *node) settle() {
	n.update(n.state().Settle(n.current.Progress))
	if n.last && n.current.Progress == nil {
		n.last = false
		n.tellAll()
	}
}

// Mark implements antientropy.Cluster.
func (n *node) Mark(of *ring.Progress, marks []ring.Mark) error {
	g := n.current.Progress
	if g == nil || g != of && !sameRing(g.To(), of.To()) {
		return nil
	}
	news := false
	for _, m := range marks {
		if m.Step < g.Len() && g.Add(m.Step, m.Marks) {
			n.fresh, news = append(n.fresh, m), true
		}
	}
	if !news {
		return nil
	}
	if n.last = g.Over(); !n.telling {
		n.telling = true
		n.after(marksPause, n.tellMarks)
	}
	n.moved()
	return nil
}

// tellMarks tells own marks to everybody at once: who does not hear them has them
// by gossip.
func (n *node) tellMarks() {
	marks, g := n.fresh, n.current.Progress
	n.fresh, n.telling = nil, false
	if g == nil || len(marks) == 0 {
		return
	}
	to := g.To()
	for _, m := range n.world.machines {
		if id := m.id(); to.Contains(id) || g.From().Contains(id) {
			n.tell(m, wire.TypeMarks, func(p *node) {
				p.hearMarks(n.machine, to, func(g *ring.Progress) (news bool) {
					for _, k := range marks {
						news = g.Add(k.Step, k.Marks) || news
					}
					return news
				})
			})
		}
	}
}

// hearMarks adds marks of the change to a ring. Who does not know of it asks.
func (n *node) hearMarks(from *machine, to *ring.Ring, add func(*ring.Progress) bool) {
	switch {
	case n.current == nil:
		n.ask(from)
	case n.current.Progress != nil && sameRing(n.current.Progress.To(), to):
		if add(n.current.Progress) {
			n.moved()
		}
	case to.Epoch() > n.current.Ring.Epoch():
		n.ask(from)
	}
}

// tell has something done at the node that runs on a machine when a message gets
// there.
func (n *node) tell(to *machine, t wire.Type, do func(p *node)) {
	w := n.world
	if to == n.machine {
		return
	}
	w.send(n.machine, to, message{Type: t}, true, func() {
		w.cause = nil
		if p := to.node; p != nil {
			p.do(func() {
				w.note(noteDelivered, uint64(t)<<8|uint64(to.index), 0)
				do(p)
			})
		}
	})
}

// tellState tells another node all that this one knows.
func (n *node) tellState(m *machine) {
	st := n.state()
	if st == nil {
		return
	}
	var to *ring.Ring
	var marks []byte
	if g := n.current.Progress; g != nil {
		to, marks = g.To(), g.AppendTo(nil)
	}
	n.tell(m, wire.TypeState, func(p *node) { p.hear(n.machine, st, to, marks) })
}

func (n *node) tellAll() {
	for _, m := range n.world.machines {
		n.tellState(m)
	}
}

// hear takes in what another node knows.
func (n *node) hear(from *machine, st *membership.State, to *ring.Ring, marks []byte) {
	own := n.state()
	if own == nil {
		own = membership.NewState(clusterID, []membership.Member{n.self()}, nil)
		defer n.tellAll()
	}
	merged, err := membership.Merge(own, st)
	if err != nil {
		panic(err)
	}
	n.update(merged)
	if to != nil {
		n.hearMarks(from, to, func(g *ring.Progress) bool {
			news, err := g.Join(marks)
			if err != nil {
				panic(err)
			}
			return news
		})
	}
	if m, _ := st.Member(n.id); m.Status == membership.StatusRemoved {
		n.machine.retire()
	}
}

// gossip tells another node, drawn at random, what this one knows.
func (n *node) gossip() {
	n.tellState(n.world.machines[n.rng.IntN(len(n.world.machines))])
}

// seek asks for the state of the cluster, until somebody answers.
func (n *node) seek() {
	if n.state() == nil {
		n.ask(n.world.machines[n.rng.IntN(len(n.world.machines))])
	}
}

// ask asks another node for what it knows.
func (n *node) ask(m *machine) {
	if at, was := n.asked[m]; was && n.world.now-at < askPause {
		return
	}
	n.asked[m] = n.world.now
	n.tell(m, wire.TypeState, func(p *node) { p.tellState(n.machine) })
}

// Refresh implements coordinator.Cluster.
func (n *node) Refresh(from kv.NodeID) {
	if m := n.world.ids[from]; m != nil {
		n.ask(m)
	}
}

// leave has a node that has left the ring, and holds nothing any more, say so.
func (n *node) leave() {
	st := n.state()
	if st == nil || !st.Gone(n.id) || len(n.store.Held())+len(n.store.Hints())+len(n.store.Damaged()) > 0 {
		return
	}
	for p := range kv.Partition(n.world.Partitions) {
		if _, version := n.store.Floor(p); version != 0 {
			return
		}
	}
	m, _ := st.Member(n.id)
	m.Decision = membership.Decision{Status: membership.StatusRemoved, Version: m.Version + 1, Author: n.id}
	merged, err := membership.Merge(st, membership.NewState(clusterID, []membership.Member{m}, nil))
	if err != nil {
		panic(err)
	}
	n.world.say(nil, "%v holds nothing any more", n.machine)
	n.update(merged)
	n.tellAll()
}

// Current implements coordinator.Cluster.
func (n *node) Current() *ring.Current { return n.current }

// epoch is that of the last ring that the node knows to be settled.
func (n *node) epoch() uint64 {
	if n.current == nil {
		return 0
	}
	return n.current.Ring.Epoch()
}

// Members implements antientropy.Cluster: as far as n knows.
func (n *node) Members() []antientropy.Member {
	var out []antientropy.Member
	st := n.state()
	for _, m := range st.Members() {
		switch st.Status(m.ID) {
		case membership.StatusMember, membership.StatusLeaving, membership.StatusJoining, membership.StatusRemoving:
			out = append(out, antientropy.Member{ID: m.ID})
		}
	}
	return out
}

// Removed implements antientropy.Cluster.
func (n *node) Removed() []kv.NodeID {
	var out []kv.NodeID
	for _, m := range n.state().Members() {
		if m.Status == membership.StatusRemoved {
			out = append(out, m.ID)
		}
	}
	return out
}

// Outdated implements coordinator.Cluster: all nodes are of this release.
func (n *node) Outdated() *kv.Error { return nil }

// Skew implements coordinator.Cluster: how far the node's clock is ahead of the
// median of the others'.
func (n *node) Skew() time.Duration {
	var others []time.Duration
	for _, m := range n.world.machines {
		if m != n.machine {
			others = append(others, m.offset)
		}
	}
	slices.Sort(others)
	return n.offset - others[len(others)/2]
}
