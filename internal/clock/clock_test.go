package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		now  kv.Time
		seen []kv.Time
		want kv.Time
	}{
		{10, nil, 10},
		{10, []kv.Time{0, 0}, 10},
		{10, []kv.Time{9}, 10},
		{10, []kv.Time{10}, 11},
		{10, []kv.Time{20, 12}, 21},
		{10, []kv.Time{12, 20}, 21},
	} {
		if got := Next(c.now, c.seen...); got != c.want {
			t.Errorf("Next(%d, %v) = %d, want %d", c.now, c.seen, got, c.want)
		}
	}
}

// TestNextIsPastAllSeen, whatever the clock does.
func TestNextIsPastAllSeen(t *testing.T) {
	times := rapid.Map(rapid.Uint64Range(0, 1<<60), func(n uint64) kv.Time { return kv.Time(n) })
	rapid.Check(t, func(t *rapid.T) {
		now, seen := times.Draw(t, "now"), rapid.SliceOf(times).Draw(t, "seen")
		got := Next(now, seen...)
		least := now
		for _, s := range seen {
			if got <= s {
				t.Fatalf("%d is not past %d", got, s)
			}
			least = max(least, s+1)
		}
		if got != least {
			t.Fatalf("%d, want the least such time, %d", got, least)
		}
	})
}

func TestChecks(t *testing.T) {
	const limit = time.Second
	now := kv.TimeOf(time.Unix(1000, 0))
	for _, c := range []struct {
		name string
		err  error
		ok   bool
	}{
		{"in step", CheckSkew(0, limit), true},
		{"ahead by the limit", CheckSkew(limit, limit), true},
		{"ahead by more", CheckSkew(limit+1, limit), false},
		{"behind by the limit", CheckSkew(-limit, limit), true},
		{"behind by more", CheckSkew(-limit-1, limit), false},
		{"seen nothing", CheckSeen(now, 0, limit), true},
		{"seen at the limit", CheckSeen(now, now+1_000_000, limit), true},
		{"seen past the limit", CheckSeen(now, now+1_000_001, limit), false},
	} {
		if (c.err == nil) != c.ok || c.err != nil && kv.KindOf(c.err) != kv.KindSkew {
			t.Errorf("%s: %v", c.name, c.err)
		}
	}
}
