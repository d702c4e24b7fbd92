package antientropy

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// putFor puts a value at one node alone that lives for ttl.
func (n *node) putFor(k, value string, ttl time.Duration) {
	n.t.Helper()
	w := object.Write{Now: kv.TimeOf(n.now), Value: []byte(value), Expires: kv.ExpiryOf(kv.TimeOf(n.now.Add(ttl)))}
	if _, _, _, err := n.store.Put(kv.LevelOf(n.ring.Epoch()), n.place(key(k)), key(k), w, nil, nil); err != nil {
		n.t.Fatal(err)
	}
}

// keys is how many records the nodes hold, all together.
func (c *cluster) keys() int {
	sum := 0
	for _, n := range c.nodes {
		for p := range n.ring.Params().Q {
			keys, _, _ := n.store.Usage(kv.Partition(p))
			sum += int(keys)
		}
	}
	return sum
}

// TestExpiredIsReaped: what has expired goes at all owners, as what was deleted
// does; what has not, and what never will, stays. Until then nothing is swept, and
// that something expires makes no copies differ.
func TestExpiredIsReaped(t *testing.T) {
	c := newCluster(t, 5, testRing(t, 1, 8, 1, 2, 3, 4, 5), testConfig())
	for i := range 40 {
		k := fmt.Sprintf("k%d", i)
		owner := c.node(c.nodes[0].ring.Owners(c.nodes[0].place(key(k)))[0])
		switch i % 4 {
		case 0:
			owner.put(k, "for ever", none)
		case 1:
			owner.putFor(k, "for an hour", time.Hour)
		default:
			owner.putFor(k, "for five minutes", 5*time.Minute)
		}
	}
	c.live(5 * time.Minute)
	if n := c.keys(); n != 3*40 {
		t.Fatalf("%d records before anything has expired, want %d", n, 3*40)
	}
	for _, n := range c.nodes {
		if s := n.keeper.Status().Sweep; s.Finished+s.Abandoned > 0 {
			t.Errorf("node %v has swept, and nothing is to be reaped: %+v", n.id, s)
		}
	}
	sent := c.bytes
	c.exchange()
	roots := c.bytes - sent
	c.live(2 * time.Minute)
	if n := c.keys(); n != 3*20 {
		t.Errorf("%d records are left, want %d", n, 3*20)
	}
	c.equal()
	for _, n := range c.nodes {
		if s := n.keeper.Status().Sweep; s.Reapable != 0 {
			t.Errorf("node %v waits for another sweep: %+v", n.id, s)
		}
	}
	sent = c.bytes
	c.exchange()
	if again := c.bytes - sent; again > roots {
		t.Errorf("copies that are equal exchange %d bytes, before %d", again, roots)
	}
	c.live(time.Hour)
	if n := c.keys(); n != 3*10 {
		t.Errorf("%d records are left after an hour, want %d", n, 3*10)
	}
}

// TestSlowestClock: a value is reaped only once it is past at every member, by
// more than clocks may be off: not when one clock jumps ahead, the leader's or
// another one's, nor before the slowest.
func TestSlowestClock(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		ahead [3]time.Duration
		omit  Omit
		want  bool
	}{
		"all agree, and it is past":               {[3]time.Duration{day, day, day}, 0, true},
		"the leader's clock is ahead":             {[3]time.Duration{day, 0, 0}, 0, false},
		"another clock is ahead":                  {[3]time.Duration{0, 0, day}, 0, false},
		"one clock is behind":                     {[3]time.Duration{day, -time.Hour, day}, 0, false},
		"broken: the leader's clock alone counts": {[3]time.Duration{day, 0, 0}, OmitMark, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig()
			cfg.Omit = c.omit
			cl := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), cfg)
			cl.nodes[0].putFor("k", "v", day/2)
			for i, n := range cl.nodes {
				n.ahead = c.ahead[i]
			}
			// Something else to reap has a sweep begin.
			cl.nodes[0].put("other", "", cl.nodes[0].put("other", "v", none))
			cl.nodes[0].lead()
			cl.finish()
			for _, n := range cl.nodes {
				n.upkeep()
				if gone := n.get("k").Len() == 0; gone != c.want {
					t.Errorf("gone at node %v: %v, want %v", n.id, gone, c.want)
				}
			}
		})
	}
}

// TestMixedMarks: with a member that does not tell its clock there is no mark, and
// sweeps go on.
func TestMixedMarks(t *testing.T) {
	l := leader{k: &Keeper{local: local{cfg: Default()}}}
	for _, marks := range [][]lowMark{{{1, 5}, {clockMark, 90_000}}, {{2, 7}}} {
		l.words = append(l.words, &word{low: marks})
	}
	if m := l.mark(); m != 0 {
		t.Errorf("the mark is %d", m)
	}
	l.words[1].low = append(l.words[1].low, lowMark{clockMark, 80_000})
	if m := l.mark(); m != 79_000 {
		t.Errorf("the mark is %d, want 79000", m)
	}
	l.words[0].low[1].seq = 10
	if m := l.mark(); m != 0 {
		t.Errorf("of a clock that begins at 0 the mark is %d", m)
	}
}
