package replica

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestListKeysRefusesOldLevels: a copy lists nothing for whom it would not answer a
// get: it may have been dropped since, and its list be empty.
func TestListKeysRefusesOldLevels(t *testing.T) {
	c := fromTwoToThree(t)
	for node := kv.NodeID(1); node <= 4; node++ {
		s := mustOpen(t, 0, node, newLogDisk().open(t), &counter{}, changing{c}, 1)
		for p := range kv.Partition(8) {
			m := wire.ListKeys{Bucket: []byte("b"), Partitions: []kv.Partition{p}}
			v := c.View(p)
			owner := false
			for _, id := range v.Owners {
				owner = owner || id == node
			}
			if _, err := s.KeysPage(v.Level, m); (err == nil) != owner {
				t.Errorf("node %v, partition %d, owner %v: %v", node, p, owner, err)
			}
			if _, err := s.KeysPage(v.Level+1, m); err != nil {
				t.Errorf("node %v is behind, and refuses: %v", node, err)
			}
			if err := s.Advance([]Advance{{Partition: p, Gets: v.Level + 1}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.KeysPage(v.Level, m); err == nil || kv.KindOf(err) != kv.KindStaleRing {
				t.Errorf("node %v, below its stage: %v", node, err)
			}
		}
	}
}

// TestListNames lists the buckets of a node: each with a live key, once in each
// partition, whatever their number.
func TestListNames(t *testing.T) {
	r := testRing(t, 1)
	s, _ := newStore(t, r)
	long := strings.Repeat("x", kv.MaxBucket-5)
	want := map[string]map[kv.Partition]bool{}
	for i := range 4000 {
		bucket := fmt.Sprintf("%05d%s", i/2, long)
		k := kv.AppendKey(nil, bucket, []byte{byte(i)})
		w := object.Write{Value: []byte("v")}
		if i%100 > 97 {
			w = object.Write{Deleted: true}
		} else if want[bucket] == nil {
			want[bucket] = map[kv.Partition]bool{}
		}
		if !w.Deleted {
			want[bucket][r.PartitionOf(k)] = true
		}
		mustPut(t, s, r.PartitionOf(k), k, w)
	}
	listed := map[string]int{}
	for _, name := range listAll(t, s, "", r.Params().Q) {
		listed[name]++
	}
	for bucket, in := range want {
		if listed[bucket] != len(in) {
			t.Errorf("%.5s is listed %d times, and has keys in %d partitions", bucket, listed[bucket], len(in))
		}
		delete(listed, bucket)
	}
	for bucket := range listed {
		t.Errorf("%.5s is listed, and has no keys", bucket)
	}
}

// TestNamesOfAPage collects the first names after one, in any order of coming.
func TestNamesOfAPage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 3000).Draw(t, "names")
		var want []string
		n := names{after: name(500)}
		for _, i := range all {
			if b := []byte(name(i)); n.wants(b) {
				n.add(b)
			}
			if i > 500 {
				want = append(want, name(i))
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if full := wire.MaxKeysPage/(len(name(0))+2) + 1; len(want) > full {
			want = want[:full]
		}
		if !slices.Equal(n.list, want) {
			t.Fatalf("%d names, want %d", len(n.list), len(want))
		}
	})
}

func name(i int) string { return fmt.Sprintf("%05d%s", i, strings.Repeat("x", 240)) }
