package coordinator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestForwardedThroughAChange: who passes a request on, and whom it reaches, may
// know more or less of the ring than the other.
func TestForwardedThroughAChange(t *testing.T) {
	for from := range 4 {
		for to := range 4 {
			c := newChange(t, 5)
			for _, n := range c.nodes {
				n.progress = nil
			}
			c.know(to, c.nodes...)
			at := c.others[0]
			at.progress = nil
			c.know(from, at)
			// Only the two that change places are live, and two that stay.
			p := c.put(at.index(), c.k, "v", nil, strict(2, 2, 2))
			c.settle(p)
			want(t, p, "[]")
			d := c.del(at.index(), c.k, nil, strict(2, 2, 2))
			c.settle(d)
			want(t, d, "[]")
			g := c.get(at.index(), c.k, strict(2, 2, 2))
			c.settle(g)
			want(t, g, "[<deleted>]")
			c.end()
		}
	}
}

// TestTheNewOwnerIsBehind: a request that reaches it before the change does is
// refused, and tried again.
func TestTheNewOwnerIsBehind(t *testing.T) {
	c := newChange(t, 5)
	at := c.others[0]
	c.know(3, at)
	kill(true, c.stay...)
	for _, n := range c.stay {
		n.dead = false
	}
	c.stay[0].down = false
	p := c.put(at.index(), c.k, "v", nil, strict(1, 1, 1))
	c.settle(p)
	want(t, p, "[]")
	g := c.get(c.gained.index(), c.k, strict(1, 1, 1))
	c.settle(g)
	if !g.done || g.err != nil {
		t.Errorf("get at the new owner: %v (%v)", g, g.err)
	}
	revive(c.stay...)
	c.end()
}

// TestKeysInEachPhase lists each key once, though the new owner lacks them.
func TestKeysInEachPhase(t *testing.T) {
	for phase := range 4 {
		for _, moves := range []bool{false, true} {
			c := newChange(t, 5)
			wanted := map[string]bool{}
			for i := range 200 {
				p := c.put(i%5, fmt.Sprint("key", i), "v", nil, kv.Defaults())
				c.run()
				want(t, p, "[]")
				wanted[fmt.Sprint("key", i)] = true
			}
			for _, n := range c.nodes {
				n.progress = nil
			}
			for _, n := range c.nodes {
				for q := range 64 {
					c.p = kv.Partition(q)
					c.phaseOf(n, c.p, phase)
				}
			}
			at := c.gained
			at.coord.Peers = eager{at}
			got := map[string]bool{}
			b := Blocking{at.coord}
			err := b.Keys(t.Context(), "default", func(key []byte) error {
				if got[string(key)] {
					t.Errorf("%q came twice", key)
				}
				got[string(key)] = true
				if moves && len(got) == 1 {
					for q := range 64 {
						c.phaseOf(at, kv.Partition(q), min(phase+1, 3))
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("phase %d: %s", phase, diff)
			}
		}
	}
}

// phaseOf has n know a phase of the first step of any partition.
func (c *change) phaseOf(n *node, p kv.Partition, phase int) {
	if phase == 0 || len(c.Steps(p)) == 0 {
		return
	}
	if n.progress == nil {
		n.progress = ring.NewProgress(c.Transition)
	}
	s := &c.Steps(p)[0]
	for place, id := range s.Union {
		if phase >= 2 && id != c.gained.id {
			n.progress.Add(c.Index(p, 0), ring.MarkDone(place))
		}
		if phase >= 3 {
			n.progress.Add(c.Index(p, 0), ring.MarkStage2(place))
		}
	}
}

// TestKeysAreRefused: what a former owner would list of a copy that it may have
// dropped is listed of the present ones, of some of the partitions that were to be
// listed together.
func TestKeysAreRefused(t *testing.T) {
	c := newChange(t, 5)
	wanted, got := map[string]bool{}, map[string]bool{}
	for i := range 200 {
		p := c.put(i%5, fmt.Sprint("key", i), "v", nil, kv.Defaults())
		c.run()
		want(t, p, "[]")
		wanted[fmt.Sprint("key", i)] = true
	}
	at := c.others[0]
	for _, n := range c.nodes {
		n.progress = nil
		for p := range kv.Partition(64) {
			c.phaseOf(n, p, 1)
		}
	}
	at.coord.Peers = eager{at}
	refused := 0
	err := Blocking{at.coord}.Keys(t.Context(), "default", func(key []byte) error {
		got[string(key)] = true
		first := at.ring.PartitionOf(kv.AppendKey(nil, "default", key))
		for p := first + 1; p < 64 && refused == 0; p++ {
			if v := at.Current().View(p); len(c.Steps(p)) == 0 || !sameNodes(v.Readers, at.Current().View(first).Readers) {
				continue
			}
			for _, n := range c.nodes {
				c.phaseOf(n, p, 2)
				if err := n.store.Advance([]replica.Advance{{Partition: p, Gets: c.Level(0, 2)}}); err != nil {
					t.Fatal(err)
				}
				_, err := n.store.KeysPage(c.Level(0, 1), wire.ListKeys{Bucket: []byte("default"), Partitions: []kv.Partition{p}})
				if isStale(err) {
					refused++
				}
				if v := at.Current().View(p); slices.Contains(v.Old, n.id) && !slices.Contains(v.Newest(), n.id) {
					_, _, changes := n.store.Tree(p)
					if dropped, err := n.store.DropCopy(p, changes); err != nil || !dropped {
						t.Fatal(dropped, err)
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" || refused == 0 {
		t.Errorf("%d are refused: %s", refused, diff)
	}
}
