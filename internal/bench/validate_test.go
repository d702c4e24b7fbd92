package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestLimitsOfALoad holds each limit at itself and one past it.
func TestLimitsOfALoad(t *testing.T) {
	delays := func(n int, last time.Duration) []time.Duration {
		out := make([]time.Duration, n)
		out[n-1] = last
		return out
	}
	for name, c := range map[string]struct {
		allowed, refused func(*Config)
		want             string
	}{
		"rate":          {func(c *Config) { c.Rate = MaxRate }, func(c *Config) { c.Rate = MaxRate + 1 }, "a rate of"},
		"rate below 0":  {func(c *Config) { c.Rate = 1e-3 }, func(c *Config) { c.Rate = -1e-3 }, "a rate of"},
		"rate of none":  {func(c *Config) { c.Rate = 0 }, func(c *Config) { c.Rate = math.NaN() }, "a rate of"},
		"arrivals":      {func(c *Config) { c.Arrivals = "" }, func(c *Config) { c.Rate, c.Arrivals = 1, "odd" }, "neither even nor poisson"},
		"ramp":          {func(c *Config) { c.Rate, c.Ramp = 1, MaxDuration }, func(c *Config) { c.Rate, c.Ramp = 1, MaxDuration+1 }, "a ramp of"},
		"ramp below 0":  {func(c *Config) { c.Rate, c.Ramp = 1, 0 }, func(c *Config) { c.Rate, c.Ramp = 1, -1 }, "a ramp of"},
		"ramp alone":    {func(c *Config) { c.Rate, c.Ramp = 1, 1 }, func(c *Config) { c.Ramp = 1 }, "without a rate"},
		"interval":      {func(c *Config) { c.Interval = MinInterval }, func(c *Config) { c.Interval = MinInterval - 1 }, "shorter than"},
		"intervals":     {func(c *Config) { c.Duration, c.Interval = MaxIntervals*time.Second, time.Second }, func(c *Config) { c.Duration, c.Interval = (MaxIntervals+1)*time.Second, time.Second }, "more than 3600 intervals"},
		"long runs":     {func(c *Config) { c.Duration = MaxDuration }, func(c *Config) { c.Duration = MaxDuration + 1 }, "a duration of"},
		"processes":     {func(c *Config) { c.Processes = MaxProcesses }, func(c *Config) { c.Processes = MaxProcesses + 1 }, "processes are not within"},
		"process":       {func(c *Config) { c.Processes, c.Process = 3, 2 }, func(c *Config) { c.Processes, c.Process = 3, 3 }, "process 3"},
		"few callers":   {func(c *Config) { c.Processes, c.Concurrency = 3, 3 }, func(c *Config) { c.Processes, c.Concurrency = 3, 2 }, "as many callers"},
		"few keys":      {func(c *Config) { c.Processes, c.Keys = 3, 3 }, func(c *Config) { c.Processes, c.Keys = 3, 2 }, "and keys"},
		"hot keys":      {func(c *Config) { c.Distribution, c.Keys, c.HotKeys = Hotspot, 7, 7 }, func(c *Config) { c.Distribution, c.Keys, c.HotKeys = Hotspot, 7, 8 }, "8 hot keys"},
		"hot share":     {func(c *Config) { c.Distribution, c.HotShare = Hotspot, 1 }, func(c *Config) { c.Distribution, c.HotShare = Hotspot, 1.01 }, "a share"},
		"values":        {func(c *Config) { c.ValueBytes = kv.MaxValue }, func(c *Config) { c.ValueBytes = kv.MaxValue + 1 }, "1048577 bytes"},
		"delays":        {func(c *Config) { c.Delays = delays(MaxDelays, 1) }, func(c *Config) { c.Delays = delays(MaxDelays+1, 1) }, "33 delays"},
		"delay":         {func(c *Config) { c.Delays = delays(1, MaxDelay) }, func(c *Config) { c.Delays = delays(1, MaxDelay+1) }, "in order and within"},
		"delay below 0": {func(c *Config) { c.Delays = delays(1, 0) }, func(c *Config) { c.Delays = delays(1, -1) }, "in order and within"},
		"probers":       {func(c *Config) { c.Delays, c.Probers = delays(1, 1), MaxProbers }, func(c *Config) { c.Delays, c.Probers = delays(1, 1), MaxProbers+1 }, "257 probers"},
		"no probers":    {func(c *Config) { c.Probers = 0 }, func(c *Config) { c.Delays, c.Probers = delays(1, 1), 0 }, "0 probers"},
	} {
		allowed, refused := Default(), Default()
		c.allowed(&allowed)
		c.refused(&refused)
		if err := allowed.Validate(); err != nil {
			t.Errorf("%s, at the limit: %v", name, err)
		}
		if err := refused.Validate(); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, past the limit: %v, want %q", name, err, c.want)
		}
	}
}

// The timeline of any run that is allowed fits.
func TestDefaultIntervals(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, 10 * time.Minute: time.Second, 20 * time.Minute: 2 * time.Second, time.Hour: 10 * time.Second, MaxDuration: 5 * time.Minute,
	} {
		if got := (Config{Duration: d}).interval(); got != want || d/got > MaxIntervals {
			t.Errorf("of %v: %v, want %v", d, got, want)
		}
	}
}

// The callers of all processes are those that were asked for.
func TestCallersOfProcesses(t *testing.T) {
	for _, n := range []int{3, 4, 5, 64} {
		sum := 0
		for i := range 3 {
			sum += Config{Concurrency: n, Processes: 3, Process: i}.callers()
		}
		if sum != n {
			t.Errorf("%d callers, want %d", sum, n)
		}
	}
}
