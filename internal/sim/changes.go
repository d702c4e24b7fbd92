package sim

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// moveStep moves partitions: drawn at random, or so that two machines change
// places in the ring.
func moveStep(w *World, st Step) error {
	if len(st.Args) == 0 {
		w.reweigh(w.random("steps"))
		return nil
	}
	a, b, err := w.two(st)
	if err != nil {
		return err
	}
	x, y := a.id(), b.id()
	w.asked("%v and %v are to change places", a, b)
	w.want(&wish{to: func(r *ring.Ring) (*ring.Ring, error) { return swapped(r, x, y) }})
	return nil
}

// replaceStep has machines that are out of the ring take the places of others, pair
// by pair, in one change.
func replaceStep(w *World, st Step) error {
	x := &wish{}
	if name, ok := st.Extra["at"]; ok {
		var err error
		if x.at, err = w.machine(name); err != nil {
			return err
		}
	}
	for i := 0; i < len(st.Args); i += 2 {
		old, by, err := w.two(Step{Verb: st.Verb, Args: st.Args[i:min(i+2, len(st.Args))]})
		if err != nil {
			return err
		}
		if by.idle {
			by.enter()
		}
		w.asked("%v is to replace %v, as node %v", by, old, by.id())
		one := succession(old.id(), by)
		x.old, x.changes, x.done = one.old, append(x.changes, one.changes...), one.done
	}
	w.want(x)
	return nil
}

// proposeStep has people commit other weights at a machine's node, at once.
func proposeStep(m *machine) {
	if n := m.node; n != nil && n.current != nil && n.election == nil {
		weight := uint32(2 + m.index)
		n.commit(&wish{changes: []membership.Change{{Action: membership.Weight, Node: n.id.String(), Weight: weight}}})
	}
}

// two returns the two machines that a step names.
func (w *World) two(st Step) (a, b *machine, err error) {
	if len(st.Args) != 2 {
		return nil, nil, fmt.Errorf("%s takes two machines", st.Verb)
	}
	if a, err = w.machine(st.Args[0]); err != nil {
		return nil, nil, err
	}
	b, err = w.machine(st.Args[1])
	return a, b, err
}

// swapped returns the ring after r in which two nodes own what the other one did.
func swapped(r *ring.Ring, a, b kv.NodeID) (*ring.Ring, error) {
	nodes := r.Nodes()
	place := func(id kv.NodeID) uint16 {
		return uint16(slices.IndexFunc(nodes, func(n ring.Node) bool { return n.ID == id }))
	}
	code := r.AppendTo(nil)
	const epochAt = 6 // in package ring's encoding
	binary.BigEndian.PutUint64(code[epochAt:], r.Epoch()+1)
	// It ends with the owners, by their places among the nodes.
	for at := len(code) - 2*r.Params().Q*r.Replicas(); at < len(code); at += 2 {
		switch binary.BigEndian.Uint16(code[at:]) {
		case place(a):
			binary.BigEndian.PutUint16(code[at:], place(b))
		case place(b):
			binary.BigEndian.PutUint16(code[at:], place(a))
		}
	}
	return ring.Parse(code)
}
