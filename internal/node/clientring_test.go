package node

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func addrOf(id kv.NodeID) string { return fmt.Sprintf("host-%d:7401", id) }

// rings returns a ring of nodes 1 to 4, and the one after it that has node 5 too.
func rings(t *testing.T) (was, next *ring.Ring) {
	t.Helper()
	params := ring.DefaultParams()
	params.Q = 64
	var nodes []ring.Node
	for id := range kv.NodeID(5) {
		nodes = append(nodes, ring.Node{ID: id + 1, Weight: 1})
	}
	was, err := ring.Claim(nil, params, 1, nodes[:4])
	if err == nil {
		next, err = ring.Claim(was, params, 2, nodes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return was, next
}

// nodesAt returns the ids at places of m's nodes.
func nodesAt(m *wire.RingInfo, places []uint16) []kv.NodeID {
	var ids []kv.NodeID
	for _, at := range places {
		ids = append(ids, m.Nodes[at].ID)
	}
	return ids
}

// TestClientsAreToldTheRing: what is told, and read again, are the owners that the
// ring has, and the views of partitions on their way.
func TestClientsAreToldTheRing(t *testing.T) {
	was, next := rings(t)
	tr, err := ring.NewTransition(was, next, nil)
	if err != nil {
		t.Fatal(err)
	}
	settled := &ring.Current{Ring: was}
	begun := &ring.Current{Ring: was, Progress: ring.NewProgress(tr)}
	// Some steps are over, some are in phase 2.
	ahead := &ring.Current{Ring: was, Progress: ring.NewProgress(tr)}
	for i := range tr.Len() {
		if i%3 > 0 {
			ahead.Progress.Add(i, 1<<32-1)
		}
		if i%3 > 1 {
			ahead.Progress.Add(i, ^ring.Marks(0))
		}
	}
	for name, cur := range map[string]*ring.Current{"settled": settled, "begun": begun, "half-way": ahead} {
		t.Run(name, func(t *testing.T) {
			info := ringInfo(cur, addrOf, func(id kv.NodeID) bool { return id != 2 })
			m, err := wire.ParseRingInfo(info.Seal())
			if err != nil {
				t.Fatal(err)
			}
			checkNodes(t, &m, cur)
			moving := map[kv.Partition]wire.RingMove{}
			for _, v := range m.Moving {
				moving[v.Partition] = v
			}
			for i := range m.Partitions {
				p := kv.Partition(i)
				v := cur.View(p)
				owners := nodesAt(&m, m.Owners[i*m.Width:(i+1)*m.Width])
				readers := owners
				if move, ok := moving[p]; ok {
					owners, readers = nodesAt(&m, move.Owners), nil
					for i, id := range owners {
						if move.Readers>>i&1 != 0 {
							readers = append(readers, id)
						}
					}
				}
				want := slices.Sorted(slices.Values(v.Readers))
				if !slices.Equal(owners, v.Owners) || !slices.Equal(slices.Sorted(slices.Values(readers)), want) {
					t.Fatalf("partition %d: %v, of them %v read; the view is %+v", p, owners, readers, v)
				}
			}
			if (len(moving) > 0) != (cur.Progress != nil) {
				t.Errorf("%d partitions move", len(moving))
			}
		})
	}
}

func checkNodes(t *testing.T, m *wire.RingInfo, cur *ring.Current) {
	t.Helper()
	if m.Epoch != cur.Ring.Epoch() || m.Partitioner != "md5" || m.Width != 3 || len(m.Nodes) != len(cur.Latest().Nodes()) {
		t.Errorf("%+v", m)
	}
	for _, n := range m.Nodes {
		if n.Peer != addrOf(n.ID) || n.Up != (n.ID != 2) {
			t.Errorf("%+v", n)
		}
	}
}

// TestRingPageIsMadeOnNews: and only then.
func TestRingPageIsMadeOnNews(t *testing.T) {
	was, _ := rings(t)
	cur := &ring.Current{Ring: was}
	var page ringPage
	made, up := 0, true
	look := func() ([]byte, uint64) {
		return page.page(func() wire.RingInfo {
			made++
			return ringInfo(cur, addrOf, func(kv.NodeID) bool { return up })
		})
	}
	first, hash := look()
	if again, same := look(); made != 1 || same != hash || !bytes.Equal(again, first) {
		t.Errorf("made %d times without news", made)
	}
	page.changed()
	if _, same := look(); made != 2 || same != hash {
		t.Errorf("made %d times, with another hash: %v", made, same != hash)
	}
	up = false
	page.changed()
	if _, other := look(); other == hash {
		t.Error("the hash does not tell who is up")
	}
}
