package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Operators are people: they want changes of the ring, stage and commit them at
// whatever node answers them, try again when that fails, and accept the loss of
// nodes that are dead for good when a change cannot end without that.

const (
	// operators is the number of people, operateEvery how often each looks.
	operators    = 2
	operateEvery = 150 * time.Millisecond
	// lossPatience is how long they wait for a change to end by itself.
	lossPatience = 2 * time.Second
)

// wish is a change that operators want.
type wish struct {
	changes []membership.Change
	// to, if set, makes the ring to come, which no staged changes do.
	to func(*ring.Ring) (*ring.Ring, error)
	// at is the machine whose node is to stage and commit it, nil for any.
	at *machine
	// old is the node that is to be replaced, if one is.
	old kv.NodeID
	// done tells whether the newest ring has it.
	done func(latest *ring.Ring) bool
	// values are what was proposed for it; chosen tells that one of these was.
	values []string
	chosen bool
}

// dead is a node whose disk is gone, and that is not replaced yet.
type dead struct {
	id kv.NodeID
	m  *machine
}

func (w *World) want(x *wish) { w.wishes = append(w.wishes, x) }

// operate is a look of one of the operators.
func (w *World) operate(rng *rand.Rand) {
	m := w.machines[rng.IntN(len(w.machines))]
	var x *wish
	if len(w.wishes) > 0 {
		if x = w.wishes[rng.IntN(len(w.wishes))]; x.at != nil {
			m = x.at
		}
	}
	n := m.node
	if n == nil || n.paused || n.current == nil || n.election != nil {
		return
	}
	st := n.state()
	if t := st.Transition(); t != nil {
		if w.now-w.since > lossPatience {
			n.acceptLoss(t)
		}
		return
	}
	w.wishes = slices.DeleteFunc(w.wishes, func(x *wish) bool { return x.chosen || x.done != nil && x.done(w.latest) })
	if slices.Contains(w.wishes, x) {
		n.commit(x)
	}
}

// commit stages a wish and puts what is staged to the vote.
func (n *node) commit(x *wish) {
	st := n.state()
	t := &membership.Transition{Slot: st.Open(), Proposer: n.id}
	if x.to != nil {
		to, err := x.to(st.Ring())
		if err != nil {
			panic(err)
		}
		t.To = to
	} else {
		if !n.reaches(x) {
			return
		}
		for _, c := range x.changes {
			next, err := st.Stage(n.id, c, n.alive)
			if err != nil {
				n.world.say(nil, "%v cannot stage %v of %v: %v", n.machine, c.Action, c.Node, err)
				return
			}
			st = next
		}
		n.update(st)
		plan, err := st.Plan()
		if err != nil {
			n.world.say(nil, "%v cannot plan: %v", n.machine, err)
			return
		}
		t.To, t.Changes = plan.Next, st.Orders()
	}
	x.values = append(x.values, string(t.Value()))
	n.propose(t)
}

// reaches tells whether n may stage a wish: a node that is replaced while it does
// not answer is taken for dead, which people say only of those that are.
func (n *node) reaches(x *wish) bool {
	w := n.world
	return x.old == 0 || n.alive(x.old) || slices.ContainsFunc(w.dead, func(d dead) bool { return d.id == x.old })
}

// alive tells whether a node is, as far as n and the operators know.
func (n *node) alive(id kv.NodeID) bool {
	return !slices.ContainsFunc(n.world.dead, func(d dead) bool { return d.id == id }) && (id == n.id || n.Up(id))
}

// acceptLoss amends the change under way: nodes that are dead for good are lost.
func (n *node) acceptLoss(was *membership.Transition) {
	st := n.state()
	lost := slices.Clone(was.Lost)
	for _, d := range n.world.dead {
		if st.Ring().Contains(d.id) || was.To.Contains(d.id) {
			lost = append(lost, d.id)
		}
	}
	slices.Sort(lost)
	if lost = slices.Compact(lost); len(lost) == len(was.Lost) {
		return
	}
	n.propose(&membership.Transition{Slot: st.Open(), To: was.To, Changes: was.Changes, Lost: lost, Proposer: n.id})
}

// reweigh wants other weights for the nodes, so that partitions move.
func (w *World) reweigh(rng *rand.Rand) {
	x := &wish{}
	for _, n := range w.latest.Nodes() {
		x.changes = append(x.changes, membership.Change{Action: membership.Weight, Node: n.ID.String(), Weight: uint32(1 + rng.IntN(3))})
	}
	w.asked("the nodes are given other weights")
	w.want(x)
}

// join wants a machine that is out of the cluster in it.
func (m *machine) join() {
	m.enter()
	id := m.id()
	m.world.asked("%v is to join, as node %v", m, id)
	m.world.want(&wish{
		changes: []membership.Change{{Action: membership.Join, Node: id.String()}},
		done:    func(r *ring.Ring) bool { return r.Contains(id) || m.id() != id },
	})
}

// enter starts a machine that is out, with an empty disk, as a new node.
func (m *machine) enter() {
	w := m.world
	m.idle = false
	m.disk = w.newDisk(m.rng)
	m.disk.files.id = w.newID()
	w.ids[m.id()] = m
	m.start()
}

// leave wants a node out of the ring.
func (m *machine) leave() {
	id := m.id()
	m.world.asked("%v is to leave", m)
	m.world.want(&wish{
		changes: []membership.Change{{Action: membership.Leave, Node: id.String()}},
		done:    func(r *ring.Ring) bool { return !r.Contains(id) },
	})
}

// succession is the wish that a machine's node takes another's place.
func succession(old kv.NodeID, by *machine) *wish {
	return &wish{
		old:     old,
		changes: []membership.Change{{Action: membership.Replace, Node: old.String(), By: by.id().String()}},
		done:    func(r *ring.Ring) bool { return !r.Contains(old) },
	}
}

// retire ends a node that has left, and has nothing to do any more. Its machine is
// out of the cluster.
func (m *machine) retire() {
	if m.node == nil || m.idle {
		return
	}
	m.world.say(nil, "%v ends", m)
	m.idle = true
	m.halt()
}

// asked notes that people want something. It is no fault: nothing gets worse.
func (w *World) asked(format string, args ...any) {
	w.count.Faults++
	w.note(noteFault, uint64(w.count.Faults), 1)
	w.say(nil, format, args...)
}
