package vclock

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestIssue(t *testing.T) {
	own := func(node kv.NodeID, birth, counter uint64) Own { return Own{Actor{node, birth}, counter} }
	for _, c := range []struct {
		name      string
		own       Own
		clock     model
		node      kv.NodeID
		seq, from uint64
		want      Own
	}{
		{"a record without one gets a new actor", Own{}, nil, 7, 20, 1, own(7, 20, 1)},
		{"the next write counts on", own(7, 20, 1), nil, 7, 21, 1, own(7, 20, 2)},
		{"from the clock, where that is ahead", own(7, 20, 1), model{{7, 20}: 5}, 7, 21, 1, own(7, 20, 6)},
		{"from beside the actor, where the clock was cut", own(7, 20, 5), model{{7, 20}: 2}, 7, 21, 1, own(7, 20, 6)},
		{"other actors' entries do not matter", own(7, 20, 1), model{{7, 19}: 9, {8, 20}: 9}, 7, 21, 1, own(7, 20, 2)},
		{"born at this process's start", own(7, 20, 1), nil, 7, 30, 20, own(7, 20, 2)},
		{"one before it is not used again", own(7, 20, 1), nil, 7, 30, 21, own(7, 30, 1)},
		{"nor another node's", own(6, 20, 1), nil, 7, 30, 1, own(7, 30, 1)},
		{"a new actor counts from its own entry alone", own(6, 20, 4), model{{6, 20}: 4}, 7, 30, 1, own(7, 30, 1)},
	} {
		if got := Issue(c.own, c.clock.clock(), c.node, c.seq, c.from); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestIssueNeverRepeats keeps one record, whatever is merged into its clock and
// however often the process restarts.
func TestIssueNeverRepeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		issued := map[Dot]bool{}
		m, own := model{}, Own{}
		from := uint64(1)
		for seq := range uint64(rapid.IntRange(1, 30).Draw(t, "writes")) {
			switch rapid.IntRange(0, 4).Draw(t, "before") {
			case 0:
				from = seq + 1
			case 1:
				clear(m)
			}
			own = Issue(own, m.clock(), 7, seq+1, from)
			d := Dot(own)
			if issued[d] {
				t.Fatalf("%v is issued twice", d)
			}
			if m[d.Actor] >= d.Counter || d.Birth < from {
				t.Fatalf("%v is issued over %v, from %d", d, m, from)
			}
			issued[d], m[d.Actor] = true, d.Counter
		}
	})
}
