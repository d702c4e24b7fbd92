package sim

import (
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// settle notes what a client was told of its write.
func (w *World) settle(op *Op) {
	x := op.write
	switch {
	case x == nil:
		if op.err == nil {
			w.count.Answered++
		}
	case op.err == nil:
		x.fate = acked
		w.count.Acked++
	case kv.AppliedOf(op.err) == kv.AppliedNo:
		x.fate = refused
	default:
		x.fate = unsure
	}
}

// check holds what one request was told against the promises.
func (w *World) check(op *Op) {
	w.checkAlways(op)
	if op.err != nil {
		return
	}
	w.checkSiblings(op.key, op.siblings, op)
	w.checkExpired(op)
	if op.write == nil {
		w.checkFresh(op)
		w.checkGoneFor(op)
	}
	w.checkForward(op)
}

// checkAlways is P1: with enough nodes in reach, and nothing that changed for
// as long as it takes to notice, a put succeeds, and so does a get.
func (w *World) checkAlways(op *Op) {
	const noticed = 1100 * time.Millisecond
	if op.err == nil || op.changed != w.changed || op.start-w.changed < noticed {
		return
	}
	switch kv.KindOf(op.err) {
	case kv.KindTooManySiblings, kv.KindSkew:
		return
	}
	if w.lossy() || w.holds() {
		return
	}
	if op.calm == 0 || op.calm != w.calm() || op.start-w.since < noticed {
		// A step refuses nobody, where one owner may be missing: the one that it
		// adds is not connected yet, perhaps.
		if int(op.options.W) < w.N && int(op.options.R) < w.N && w.whole() && !op.node.dead {
			w.violate("P1", op.key, "%v failed while the ring changed, and all nodes are well: %v", op, op.err)
		}
		return
	}
	need := int(op.options.W)
	switch {
	case op.write == nil && (op.hurt || w.hurt()):
		return
	case op.write == nil:
		need = int(op.options.R)
	case op.write.deleted && len(op.context) == 0:
		need = max(need, int(op.options.R)) // it reads before it deletes
	}
	reach, owners, ok := w.reach(op)
	if ok && reach >= need && (!op.options.Strict || owners >= need) {
		w.violate("P1", op.key, "%v failed with %d nodes and %d owners in reach: %v", op, reach, owners, op.err)
	}
}

// whole tells whether nothing is wrong with any machine in the cluster, or between
// any two.
func (w *World) whole() bool {
	for _, m := range w.machines {
		if m.idle {
			continue
		}
		if m.node == nil || m.node.paused || m.disk.full || m.disk.failReads || m.hurt() {
			return false
		}
		for _, o := range w.machines {
			if !o.idle && (!w.open(m, o) || !w.open(o, m)) {
				return false
			}
		}
	}
	return true
}

func (w *World) lossy() bool {
	f := w.Links
	return f.Loss > 0 || f.Late > 0
}

// reach counts the nodes that op's node can reach, and how many of them own
// the key. It is not ok when the network is not cleanly divided, so that not
// all of these reach the same, or when one of them has trouble of its own.
func (w *World) reach(op *Op) (nodes, owners int, ok bool) {
	if op.node.dead || op.node.paused {
		return 0, 0, false
	}
	at := op.node.machine
	near := func(x, y *machine) bool { return x == y || w.open(x, y) && w.open(y, x) }
	for _, m := range w.machines {
		if !near(at, m) {
			continue
		}
		for _, o := range w.machines {
			if near(at, o) != near(m, o) || w.links[m.index][o.index].holding != nil {
				return 0, 0, false
			}
		}
		if m.disk.full || m.disk.failReads {
			return 0, 0, false
		}
		if m.node == nil || m.node.paused || !w.settled.Contains(m.id()) {
			continue
		}
		nodes++
		if w.ring().Owns(op.key.partition, m.node.id) {
			owners++
		}
	}
	return nodes, owners, true
}

// checkSiblings is P6, and the part of P8 that can be seen at once: siblings
// are distinct writes, none of them before another, none of them refused.
func (w *World) checkSiblings(k *Key, siblings []*Write, where fmt.Stringer) {
	for i, a := range siblings {
		if a.fate == refused {
			w.violate("P8", k, "%v shows w%d, which was certainly not applied", where, a.id)
		}
		for _, b := range siblings[:i] {
			switch {
			case a == b:
				w.violate("P6", k, "%v shows w%d twice: %s", where, a.id, names(siblings))
			case k.lww:
				w.violate("P6", k, "%v shows two lww writes: %s", where, names(siblings))
			case a.after.has(b.id) || b.after.has(a.id):
				w.violate("P6", k, "%v shows w%d beside w%d, one of which is after the other", where, b.id, a.id)
			}
		}
	}
}

// checkForward is the rest of P6: an answer to a put shows nothing that its
// context had superseded.
func (w *World) checkForward(op *Op) {
	if op.write == nil || op.key.lww {
		return
	}
	for _, x := range op.siblings {
		if op.write.after.has(x.id) {
			w.violate("P6", op.key, "%v shows w%d, which it superseded", op, x.id)
		}
	}
}

// checkFresh is P3: a strict get sees every strict put that was acknowledged
// before it began, if their quorums meet.
func (w *World) checkFresh(op *Op) {
	for _, x := range op.key.writes {
		if !w.met(op, x) {
			continue
		}
		if !op.shows(x) && !w.superseded(x, op.seen) && !w.expired(x) {
			w.violate("P3", op.key, "%v does not see w%d, which was acknowledged at %v: %s", op, x.id, x.op.end, names(op.siblings))
		}
		for _, s := range op.siblings {
			if x.after.has(s.id) && !op.key.lww {
				promise := "P3"
				if x.deleted {
					promise = "P5"
				}
				w.violate(promise, op.key, "%v shows w%d again, which w%d superseded", op, s.id, x.id)
			}
		}
	}
}

// expectGone notes what op, if it is a strict get, must not show (P5), whatever
// became of the ring: what floors of the owners that it will meet have let go
// of.
func (w *World) expectGone(op *Op) {
	if op.write != nil || !op.options.Strict || op.key.lww || op.calm == 0 {
		return
	}
	var floors []vclock.Floor
	for _, id := range w.ring().Owners(op.key.partition) {
		if n := w.ids[id].node; n != nil {
			f, _ := n.store.Floor(op.key.partition)
			floors = append(floors, f)
		}
	}
	for _, d := range op.key.writes {
		if !d.deleted || len(d.dots) == 0 {
			continue
		}
		over := 0
		for _, f := range floors {
			if d.under(f) {
				over++
			}
		}
		if over+int(op.options.R) > w.N {
			op.gone.addAll(d.after)
		}
	}
}

// checkGoneFor is P5 for a strict get.
func (w *World) checkGoneFor(op *Op) {
	if op.calm != w.calm() {
		return
	}
	for _, s := range op.siblings {
		if op.gone.has(s.id) {
			w.violate("P5", op.key, "%v shows %v again, whose delete the owners' floors have let go of", op, s)
		}
	}
}

// met tells whether op, a get, must know of x: x was acknowledged before op
// began, and at least one owner that holds it has answered, if no more disks were
// lost than its copies stand.
func (w *World) met(op *Op, x *Write) bool {
	p := x.op
	if x.fate != acked || len(x.dots) == 0 || p.end > op.start || !op.options.Strict || !p.options.Strict {
		return false
	}
	held := int(p.options.W)
	if p.crashes != w.crashes {
		held = int(p.options.DW)
	}
	held = max(held, x.held) - x.lost
	if p.calm != 0 && p.calm == w.calm() {
		return int(op.options.R)+held > w.N
	}
	// Through a change of the ring, which is made for the cluster's quorums.
	return w.R+w.W > w.N && held >= w.W && int(op.options.R) >= w.R
}

// shows tells whether op's answer has x, or what superseded it.
func (op *Op) shows(x *Write) bool {
	if !op.key.lww {
		return op.seen.has(x.id)
	}
	for _, s := range op.siblings {
		if !x.last().beats(s.first()) {
			return true
		}
	}
	return false
}

// first and last are the dots of a write that come first and last in the order
// of lww buckets.
func (w *Write) first() mint {
	f := w.dots[0]
	for _, d := range w.dots[1:] {
		if f.beats(d) {
			f = d
		}
	}
	return f
}

func (w *Write) last() mint {
	l := w.dots[0]
	for _, d := range w.dots[1:] {
		if d.beats(l) {
			l = d
		}
	}
	return l
}

// superseded tells whether x may rightly be missing where seen is known: a
// write after it is known, or was a delete that the floors have let go of.
func (w *World) superseded(x *Write, seen set) bool {
	if x.key.lww {
		return w.outlived(x)
	}
	if x.deleted && w.reaped(x) {
		return true
	}
	found := false
	x.successors(func(s *Write) bool {
		found = seen.has(s.id) || s.deleted && w.reaped(s)
		return !found
	})
	return found
}

// outlived tells whether x, an lww write, is or lost to a delete that the
// floors have let go of.
func (w *World) outlived(x *Write) bool {
	for _, d := range x.key.writes {
		if d.deleted && len(d.dots) > 0 && !x.first().beats(d.last()) && w.reaped(d) {
			return true
		}
	}
	return false
}
