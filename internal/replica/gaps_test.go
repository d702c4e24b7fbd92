package replica

import (
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// dropped notes the ranges that a Store has its engine drop.
type dropped struct {
	storage.Engine
	ranges [][2]string
}

// Drop implements storage.Engine.
func (d *dropped) Drop(from, to []byte) error {
	d.ranges = append(d.ranges, [2]string{string(from), string(to)})
	return d.Engine.Drop(from, to)
}

// TestCutGaps: what is dropped is all that lies between the records of a node
// and its hints, and nothing of theirs.
func TestCutGaps(t *testing.T) {
	_, memory := newStore(t, nil)
	e := &dropped{Engine: memory}
	s := mustOpen(t, 0, self, e, &counter{}, rings{testRing(t, 1)}, 1)
	k := kv.AppendKey(nil, "b", []byte("k"))
	mustPut(t, s, 3, k, object.Write{Value: []byte("v")})
	o := mustPut(t, s, 5, k, object.Write{Value: []byte("w")})
	if err := s.MergeHint(9, 4, k, o, nil); err != nil {
		t.Fatal(err)
	}
	for did := 1; did > 0; {
		var err error
		if did, err = s.Upkeep(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	data := func(p kv.Partition) string { return string(prefixOf(storage.SpaceData, p)) }
	hints := func(p kv.Partition) string { return string(prefixOf(storage.SpaceHints, p)) }
	for _, c := range []struct {
		name     string
		from, to string
		want     [][2]string
	}{
		{"from a partition to hints", data(2) + "x", hints(7), [][2]string{
			{data(2) + "x", data(3)}, {data(4), data(5)}, {data(6), hints(4)}, {hints(5), hints(7)},
		}},
		{"within a partition", data(3) + "a", data(3) + "b", nil},
		{"up to a partition", data(0), data(3), [][2]string{{data(0), data(3)}}},
		{"from within one to within the next", data(3) + "a", data(5) + "b", [][2]string{{data(4), data(5)}}},
		{"to the end", hints(4) + "x", "", [][2]string{{hints(5), ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.ranges = nil
			var to []byte
			if c.to != "" {
				to = []byte(c.to)
			}
			if err := s.CutGaps([]byte(c.from), to); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(e.ranges, c.want) {
				t.Errorf("dropped %q, want %q", e.ranges, c.want)
			}
		})
	}
	if mustRead(t, s, 3, k).Live() != 1 || mustRead(t, s, 5, k).Live() != 1 || !s.HoldsHints(4) {
		t.Error("something of the node's own was dropped")
	}
}

func prefixOf(space storage.Space, p kv.Partition) []byte {
	prefix := storage.NewPrefix(space, p)
	return prefix[:]
}
