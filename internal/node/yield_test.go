package node

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/pace"
)

// TestYield: work in the background begins with little, takes what there is while
// nobody suffers, gives way when somebody does, and counts as under way for as long
// as it asks.
func TestYield(t *testing.T) {
	var y yield
	now := time.Unix(1_000_000, 0)
	work := func(load pace.Load, lasts time.Duration) (share float64) {
		for until := now.Add(lasts); now.Before(until); now = now.Add(50 * time.Millisecond) {
			share = y.share(now, load)
		}
		return share
	}
	if y.active(now) {
		t.Error("there is work before there is any")
	}
	first := y.share(now, pace.Calm)
	if first > 0.1 {
		t.Errorf("it begins with %v", first)
	}
	if share := work(pace.Idle, 5*time.Second); share != 1 {
		t.Errorf("with nobody to disturb it has %v", share)
	}
	if share := work(pace.Strained, 10*time.Second); share > first {
		t.Errorf("under strain it has %v", share)
	}
	if work(pace.Idle, 5*time.Second); !y.active(now) || y.active(now.Add(2*workedLately)) {
		t.Error("it is not told when it is under way")
	}
	now = now.Add(2 * forgetShare)
	if share := y.share(now, pace.Calm); share != first {
		t.Errorf("after a pause it begins with %v", share)
	}
}
