package pace

import (
	"testing"
	"time"
)

// play lets a Governor go through windows of the given load, and returns its share
// after each.
func play(g *Governor, now *time.Time, windows int, load func(share float64) Load) []float64 {
	var out []float64
	for range windows {
		g.Note(*now, load(g.Share(*now)))
		*now = now.Add(window)
		out = append(out, g.Share(*now))
	}
	return out
}

func always(l Load) func(float64) Load { return func(float64) Load { return l } }

func TestGovernorOfAnIdleNode(t *testing.T) {
	g, now := &Governor{}, time.Unix(0, 0)
	if got := g.Share(now); got != least {
		t.Errorf("it begins with %v", got)
	}
	if got := play(g, &now, 4, always(Idle)); got[0] != 2*least || got[3] != 1 {
		t.Errorf("with nobody to disturb: %v", got)
	}
}

func TestGovernorYields(t *testing.T) {
	g, now := &Governor{}, time.Unix(0, 0)
	play(g, &now, 10, always(Calm))
	if got := play(g, &now, 20, always(Strained)); got[0] != fall || got[1] >= fall || got[19] != least {
		t.Errorf("under strain: %v", got)
	}
	if got := play(g, &now, 1, always(Calm)); got[0] != (1+rise)*least {
		t.Errorf("after strain it goes on from %v with %v", least, got)
	}
	if got := play(g, &now, 7, always(Idle)); got[6] != 1 {
		t.Errorf("when the clients are gone: %v", got)
	}
}

// One word of strain outweighs all others of its window, whatever their order.
func TestGovernorHeedsTheWorst(t *testing.T) {
	for _, order := range [][]Load{{Strained, Calm, Idle}, {Idle, Strained, Calm}, {Calm, Idle, Strained}} {
		g, now := &Governor{}, time.Unix(0, 0)
		play(g, &now, 10, always(Idle))
		for _, l := range order {
			g.Note(now, l)
		}
		if got := g.Share(now.Add(window)); got != fall {
			t.Errorf("%v: a share of %v", order, got)
		}
	}
}

func TestGovernorWithoutNews(t *testing.T) {
	g, now := &Governor{}, time.Unix(0, 0)
	was := g.Share(now)
	if got := g.Share(now.Add(time.Hour)); got != was {
		t.Errorf("%v became %v", was, got)
	}
}

// Where clients suffer above some share, it stays near that, and strains them in
// one window of five.
func TestGovernorSettles(t *testing.T) {
	for _, limit := range []float64{0.1, 0.3, 0.5, 0.9} {
		g, now, strained := &Governor{}, time.Unix(0, 0), 0
		const windows = 2000
		sum := 0.0
		for _, share := range play(g, &now, windows, func(share float64) Load {
			if share > limit {
				strained++
				return Strained
			}
			return Calm
		}) {
			sum += share
		}
		if strained > windows*22/100 {
			t.Errorf("limit %v: %d of %d windows were strained", limit, strained, windows)
		}
		if mean := sum / windows; mean < 0.7*limit || mean > limit {
			t.Errorf("limit %v: a mean share of %v", limit, mean)
		}
	}
}
