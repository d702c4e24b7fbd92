package sim

import (
	"bytes"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/object"
)

// reaped tells whether an owner's floor allows to drop the tombstone x.
func (w *World) reaped(x *Write) bool { return false }

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
	for _, m := range w.machines {
		if m.node == nil {
			return fmt.Sprintf("%v does not run", m)
		}
		if m.node.ring.Epoch() != w.ring().Epoch() {
			return fmt.Sprintf("%v is in epoch %d", m, m.node.ring.Epoch())
		}
	}
	for _, k := range w.keys {
		var first object.Object
		for i, id := range w.ring().Owners(k.partition) {
			m := w.ids[id]
			o, err := m.read(k)
			if err != nil {
				return fmt.Sprintf("%v cannot read %v: %v", m, k, err)
			}
			if i == 0 {
				first = o
			} else if !bytes.Equal(first.Bytes(), o.Bytes()) {
				return fmt.Sprintf("the owners of %v differ: %v", k, w.owners(k))
			}
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
		w.checkSiblings(k, siblings, "in the end "+k.String())
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
		case x.fate != acked || len(x.dots) == 0 || seen.has(x.id) || w.superseded(x, seen):
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
func (w *World) checkGreatest(k *Key, siblings []*Write) {
	var last *Write
	for _, x := range k.writes {
		if x.fate == acked && len(x.dots) > 0 && !x.excused() && (last == nil || x.first().beats(last.first())) {
			last = x
		}
	}
	switch {
	case last == nil:
	case len(siblings) == 0:
		if !last.deleted || !w.reaped(last) {
			w.violate("P2", k, "%v is lost; %v holds nothing", last, k)
		}
	case last.first().beats(siblings[0].last()):
		w.violate("P2", k, "%v is lost; %v holds w%d, which is older", last, k, siblings[0].id)
	}
}
