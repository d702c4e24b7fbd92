package replica

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
)

// hintModel is what the hints should be.
type hintModel struct {
	objects map[hintID]object.Object
	oldest  map[[2]uint16]kv.Time // by owner and partition, since they were empty
}

type hintID struct {
	owner kv.NodeID
	p     kv.Partition
	key   int
}

func (m hintModel) check(t *rapid.T, s *Store) {
	stats := map[kv.NodeID]HintStats{}
	parts := map[kv.NodeID]map[kv.Partition]bool{}
	for id, o := range m.objects {
		st := stats[id.owner]
		st.Owner = id.owner
		st.Keys++
		st.Bytes += uint64(storage.PrefixLen + ownerLen + len(hintTestKey(id.key)) + recordHeader + len(o.Bytes()))
		if at := m.oldest[[2]uint16{uint16(id.owner), uint16(id.p)}]; st.Oldest == 0 || at < st.Oldest {
			st.Oldest = at
		}
		stats[id.owner] = st
		if parts[id.owner] == nil {
			parts[id.owner] = map[kv.Partition]bool{}
		}
		parts[id.owner][id.p] = true
	}
	var want []HintStats
	for _, owner := range slices.Sorted(maps.Keys(stats)) {
		want = append(want, stats[owner])
	}
	if diff := cmp.Diff(want, s.Hints()); diff != "" {
		t.Fatalf("hints (-want +got):\n%s", diff)
	}
	for p := range kv.Partition(4) {
		held := false
		for _, in := range parts {
			held = held || in[p]
		}
		if s.HoldsHints(p) != held {
			t.Fatalf("partition %d: holds hints %v, want %v", p, !held, held)
		}
	}
	for owner := kv.NodeID(1); owner <= 3; owner++ {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(parts[owner])), s.HintPartitions(owner)); diff != "" {
			t.Fatalf("partitions of %v (-want +got):\n%s", owner, diff)
		}
	}
}

// TestHintsLikeAModel plays random writes, deletions and restarts.
func TestHintsLikeAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e, err := memory.Open(memory.Default())
		if err != nil {
			t.Fatal(err)
		}
		source := &counter{}
		s := hintStore(t, e, source, 1<<30)
		m := hintModel{map[hintID]object.Object{}, map[[2]uint16]kv.Time{}}
		for i := range rapid.IntRange(1, 40).Draw(rt, "steps") {
			id := hintID{
				kv.NodeID(rapid.IntRange(1, 3).Draw(rt, "owner")), kv.Partition(rapid.IntRange(0, 3).Draw(rt, "partition")),
				rapid.IntRange(0, 4).Draw(rt, "key"),
			}
			k, shelf := hintTestKey(id.key), [2]uint16{uint16(id.owner), uint16(id.p)}
			old, had := m.objects[id]
			now := kv.Time(1000 + i)
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				m.objects[id] = mustHint(t, s, id.owner, id.p, k, object.Write{Value: []byte("v"), Now: now})
			case 2:
				donor, _ := newStore(t, nil)
				in := mustPut(t, donor, id.p, k, object.Write{Value: []byte("in"), Now: now})
				if err := s.MergeHint(id.owner, id.p, k, in, nil); err != nil {
					rt.Fatal(err)
				}
				m.objects[id] = mustMerge(t, old, in)
			case 3, 4:
				deleted, err := s.DeleteHint(id.owner, id.p, k, object.VersionHash(old))
				if err != nil || deleted != had {
					rt.Fatalf("deleted %v, %v, want %v", deleted, err, had)
				}
				delete(m.objects, id)
			case 5:
				s = hintStore(t, e, source, 1<<30)
				m.oldest = map[[2]uint16]kv.Time{}
				for id, o := range m.objects {
					shelf := [2]uint16{uint16(id.owner), uint16(id.p)}
					if at := latest(o); m.oldest[shelf] == 0 || at < m.oldest[shelf] {
						m.oldest[shelf] = at
					}
				}
			}
			on := 0
			for other := range m.objects {
				if other.owner == id.owner && other.p == id.p {
					on++
				}
			}
			if o, has := m.objects[id]; on == 0 {
				delete(m.oldest, shelf)
			} else if has && !had && (on == 1 || latest(o) < m.oldest[shelf]) {
				m.oldest[shelf] = latest(o)
			}
			m.check(rt, s)
		}
	})
}
