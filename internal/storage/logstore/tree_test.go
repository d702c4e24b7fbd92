package logstore

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTree holds a tree and a snapshot of it against maps: keys of all lengths,
// many with the same first bytes.
func TestTree(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var tr, snap tree
		want, then := map[string]loc{}, map[string]loc{}
		for step := range 3000 {
			key := make([]byte, rng.IntN(8))
			for i := range key {
				key[i] = byte(rng.IntN(3)) // zeros too: what short keys are padded with
			}
			place := newLoc(uint64(step), 1, int64(step), 9)
			_, was := want[string(key)]
			switch rng.IntN(10) {
			case 0, 1, 2:
				old, found := tr.remove(key)
				if found != was || was && old != want[string(key)] {
					t.Fatalf("seed %d: remove %x: %v", seed, key, found)
				}
				delete(want, string(key))
			case 3:
				if l := tr.get(key); (l != nil) != was || was && *l != want[string(key)] {
					t.Fatalf("seed %d: get %x: %v", seed, key, l)
				}
			case 4:
				if step%100 == 0 {
					snap, then = tr.snapshot(), maps.Clone(want)
				}
			default:
				if _, found := tr.set(key, place); found != was {
					t.Fatalf("seed %d: set %x: %v", seed, key, found)
				}
				want[string(key)] = place
			}
		}
		for _, c := range []struct {
			tree *tree
			want map[string]loc
		}{{&tr, want}, {&snap, then}} {
			keys := slices.Sorted(maps.Keys(c.want))
			i := 0
			c.tree.walk(nil, func(key []byte, l *loc) bool {
				if i == len(keys) || !bytes.Equal(key, []byte(keys[i])) || *l != c.want[keys[i]] {
					t.Fatalf("seed %d: %x at %d", seed, key, i)
				}
				i++
				return true
			})
			if i != len(keys) {
				t.Fatalf("seed %d: %d keys of %d", seed, i, len(keys))
			}
		}
	}
}
