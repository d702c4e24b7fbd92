package handoff

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestOwnerRefuses: it is left alone for a while that doubles, until it is known
// to be up again, or it takes a hint.
func TestOwnerRefuses(t *testing.T) {
	cfg := Default()
	cfg.MinPause, cfg.MaxPause = 100*time.Millisecond, time.Second
	for _, kind := range []kv.Kind{kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage} {
		c, standIn, owner, all := away(t, 200, cfg)
		c.comeUp(2)
		owner.slow.fail = kv.Errorf(kind, "apply batch", "not now")
		var tries []time.Duration
		for start := c.now; c.now.Sub(start) < 5*time.Second; c.pass(10 * time.Millisecond) {
			before := len(c.sent)
			c.run()
			if len(c.sent) > before {
				tries = append(tries, c.now.Sub(start).Round(100*time.Millisecond))
			}
		}
		want := "[0s 100ms 300ms 700ms 1.5s 2.5s 3.5s 4.5s]"
		if got := fmt.Sprint(tries); got != want {
			t.Errorf("%v: tried at %v, want %v", kind, got, want)
		}
		st := standIn.sender.Status()
		if len(st) != 1 || st[0].Failed != uint64(len(c.sent)) || kv.KindOf(st[0].Err) != kind || len(c.sent) > 8*cfg.Window {
			t.Errorf("%v: %d messages, status %+v", kind, len(c.sent), st)
		}
		owner.slow.fail = nil
		c.comeUp(2)
		c.pass(10 * time.Millisecond)
		c.run()
		if owner.lacks(all) == len(all) {
			t.Error("it is still left alone, though it came up")
		}
		c.settle(time.Second)
		c.rested()
	}
}

// TestPauseBeginsAnew: once a node has taken a hint, the next refusal counts as
// its first; and news of another node does not put off the end of its pause.
func TestPauseBeginsAnew(t *testing.T) {
	cfg := Default()
	cfg.Every = time.Hour
	c, standIn, owner, all := away(t, 2, cfg)
	c.comeUp(2)
	owner.refuse = map[string]error{string(all[1].k): kv.Errorf(kv.KindOverloaded, "merge", "not now")}
	c.pass(time.Millisecond)
	c.run()
	for i := range 6 {
		standIn.hint(2, all[0].k, fmt.Sprint(i))
		sent := len(c.sent)
		standIn.sender.PeerUp(5)
		c.pass(time.Millisecond)
		c.run()
		if len(c.sent) != sent {
			t.Fatalf("round %d: it is not left alone", i)
		}
		c.pass(cfg.MinPause)
		c.run()
		if len(c.sent) != sent+2 {
			t.Fatalf("round %d: %d messages after the pause", i, len(c.sent)-sent)
		}
	}
	owner.refuse = nil
	c.settle(cfg.MinPause + 50*time.Millisecond)
}

// TestNoPauseAfterSuccess: when all hints were delivered, those that come next do
// not wait.
func TestNoPauseAfterSuccess(t *testing.T) {
	c, standIn, owner, _ := away(t, 0, Default())
	c.comeUp(2)
	for range 10 {
		all := standIn.fill(2, 3, "value")
		c.pass(50 * time.Millisecond)
		c.run()
		if c.hints() != 0 || owner.lacks(all) != 0 {
			t.Fatalf("%d hints are left", c.hints())
		}
	}
}

// TestSessionEndsWhileItsPageIsRead: the page is not kept for the next session.
func TestSessionEndsWhileItsPageIsRead(t *testing.T) {
	c, standIn, owner, all := away(t, 100, Default())
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	standIn.onPage = func(kv.Partition) error {
		standIn.onPage = nil
		standIn.sender.find(2).stop()
		return nil
	}
	c.run()
	if n := len(standIn.sender.find(2).page); n != 0 {
		t.Errorf("%d hints are kept", n)
	}
	c.settle(2 * Default().Every)
	if owner.lacks(all) != 0 || len(c.sent) != len(all) {
		t.Errorf("%d messages for %d hints", len(c.sent), len(all))
	}
	c.rested()
}

// TestPageCannotBeRead: the hints of other partitions are delivered, and the
// node is told what is wrong.
func TestPageCannotBeRead(t *testing.T) {
	c, standIn, owner, all := away(t, 100, Default())
	bad := c.ring.PartitionOf(all[0].k)
	reads := 0
	standIn.onPage = func(p kv.Partition) error {
		if p != bad {
			return nil
		}
		reads++
		return kv.Errorf(kv.KindWrongVersion, "read record", "of a later release")
	}
	c.comeUp(2)
	for range 60 * 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	for _, w := range all {
		if in := c.ring.PartitionOf(w.k) == bad; owner.has(w.k, w.o) == in {
			t.Errorf("%v, in the bad partition: %v", w.k, in)
		}
	}
	if st := standIn.sender.Status(); len(st) != 1 || kv.KindOf(st[0].Err) != kv.KindWrongVersion || st[0].Failed != uint64(reads) || reads > 12 {
		t.Errorf("read %d times, status %+v", reads, st)
	}
	standIn.onPage = nil
	c.settle(Default().MaxPause)
	c.rested()
}

// TestStandInCannotDelete: a stand-in whose disk takes no deletion does not
// deliver over and over.
func TestStandInCannotDelete(t *testing.T) {
	c, standIn, _, all := away(t, 10, Default())
	c.comeUp(2)
	standIn.slow.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	for range 60 * 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if n := len(c.sent); c.hints() != len(all) || n > 12*len(all) {
		t.Errorf("%d messages, %d hints are left", n, c.hints())
	}
	standIn.slow.fail = nil
	c.settle(Default().MaxPause)
	c.rested()
}

// TestOneBadHint: a hint that its owner cannot take holds no other up, and is
// tried again less and less often.
func TestOneBadHint(t *testing.T) {
	c, standIn, owner, all := away(t, 300, Default())
	owner.refuse = map[string]error{string(all[7].k): kv.Errorf(kv.KindTooManySiblings, "merge objects", "one too many")}
	c.comeUp(2)
	for range 60 * 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if n := owner.lacks(all); n != 1 || c.hints() != 1 {
		t.Errorf("the owner lacks %d, %d hints are left", n, c.hints())
	}
	if n := len(c.sent); n < 300+8 || n > 300+12 {
		t.Errorf("%d messages for 300 hints, one of them bad", n)
	}
	if st := standIn.sender.Status(); len(st) != 1 || kv.KindOf(st[0].Err) != kv.KindTooManySiblings || st[0].Delivered != 299 {
		t.Errorf("status %+v", st)
	}
	owner.refuse = nil
	c.settle(Default().MaxPause)
	c.rested()
}
