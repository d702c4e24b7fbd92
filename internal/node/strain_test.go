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
	serve(1000, time.Second)
	s.learn(now, m) // what came before is not learnt
	serve(1000, 4*time.Millisecond)
	now = now.Add(learnFor)
	s.learn(now, m)
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
	s.learn(now, m)
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

// What is usual is what was so of late, of enough requests.
func TestUsual(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m, s := metrics.NewNode(now), &strain{}
	s.learn(now, m)
	for _, tc := range []struct {
		what  string
		after time.Duration
		gets  int
		took  time.Duration
		want  time.Duration
	}{
		{"too early", learnFor - 1, 10 * enough, 4 * time.Millisecond, unusual},
		{"now", 1, 0, 0, 6 * time.Millisecond},
		{"too few", learnFor, enough - 1, 40 * time.Millisecond, 6 * time.Millisecond},
		{"in the end these few", longest, 0, 0, 60 * time.Millisecond},
		{"they are never slow", learnFor, enough, time.Microsecond, quick},
		{"no more than these in a minute", longest, knownFrom - 1, time.Second, unusual},
	} {
		for range tc.gets {
			m.Done(metrics.OpGet, tc.took, nil)
		}
		now = now.Add(tc.after)
		s.learn(now, m)
		if got := s.ops[0].slow; got < tc.want || got > tc.want*21/20 {
			t.Errorf("%s: longer than %v is slow, want %v", tc.what, got, tc.want)
		}
	}
}
