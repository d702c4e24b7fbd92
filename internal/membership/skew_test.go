package membership

import (
	"testing"
	"time"
)

func TestPeerTime(t *testing.T) {
	const s = int64(time.Second)
	for _, c := range []struct {
		name               string
		sent, arrived      time.Duration
		received, answered int64
		want               int64
	}{
		{"half of the way", 0, 2 * time.Second, 100 * s, 100 * s, 101 * s},
		{"the peer took its time", 0, 12 * time.Second, 100 * s, 110 * s, 111 * s},
		{"the peer's clock ran faster than ours", 0, time.Second, 100 * s, 105 * s, 105 * s},
	} {
		if got := peerTime(c.sent, c.arrived, c.received, c.answered); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestSkew(t *testing.T) {
	const s = int64(time.Second)
	var k skew
	if got := k.of(time.Second, 5*s); got != 0 {
		t.Errorf("without a peer: got %v", got)
	}
	// This node was started when all clocks showed 1000 s.
	k.add(2, 10*time.Second, 1010*s)
	k.add(3, 11*time.Second, 1011*s+s/2)
	k.add(4, 12*time.Second, 9999*s)
	if got := k.of(20*time.Second, 1020*s); got != -time.Second/2 {
		t.Errorf("median of 0, 0.5 s and much: got %v, want -0.5 s", got)
	}
	// The clock is set back an hour: what was compared before still counts.
	if got := k.of(21*time.Second, 1021*s-3600*s); got != -time.Hour-time.Second/2 {
		t.Errorf("after setting the clock: got %v", got)
	}
	k.add(3, 22*time.Second, 1022*s)
	if got := k.of(22*time.Second, 1022*s); got != 0 {
		t.Errorf("a peer's later sample replaces its first: got %v, want 0", got)
	}
	k.add(2, 23*time.Second+sampleAge, 1023*s+int64(sampleAge)+4*s)
	if got := k.of(sampleAge, 1000*s+int64(sampleAge)); got != -4*time.Second {
		t.Errorf("old samples count: got %v, want -4 s", got)
	}
	if n := testing.AllocsPerRun(100, func() { k.of(0, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMedianOfTwo(t *testing.T) {
	if got := median([]int64{9, 3}); got != 6 {
		t.Errorf("got %d, want 6", got)
	}
}
