package pace

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestPace: in any stretch of time no more goes than the rate allows, with a
// burst and the rest of one message; and as much does, as long as there is
// something to send.
func TestPace(t *testing.T) {
	const rate, burst, most = 100_000, 100 * time.Millisecond, 3000
	type sent struct {
		at time.Duration
		n  int
	}
	rng := rand.New(rand.NewPCG(1, 1))
	p, start := Pace{Rate: rate, Burst: burst}, time.Unix(1000, 0)
	var all []sent
	total := 0
	const lasts = 20 * time.Second
	for at := time.Duration(0); at < lasts; at += time.Millisecond {
		for now := start.Add(at); p.Ready(now); {
			n := 1 + rng.IntN(most)
			p.Take(now, n)
			all, total = append(all, sent{at, n}), total+n
		}
	}
	if least := int(rate * lasts.Seconds()); total < least {
		t.Errorf("%d bytes went, the rate allows %d", total, least)
	}
	for i := range all {
		sum := 0
		for _, s := range all[i:] {
			sum += s.n
			if limit := rate*(s.at-all[i].at+burst).Seconds() + most; float64(sum) > limit {
				t.Fatalf("%d bytes went from %v to %v, at most %v may", sum, all[i].at, s.at, limit)
			}
		}
	}
}

// TestRoundsUp: a message takes no less time than the rate says.
func TestRoundsUp(t *testing.T) {
	p := Pace{Rate: 3}
	now := time.Unix(1, 0)
	p.Take(now, 1)
	if next := now.Add(333_333_334); p.Ready(next.Add(-1)) || !p.Ready(next) || p.ReadyWith(next, 1) {
		t.Error("the next does not go when the rate says")
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	total := uint64(0)
	for _, c := range []struct {
		at   float64
		add  uint64
		want uint64
	}{
		{0, 50, 0}, {0.9, 50, 0}, {1, 0, 100}, {1.5, 200, 100}, {2, 0, 150}, {4.9, 0, 75}, {5.9, 0, 60}, {6, 0, 40}, {7, 0, 0}, {7, 100, 0},
		{1000, 0, 0}, {1000, 500, 0}, {1005, 0, 100}, {1006, 0, 0},
	} {
		m.Add(at(c.at), c.add)
		total += c.add
		if got := m.Rate(at(c.at)); got != c.want || m.Total() != total {
			t.Errorf("at %v s: %d bytes/s, want %d; %d in all, want %d", c.at, got, c.want, m.Total(), total)
		}
	}
}
