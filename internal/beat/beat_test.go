package beat

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	const every = 250 * time.Millisecond
	epoch := time.Unix(1_800_000_000, 0)
	for _, tc := range []struct{ after, want time.Duration }{
		{0, every},
		{1, every - 1},
		{every/2 - 1, every/2 + 1},
		{every / 2, every + every/2},
		{every - 1, every + 1},
		{every, every},
		{10*every + time.Millisecond, every - time.Millisecond},
	} {
		if got := Pause(epoch.Add(tc.after), every); got != tc.want {
			t.Errorf("%v after a beat: a pause of %v, want %v", tc.after, got, tc.want)
		}
	}
}

// TestPauseKeepsTheBeat: a loop that works for a while at each turn turns once at
// each beat, whenever it began.
func TestPauseKeepsTheBeat(t *testing.T) {
	const every = 500 * time.Millisecond
	for began := time.Duration(0); began < every; began += 7 * time.Millisecond {
		now := time.Unix(0, int64(began))
		now = now.Add(Pause(now, every))
		first := now
		for turn := range 100 {
			if now.UnixNano()%int64(every) != 0 || now.Sub(first) != time.Duration(turn)*every {
				t.Fatalf("begun at %v: turn %d is %v after the first", began, turn, now.Sub(first))
			}
			work := time.Duration(turn*7) * time.Millisecond % (every / 2)
			now = now.Add(work)
			now = now.Add(Pause(now, every))
		}
	}
}
