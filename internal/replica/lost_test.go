package replica

import (
	"flag"
	"testing"

	"github.com/ringtaildb/ringtail/internal/object"
)

// seeds is how many random histories are played; `make sim` asks for more.
var seeds = flag.Uint64("seeds", 400, "random histories to play")

// lost are the ways in which local history gets lost, each as a history, and
// the rule without which that history would issue a dot twice; noRule where no
// single rule is all that prevents it. history.do says what the commands do.
var lost = []struct {
	name   string
	caught rule
	script string
}{
	{"wiped disk", newIDs, `
		put a v1
		send b v1
		wipe a
		put a v2
		send b v2`},
	{"wiped disk, filled again by its peers", newIDs, `
		put a v1
		send b v1
		put a v2
		send c v2
		wipe a
		copy a b
		put a v3`},
	{"lost write buffer", newBoots, `
		put a v1
		sync a
		put a v2
		send b v2
		crash a
		put a v3`},
	{"lost write buffer, of which a peer has a part", newBoots, `
		put a v1
		sync a
		put a v2
		send b v2
		put a v3
		send c v3
		crash a
		copy a b
		put a v4`},
	{"backup restored", newIDs, `
		put a v1
		backup a
		crash a
		put a v2
		send b v2
		restore a
		put a v3`},
	{"copy dropped and come back", onlyWritesSetOwn, `
		put a v1
		send b v1
		put a v2
		send c v2
		drop a
		copy a b
		put a v3`},
	{"failed local write that is in the log", newAfterFailure, `
		put a v1
		sync a
		fail a v2
		put a v3
		send b v3
		crash a`},
	{"first write fails", noRule, `
		fail a v1
		put a v2
		send b v2
		crash a`},
	{"two hint records of one key", ownActors, `
		put a v1
		put a v2 hint
		send b v1
		send b v2`},
	{"a hint record that came back by a merge", ownActors, `
		put a v1 hint
		put a v2
		send a v2 hint
		put a v3 hint
		send b v3`},
	{"clock that does not hold the writes", counterBeside, `
		put a v1 lww
		put a v2 lww
		send b v1`},
	{"crash between reserve and use", reservedAhead, `
		put a v1
		send b v1
		crash a
		put a v2`},
	{"the same, with the record synced and dropped", reservedAhead, `
		put a v1
		send b v1
		sync a
		drop a
		crash a
		put a v2`},
	{"clock cap that drops the actor's entry elsewhere", noRule, `
		put a v1
		send b v1
		put b v2 cap seen v1
		send a v2
		put a v3 cap seen v2
		send b v3
		put b v4 cap seen v3
		drop a
		send a v4
		put a v5`},
	{"a delete that is reaped, and the put comes late", noRule, `
		put a v1
		send b v1
		send c v1
		del a v2 seen v1
		send b v2
		send c v2
		low a
		floor a
		reap a
		send a v1
		gone a v1
		copy b a
		copy a b
		floor b
		floor c
		reap b
		reap c
		send b v1
		copy a b
		gone a v1
		gone b v1
		put b v3
		copy a b
		held a v3`},
	{"a tombstone dropped at once", floorDrops, `
		put a v1
		send b v1
		del a v2 seen v1
		send c v2
		reap a
		reap c
		copy a b
		gone a v1`},
	{"a floor kept when its copy is dropped", floorReset, `
		put a v1
		send b v1
		send c v1
		low a
		floor a
		floor b
		floor c
		leave c
		copy c a
		held c v1
		copy a c
		copy b c`},
	{"unsynced merges under a floor", noRule, `
		put a v1
		send b v1
		send c v1
		del a v2 seen v1
		send b v2
		send c v2
		put a v3 seen v2
		send b v3
		send c v3
		low a
		floor a
		floor b
		floor c
		crash b
		held b v3
		reap b
		crash b
		copy a b
		held a v3
		gone a v1`},
}

// overtaken are histories on a disk that lets floors overtake the data.
var overtaken = []struct {
	name   string
	caught rule
	script string
}{
	{"a floor written before its data", dataFirst, `
		put a v1
		sync a
		send b v1
		send c v1
		low a
		floor b
		crash b
		copy b a
		copy a b
		copy c b
		held b v1`},
}

var disks = map[string]func() disk{"log": newLogDisk, "pebble": newPebbleDisk, "logstore": newLogstoreDisk}

// TestLostHistory: whatever a node forgets, it issues no dot twice, and nothing
// that was acknowledged is lost for it.
func TestLostHistory(t *testing.T) {
	for name, newDisk := range disks {
		for _, c := range lost {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				if err := play(t, c.script, noRule, newDisk); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestEachRuleIsNeeded plays the same histories, each without its rule.
func TestEachRuleIsNeeded(t *testing.T) {
	for name, newDisk := range disks {
		for _, c := range lost {
			if c.caught == noRule {
				continue
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				if err := play(t, c.script, c.caught, newDisk); err == nil {
					t.Errorf("nothing is lost without the rule that %s", c.caught)
				}
			})
		}
	}
}

// TestOvertakingFloor: a floor that is on the disk before the data does no harm,
// as long as the data was there before it was written.
func TestOvertakingFloor(t *testing.T) {
	for _, c := range overtaken {
		if err := play(t, c.script, noRule, newOvertakingDisk); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if err := play(t, c.script, c.caught, newOvertakingDisk); err == nil {
			t.Errorf("%s: nothing is lost without the rule that %s", c.name, c.caught)
		}
	}
}

// TestAcknowledgedIsDurable: what a waiter was told of outlives a crash, unless
// it is told before the log has it.
func TestAcknowledgedIsDurable(t *testing.T) {
	for omit, want := range map[Omit]int{0: 1, OmitLog: 0} {
		d := newLogDisk()
		s := mustOpen(t, omit, self, d.open(t), &counter{}, rings{}, 1)
		var ack acknowledged
		_, _, _, err := s.Put(1, 0, historyKey, object.Write{Value: []byte("v")}, nil, &ack)
		if err != nil || ack.n.Load() != 1 {
			t.Fatalf("%v, told %d times", err, ack.n.Load())
		}
		s = mustOpen(t, 0, self, d.crashed().open(t), &counter{}, rings{}, 100)
		if got := mustRead(t, s, 0, historyKey).Len(); got != want {
			t.Errorf("omitting %d, %d values are left, want %d", omit, got, want)
		}
	}
}

// TestRandomHistories plays histories of 40 random commands.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range *seeds {
		script := randomScript(seed)
		if err := play(t, script, noRule, newLogDisk); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, script)
		}
	}
}

// TestRandomHistoriesFindEachRule: the same histories find out when any one of
// the rules is missing.
func TestRandomHistoriesFindEachRule(t *testing.T) {
	for _, off := range []rule{onlyWritesSetOwn, newBoots, newAfterFailure, counterBeside, ownActors, reservedAhead, newIDs} {
		t.Run(string(off), func(t *testing.T) {
			for seed := range uint64(400) {
				if play(t, randomScript(seed), off, newLogDisk) != nil {
					t.Logf("found with seed %d", seed)
					return
				}
			}
			t.Error("no seed finds it")
		})
	}
}
