package sim

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The ledger tells which losses the promises excuse. A write that asked for w
// applied and dw durable copies is owed as many. Each time that a fault destroys
// a copy, and fewer are left than are owed, one less is owed. Once all owners
// hold a write durably, as many copies are owed. What the cluster itself lets go
// of, by a hint deleted too early or a copy dropped too soon, lessens no debt. A
// write of which nothing is owed any more may be lost.
//
// Copies are counted as the cluster may merge them: a hint and what its owner
// has already come to one (copies.sure).

// owe begins the account of a write.
func (w *Write) owe(o kv.Options) { w.applied, w.durable = int(o.W), int(o.DW) }

// excused tells whether w may be lost.
func (w *Write) excused() bool { return w.applied <= 0 && w.durable <= 0 }

// crashed accounts for a crash of m, which may lose what is not durable of keys.
func (w *World) crashed(m *machine, keys []*Key, crash func()) { w.account(m, keys, false, crash) }

// lost accounts for a fault that destroys what is on m's disk.
func (w *World) lost(m *machine, destroy func()) { w.account(m, w.keys, true, destroy) }

// account does something that destroys copies on m, and books what it did to
// the writes of keys.
func (w *World) account(m *machine, keys []*Key, disk bool, destroy func()) {
	a := accounting{machine: m, node: m.id(), disk: disk}
	before := make([]copies, len(keys))
	for i, k := range keys {
		before[i] = w.copies(k)
	}
	destroy()
	for i, k := range keys {
		a.before, a.after = before[i], before[i].changed(m, k)
		for _, x := range k.writes {
			a.book(x)
		}
	}
}

// accounting is what a fault did to a machine's copies of a key.
type accounting struct {
	machine *machine
	// node is the node that had them; disk tells that its disk was lost.
	node          kv.NodeID
	disk          bool
	before, after copies
}

// book takes off what is owed of x what the fault has destroyed. If x was on a
// disk that was lost, hints of it for the disk's node do not count any more: it
// may just have told that it has them. But whoever meets a new process of it,
// and has the hint still, has to keep it: then the copy is owed again.
func (a *accounting) book(x *Write) {
	there := a.before.of[a.machine.index]
	if !there.any(x, record.holds) {
		return
	}
	if a.before.all(x) {
		n := len(a.before.owners)
		x.applied, x.durable, x.held, x.lost = max(x.applied, n), max(x.durable, n), n, 0
	}
	if a.disk && there.of(0).any(x, record.keeps) && !a.refills(x) {
		x.lost++
	}
	var told kv.NodeID
	if a.disk && there.any(x, record.keeps) {
		told = a.node
	}
	x.applied, _ = a.lessen(x, x.applied, record.holds, told)
	var lent bool
	if x.durable, lent = a.lessen(x, x.durable, record.keeps, told); lent {
		w := a.machine.world
		w.loans = append(w.loans, loan{x, a.machine, a.node})
	}
}

// refills tells whether the machine, if it is an owner still, gets x again before
// it answers: N-W+1 other owners that have all of theirs, all of them where W is
// 1, cannot be found without one that has x.
func (a *accounting) refills(x *Write) bool {
	w := a.machine.world
	with, without := 0, 0
	for i, id := range a.after.nodes {
		switch {
		case i == a.machine.index || !slices.Contains(a.after.owners, id) || w.machines[i].hurt():
		case a.after.of[i].of(0).any(x, record.keeps):
			with++
		default:
			without++
		}
	}
	return with > 0 && without < w.N-w.W+1
}

// lessen returns what is still owed of what was, and whether it would be as much
// as before if the hints for told counted.
func (a *accounting) lessen(x *Write, owed int, is func(record, *Write) bool, told kv.NodeID) (still int, lent bool) {
	left := a.after.sure(x, is, told)
	if left >= owed || left >= a.before.sure(x, is, 0) {
		return owed, false
	}
	return owed - 1, left < a.after.sure(x, is, 0)
}

// loan is a durable copy that is not owed because m, as node id, has lost it,
// while others had hints of it.
type loan struct {
	x  *Write
	m  *machine
	id kv.NodeID
}

// callIn calls the loans in of which n, which meets a new process of m, has the
// hint still.
func (w *World) callIn(n *node, m *machine) {
	w.loans = slices.DeleteFunc(w.loans, func(l loan) bool {
		if l.m != m || m.id() != l.id || !n.copy(l.x.key).of(l.id).any(l.x, record.keeps) {
			return false
		}
		l.x.durable++
		return true
	})
}

// unsynced returns the keys that changes of m concern which are not durable.
func (w *World) unsynced(m *machine) []*Key {
	var out []*Key
	for _, k := range w.keys {
		if m.disk.unsynced(k.Key) {
			out = append(out, k)
		}
	}
	return out
}
