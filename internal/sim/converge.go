package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// reaped tells whether some node's floor allows, or has allowed, to drop the
// tombstone x.
func (w *World) reaped(x *Write) bool {
	if x.reaped {
		return true
	}
	for _, m := range w.machines {
		if m.node == nil {
			continue
		}
		f, _ := m.node.store.Floor(x.key.partition)
		for _, d := range x.dots {
			if f.Covers(d.Node, d.seq) {
				return true
			}
		}
	}
	return false
}

// settleDown lets the cluster converge once the faults are over, and checks
// that it does so in time (P4).
func (w *World) settleDown() {
	end := w.now + w.Settle
	for why := ""; len(w.violations) == 0; {
		if why = w.differs(); why == "" {
			return
		}
		if w.now >= end {
			w.violate("P4", nil, "%v after the faults ended, %s", w.Settle, why)
			return
		}
		w.run(500 * time.Millisecond)
	}
}

// differs says what keeps the cluster from having converged.
func (w *World) differs() string {
	if len(w.wishes)+len(w.dead) > 0 {
		return fmt.Sprintf("%d changes of the ring have not begun, and %d nodes were not replaced", len(w.wishes), len(w.dead))
	}
	for _, m := range w.machines {
		if why := m.unsettled(); why != "" {
			return fmt.Sprintf("%v %s", m, why)
		}
	}
	for p := range kv.Partition(w.Partitions) {
		var first uint64
		for i, id := range w.ring().Owners(p) {
			state, root, _ := w.ids[id].node.store.Tree(p)
			if i == 0 {
				first = root
			}
			if state != replica.TreeReady || root != first {
				return fmt.Sprintf("the owners' trees of partition %d differ", p)
			}
		}
	}
	for _, k := range w.keys {
		if why := w.keyDiffers(k); why != "" {
			return why
		}
	}
	return ""
}

// unsettled says what m still has to do.
func (m *machine) unsettled() string {
	n := m.node
	switch {
	case m.idle:
		return ""
	case n == nil:
		return "does not run"
	case n.epoch() != m.world.ring().Epoch():
		return fmt.Sprintf("is in epoch %d, and not %d", n.epoch(), m.world.ring().Epoch())
	case n.current.Progress != nil:
		return "knows a change of the ring that is not over"
	case !n.current.Ring.Contains(n.id):
		return fmt.Sprintf("has left the ring, and is still there: holds %v, of which %v are damaged, and hints %+v", n.store.Held(), n.store.Damaged(), n.store.Hints())
	case len(n.store.Hints()) > 0:
		return fmt.Sprintf("holds hints: %+v", n.store.Hints())
	case len(n.store.Damaged()) > 0:
		return fmt.Sprintf("has damaged copies: %v", n.store.Damaged())
	}
	for _, p := range n.store.Held() {
		if !n.current.Ring.Owns(p, n.id) {
			return fmt.Sprintf("holds a left-over copy of partition %d", p)
		}
	}
	for p := range kv.Partition(m.world.Partitions) {
		level := n.current.View(p).Level
		if puts, gets := n.store.Stage(p); puts > level || gets > level {
			return fmt.Sprintf("serves no puts of partition %d below %v and no gets below %v, and the ring is at %v", p, puts, gets, level)
		}
	}
	return ""
}

// keyDiffers says how k's owners differ in more than what their floors let them
// drop.
func (w *World) keyDiffers(k *Key) string {
	var objects []object.Object
	var floor vclock.Floor
	for _, id := range w.ring().Owners(k.partition) {
		m := w.ids[id]
		o, err := m.read(k)
		if err != nil {
			return fmt.Sprintf("%v cannot read %v: %v", m, k, err)
		}
		f, _ := m.node.store.Floor(k.partition)
		floor = vclock.AppendFloorJoin(nil, floor, f)
		objects = append(objects, o)
	}
	var first []byte
	for i, o := range objects {
		p, _, _ := object.Prune(nil, o, floor)
		if i == 0 {
			first = p.Bytes()
		} else if !bytes.Equal(first, p.Bytes()) {
			return fmt.Sprintf("the owners of %v differ: %v", k, w.owners(k))
		}
	}
	return ""
}

func (m *machine) read(k *Key) (object.Object, error) {
	o, _, err := m.node.store.Read(k.partition, k.Key, nil)
	return o, err
}

// owners says what each owner of k holds, for failures.
func (w *World) owners(k *Key) []string {
	var out []string
	for _, id := range w.ring().Owners(k.partition) {
		m := w.ids[id]
		o, err := m.read(k)
		if err != nil {
			out = append(out, fmt.Sprintf("%v: %v", m, err))
			continue
		}
		siblings, _ := k.siblings(o)
		out = append(out, fmt.Sprintf("%v: %s", m, names(siblings)))
	}
	return out
}

// checkEnd holds what the owners have in the end against what clients were
// told: P2, P5, P6, P8, and for lww the greatest write.
func (w *World) checkEnd() {
	for _, k := range w.keys {
		o, err := w.ids[w.ring().Owners(k.partition)[0]].read(k)
		if err != nil {
			w.violate("P8", k, "%v cannot be read: %v", k, err)
			return
		}
		siblings, err := k.siblings(o)
		if err != nil {
			w.violate("P8", k, "in the end %v holds %v", k, err)
			return
		}
		w.checkSiblings(k, siblings, k)
		if k.lww {
			w.checkGreatest(k, siblings)
		} else {
			w.checkKept(k, siblings)
			w.checkGone(k, siblings)
		}
	}
}

// checkKept is P2: what was acknowledged is there, or was superseded.
func (w *World) checkKept(k *Key, siblings []*Write) {
	seen := k.seen(siblings)
	for _, x := range k.writes {
		switch {
		case x.fate != acked || len(x.dots) == 0 || seen.has(x.id) || w.superseded(x, seen) || w.expired(x):
		case x.excused():
			w.count.Excused++
		default:
			w.violate("P2", k, "%v is lost; %v holds %s", x, k, names(siblings))
		}
	}
}

// checkGone is P5: what an acknowledged write superseded does not return.
func (w *World) checkGone(k *Key, siblings []*Write) {
	for _, x := range k.writes {
		if x.fate != acked || x.excused() {
			continue
		}
		for _, s := range siblings {
			if x.after.has(s.id) {
				w.violate("P5", k, "w%d is back, which %v superseded", s.id, x)
			}
		}
	}
}

// checkGreatest is what lww buckets promise of P2: the greatest write is there.
// One that lost to a delete is not looked for once floors have let go of that,
// and does not return either (P5): what comes after is as if to an empty key.
func (w *World) checkGreatest(k *Key, siblings []*Write) {
	var last *Write
	for _, x := range k.writes {
		if x.fate == acked && len(x.dots) > 0 && !x.excused() && !w.outlived(x) && !w.expired(x) && (last == nil || x.first().beats(last.first())) {
			last = x
		}
	}
	switch {
	case len(siblings) > 0 && siblings[0].buried:
		w.violate("P5", k, "w%d of %v is back, which a delete superseded", siblings[0].id, k)
	case last == nil:
	case len(siblings) == 0:
		w.violate("P2", k, "%v is lost; %v holds nothing", last, k)
	case last.first().beats(siblings[0].last()):
		w.violate("P2", k, "%v is lost; %v holds w%d, which is older", last, k, siblings[0].id)
	}
}
