package ring

import (
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestTakes: in each phase the owners of both sets take what they lack, but for
// the one that leaves, from phase 2 on.
func TestTakes(t *testing.T) {
	from, to := testStep(t, 1, 1, 2, 3), testStep(t, 2, 1, 2, 4)
	tr, err := NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := NewProgress(tr)
	s := &tr.Steps(0)[0]
	for phase := 1; phase <= 3; phase++ {
		v := g.View(0)
		if _, now := v.Level.Step(); now != phase {
			t.Fatalf("phase %d, want %d", now, phase)
		}
		for id := kv.NodeID(1); id <= 5; id++ {
			want := id <= 2 || id == 4 || id == 3 && phase == 1
			if v.Takes(id) != want {
				t.Errorf("phase %d: node %v takes %v", phase, id, !want)
			}
		}
		if !slices.Equal(slices.Sorted(slices.Values(v.Newest())), []kv.NodeID{1, 2, 4}) {
			t.Errorf("phase %d: the newest owners are %v", phase, v.Newest())
		}
		for place := range s.Union {
			switch phase {
			case 1:
				g.Add(0, MarkDone(place))
			case 2:
				g.Add(0, MarkStage2(place))
			}
		}
	}
	if v := from.View(0); !v.Takes(3) || v.Takes(4) || len(v.Newest()) != 3 {
		t.Errorf("while the ring is settled: %+v", v)
	}
}

func testStep(t *testing.T, epoch uint64, ids ...kv.NodeID) *Ring {
	t.Helper()
	params := DefaultParams()
	params.Q = 1
	var nodes []Node
	for _, id := range ids {
		nodes = append(nodes, Node{ID: id, Weight: 1})
	}
	r, err := Claim(nil, params, epoch, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
