package clock

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestTrusted(t *testing.T) {
	const hour = kv.Time(3_600_000_000)
	for _, c := range []struct {
		now  kv.Time
		skew time.Duration
		want kv.Time
	}{
		{5 * hour, 0, 5 * hour},
		{5 * hour, time.Second, 5 * hour},
		{5 * hour, -time.Second, 5 * hour},
		{5 * hour, time.Hour, 4 * hour},
		{5 * hour, -time.Hour, 6 * hour},
		{5 * hour, time.Second + time.Microsecond, 5*hour - 1_000_001},
		{hour, 2 * time.Hour, 0},
	} {
		if got := Trusted(c.now, c.skew, time.Second); got != c.want {
			t.Errorf("at %d with a skew of %v: %d, want %d", c.now, c.skew, got, c.want)
		}
	}
}
