package replica

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
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
