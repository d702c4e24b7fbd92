package membership

import (
	"errors"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The events of a mint's life, and under whose id it mints after them: own (1),
// interim (2), or nobody's.
func TestMintStates(t *testing.T) {
	const own, interim = kv.NodeID(1), kv.NodeID(2)
	boom := kv.Errorf(kv.KindOldCopy, "test", "boom")
	events := map[string]func(mintState) mintState{
		"accepted": func(m mintState) mintState { return m.confirmed(own) },
		"waited":   mintState.waited,
		"stand in": func(m mintState) mintState { return m.standIn(interim) },
		"refused":  func(m mintState) mintState { return m.stopped(boom) },
	}
	for _, c := range []struct {
		events []string
		phase  phase
		id     kv.NodeID
	}{
		{nil, phaseAsking, 0},
		{[]string{"accepted"}, phaseConfirmed, own},
		{[]string{"waited"}, phaseAlone, 0},
		{[]string{"stand in"}, phaseAsking, 0},
		{[]string{"waited", "stand in"}, phaseInterim, interim},
		{[]string{"waited", "accepted"}, phaseConfirmed, own},
		{[]string{"waited", "accepted", "stand in"}, phaseConfirmed, own},
		{[]string{"waited", "stand in", "accepted"}, phaseConfirmed, own},
		{[]string{"accepted", "waited"}, phaseConfirmed, own},
		{[]string{"refused"}, phaseStopped, 0},
		{[]string{"accepted", "refused"}, phaseStopped, 0},
		{[]string{"waited", "stand in", "refused"}, phaseStopped, 0},
		{[]string{"refused", "accepted"}, phaseStopped, 0},
		{[]string{"refused", "waited", "stand in"}, phaseStopped, 0},
	} {
		var m mintState
		for _, e := range c.events {
			m = events[e](m)
		}
		if m.phase != c.phase || m.id != c.id || (m.phase == phaseStopped) != (m.err != nil) {
			t.Errorf("%v: got phase %d, id %v, err %v", c.events, m.phase, m.id, m.err)
		}
	}
}

func testMint(t *testing.T, fresh bool, interim func() (kv.NodeID, error)) *Mint {
	t.Helper()
	d := mustOpenDirectory(t, nil, "", "n1", counter(0))
	return newMint(d.record().node, newSequence(d, testBlock, func() {}), fresh, interim)
}

func isReady(m *Mint) bool {
	select {
	case <-m.Ready():
		return true
	default:
		return false
	}
}

func TestFreshNodeMintsAtOnce(t *testing.T) {
	m := testMint(t, true, nil)
	if !isReady(m) {
		t.Error("not ready")
	}
	for want := m.First(); want < m.First()+3*testBlock; want++ {
		if id, n, err := m.Next(); id != 1 || n != want || err != nil {
			t.Fatalf("got %v, %d, %v, want %d", id, n, err, want)
		}
	}
}

func TestMintWaitsForAWord(t *testing.T) {
	m := testMint(t, false, nil)
	if _, _, err := m.Next(); kv.KindOf(err) != kv.KindUnavailable || kv.AppliedOf(err) != kv.AppliedNo {
		t.Errorf("before a word: got %v", err)
	}
	if isReady(m) {
		t.Error("ready without a word")
	}
	m.confirm()
	if id, n, err := m.Next(); id != 1 || n != m.First() || err != nil || !isReady(m) {
		t.Errorf("after it: got %v, %d, %v", id, n, err)
	}
}

func TestMintUnderInterimID(t *testing.T) {
	drawn := 0
	var fails error
	m := testMint(t, false, func() (kv.NodeID, error) { drawn++; return 77, fails })
	m.pass()
	if drawn != 0 || !isReady(m) {
		t.Errorf("%d ids drawn before anybody minted, ready %v", drawn, isReady(m))
	}
	fails = errors.New("disk")
	if _, _, err := m.Next(); err != fails {
		t.Errorf("got %v, want the disk's error", err)
	}
	fails = nil
	for range 3 {
		if id, _, err := m.Next(); id != 77 || err != nil {
			t.Errorf("got %v, %v, want the interim id", id, err)
		}
	}
	if drawn != 2 {
		t.Errorf("%d ids drawn, want one for the failure and one", drawn)
	}
	m.confirm()
	if id, _, err := m.Next(); id != 1 || err != nil {
		t.Errorf("after a word: got %v, %v", id, err)
	}
}

func TestMintStops(t *testing.T) {
	m := testMint(t, true, nil)
	m.stop(kv.Errorf(kv.KindOldCopy, "test", "boom"))
	m.confirm()
	if _, _, err := m.Next(); kv.KindOf(err) != kv.KindOldCopy {
		t.Errorf("got %v, want old copy", err)
	}
}

// A peer that refuses while the interim id is being recorded has the last word.
func TestMintStopsDuringStandIn(t *testing.T) {
	var m *Mint
	m = testMint(t, false, func() (kv.NodeID, error) {
		m.stop(kv.Errorf(kv.KindOldCopy, "test", "boom"))
		return 77, nil
	})
	m.pass()
	if id, _, err := m.Next(); kv.KindOf(err) != kv.KindOldCopy {
		t.Errorf("got %v, %v, want old copy", id, err)
	}
}
