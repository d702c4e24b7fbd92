package transport

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// load is a table whose calls come and are answered at rates of their own, in
// steps of a tick.
type load struct {
	t       *testing.T
	table   *callTable
	now     time.Duration
	ids     []uint64
	refused int
}

// play has come calls come and as many as answered be answered in each tick, for
// some time, and returns how many were refused.
func (l *load) play(d time.Duration, come, answered int) int {
	l.t.Helper()
	const tick = 50 * time.Millisecond
	l.refused = 0
	for end := l.now + d; l.now < end; l.now += tick {
		for range come {
			id, err := l.table.add(call{deadline: time.Hour})
			if err != nil {
				wantError(l.t, "a call too many", err, kv.KindOverloaded, kv.AppliedNo)
				l.refused++
				continue
			}
			l.ids = append(l.ids, id)
		}
		n := min(answered, len(l.ids))
		for _, id := range l.ids[:n] {
			l.table.take(id)
		}
		l.ids = l.ids[n:]
		l.table.judge(l.now, time.Millisecond)
	}
	return l.refused
}

func TestCrowd(t *testing.T) {
	const most = 1 << 16
	begin := func() *load { return &load{t: t, table: newCallTable(most)} }

	t.Run("standing", func(t *testing.T) {
		l := begin()
		l.play(2*time.Second, 800, 400) // 16,000 a second come, 8,000 are answered
		if n := l.play(2*time.Second, 800, 400); n != 40*400 {
			t.Errorf("%d calls were refused, want half of 32,000", n)
		}
		if n := len(l.ids); n < 800 || n > 2400 {
			t.Errorf("%d calls wait, which takes %v and not some 200 ms", n, time.Duration(n)*time.Second/8000)
		}
		if _, err := l.table.add(call{probe: true, deadline: time.Hour}); err != nil {
			t.Errorf("a ping among them: %v", err)
		}
		// The peer is quick again.
		l.play(time.Second, 800, 2000)
		if n := l.play(time.Second, 5000, 5000); n > 0 {
			t.Errorf("%d calls were refused after the crowd had gone", n)
		}
	})
	t.Run("few", func(t *testing.T) {
		l := begin()
		l.play(50*time.Millisecond, crowdFrom-2, 0)
		if n := l.play(10*time.Second, 1, 1); n > 0 {
			t.Errorf("%d of few calls were refused", n)
		}
	})
	t.Run("burst", func(t *testing.T) {
		l := begin()
		if n := l.play(50*time.Millisecond, 3000, 400) + l.play(time.Second, 100, 500); n > 0 {
			t.Errorf("%d calls of a burst were refused", n)
		}
	})
	t.Run("pause", func(t *testing.T) {
		l := begin()
		n := l.play(time.Second, 400, 400)
		n += l.play(700*time.Millisecond, 400, 0)
		n += l.play(300*time.Millisecond, 400, 4000)
		n += l.play(time.Second, 400, 400)
		if n > 0 {
			t.Errorf("%d calls were refused because the peer paused", n)
		}
	})
	t.Run("far away", func(t *testing.T) {
		l := begin()
		trip := 300 * time.Millisecond
		for i := range 200 { // 20,000 a second, each answered after a trip and a tick
			for range 1000 {
				id, err := l.table.add(call{deadline: time.Hour})
				if err != nil {
					t.Fatalf("tick %d: %v", i, err)
				}
				l.ids = append(l.ids, id)
			}
			if i > int(trip/(50*time.Millisecond)) {
				for _, id := range l.ids[:1000] {
					l.table.take(id)
				}
				l.ids = l.ids[1000:]
			}
			l.now += 50 * time.Millisecond
			l.table.judge(l.now, trip)
		}
	})
}
