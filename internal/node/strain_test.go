package node

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/pace"
)

// TestStrain: what counts as slow is what was unusual before data moved.
func TestStrain(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m, s := metrics.NewNode(now), &strain{}
	serve := func(n int, took time.Duration) {
		for range n {
			m.Done(metrics.OpGet, took, nil)
			m.Done(metrics.OpPut, 2*took, nil)
		}
	}
	look := func(queued bool) pace.Load {
		now = now.Add(judgeEvery)
		s.judge(now, m, queued)
		return pace.Load(s.load.Load())
	}
	serve(1000, 4*time.Millisecond)
	s.usual(m.SLA(now))
	look(false) // what came before is not judged
	for _, tc := range []struct {
		what   string
		n      int
		took   time.Duration
		slow   int
		queued bool
		want   pace.Load
	}{
		{"nothing", 0, 0, 0, false, pace.Idle},
		{"as ever", 200, 4 * time.Millisecond, 0, false, pace.Calm},
		{"a little longer", 200, 5 * time.Millisecond, 0, false, pace.Calm},
		{"five of four hundred are slow, by chance", 200, 4 * time.Millisecond, 5, false, pace.Calm},
		{"so they are again", 200, 4 * time.Millisecond, 5, false, pace.Calm},
		{"and again", 200, 4 * time.Millisecond, 5, false, pace.Calm},
		{"more are", 200, 4 * time.Millisecond, 20, false, pace.Strained},
		{"fewer, now that it has been acted upon", 200, 4 * time.Millisecond, 8, false, pace.Calm},
		{"all take twice as long", 200, 8 * time.Millisecond, 0, false, pace.Strained},
		{"one single request is slow", 0, 0, 1, false, pace.Calm},
		{"as ever, but they queue", 200, 4 * time.Millisecond, 0, true, pace.Strained},
		{"it is over", 200, 4 * time.Millisecond, 0, false, pace.Calm},
	} {
		serve(tc.n, tc.took)
		for range tc.slow {
			m.Done(metrics.OpGet, time.Second, nil)
		}
		if got := look(tc.queued); got != tc.want {
			t.Errorf("%s: load %d, want %d", tc.what, got, tc.want)
		}
	}
	now = now.Add(time.Hour)
	serve(200, time.Second)
	if got := look(false); got != pace.Calm {
		t.Errorf("what came in the hour before counts: %d", got)
	}
}

// Before enough requests are known, only what is slow for any cluster counts.
func TestStrainOfANewNode(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m, s := metrics.NewNode(now), &strain{}
	s.usual(m.SLA(now))
	for i, tc := range []struct {
		took time.Duration
		want pace.Load
	}{{time.Millisecond, pace.Calm}, {unusual - 5*time.Millisecond, pace.Calm}, {2 * unusual, pace.Strained}} {
		now = now.Add(judgeEvery)
		s.judge(now, m, false)
		for range 50 {
			m.Done(metrics.OpPut, tc.took, nil)
		}
		now = now.Add(judgeEvery)
		s.judge(now, m, false)
		if got := pace.Load(s.load.Load()); got != tc.want {
			t.Errorf("case %d: load %d, want %d", i, got, tc.want)
		}
	}
}
