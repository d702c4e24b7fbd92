package replica

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// stages is a history of one copy in the midst of a change: requests of all
// levels, stages that are raised, fills, damage, drops, restarts and crashes. It
// knows what the copy must have come to.
type stages struct {
	t    *testing.T
	rng  *rand.Rand
	omit Omit
	now  *ring.Current
	p    kv.Partition
	new  func() disk
	disk disk
	e    *countingEngine
	s    *Store
	boot uint64
	log  strings.Builder

	// puts and gets are the stage in memory, toldPuts and toldGets what of it was
	// told; fill is what was set.
	puts, gets, toldPuts, toldGets kv.Level
	fill                           Fill
	damaged                        bool
	// held are the keys that the copy has, filled those that it had when fill was
	// set.
	held, filled map[int]bool
	// raised are the stages that were raised, with what the copy had then, since
	// it was empty.
	raised []raisedStage
}

type raisedStage struct {
	puts, gets kv.Level
	held       map[int]bool
}

func newStages(t *testing.T, seed uint64, omit Omit, newDisk func() disk) *stages {
	now := fromTwoToThree(t)
	_, keeps, _ := partsOf(t, now, self)
	h := &stages{t: t, rng: rand.New(rand.NewPCG(seed, 1)), omit: omit, now: now, p: keeps, new: newDisk, disk: newDisk(), held: map[int]bool{}}
	h.open()
	return h
}

func (h *stages) open() {
	h.boot++
	h.e = &countingEngine{Engine: h.disk.open(h.t)}
	h.s = mustOpen(h.t, h.omit, self, h.e, &counter{}, changing{h.now}, h.boot<<20)
}

// level returns some level of before the change, or of its first step.
func (h *stages) level() kv.Level {
	return []kv.Level{kv.LevelOf(6), settled, settled.At(0, 1), settled.At(0, 2), settled.At(0, 3)}[h.rng.IntN(5)]
}

// key returns the i-th key of the partition.
func (h *stages) key(i int) kv.Key {
	for n := 0; ; n++ {
		k := kv.AppendKey(nil, "b", fmt.Append(nil, n))
		if h.now.Ring.PartitionOf(k) != h.p {
			continue
		}
		if i == 0 {
			return k
		}
		i--
	}
}

// play plays commands, and returns what is wrong after one.
func (h *stages) play(commands int) error {
	all := []struct {
		name string
		odds int
		do   func() error
	}{
		{"put", 30, h.put}, {"get", 20, h.get}, {"advance", 10, h.advance}, {"fail", 5, h.failAdvance},
		{"fill", 8, h.setFill}, {"damage", 2, h.damage}, {"repair", 6, h.repair}, {"drop", 3, h.drop},
		{"restart", 4, h.restart}, {"crash", 6, h.crash}, {"spoil", 2, h.spoil}, {"wipe", 1, h.wipe},
	}
	sum := 0
	for _, c := range all {
		sum += c.odds
	}
	for range commands {
		n, at := h.rng.IntN(sum), 0
		for ; n >= all[at].odds; at++ {
			n -= all[at].odds
		}
		fmt.Fprintf(&h.log, " %s", all[at].name)
		if err := all[at].do(); err != nil {
			return fmt.Errorf("%s: %w", all[at].name, err)
		}
		if err := h.check(); err != nil {
			return fmt.Errorf("after %s: %w", all[at].name, err)
		}
	}
	return nil
}

// check looks at what is told.
func (h *stages) check() error {
	if puts, gets := h.s.Stage(h.p); puts != h.toldPuts || gets != h.toldGets {
		return fmt.Errorf("it tells stage %v, %v, want %v, %v", puts, gets, h.toldPuts, h.toldGets)
	}
	f := h.s.Fill(h.p)
	f.Losses = 0
	if !reflect.DeepEqual(f, h.fill) {
		return fmt.Errorf("it tells fill %+v, want %+v", f, h.fill)
	}
	return nil
}

func (h *stages) put() error {
	level, i := h.level(), h.rng.IntN(8)
	donor, _ := newStore(h.t, nil)
	o := mustPut(h.t, donor, h.p, h.key(i), object.Write{Value: []byte("v")})
	m := wire.ReplicaPut{Ack: wire.AckApplied, Key: h.key(i), Object: o.Bytes()}
	line := askAt(h.s, wire.TypeReplicaPut, level, m.AppendTo(nil))
	if refused := strings.Contains(line, "stale ring"); refused != (level < h.puts) || !refused && strings.Contains(line, "error") {
		return fmt.Errorf("at %v, and the stage is %v: %s", level, h.puts, line)
	}
	if level >= h.puts {
		h.held[i] = true
	}
	return nil
}

func (h *stages) get() error {
	level, i := h.level(), h.rng.IntN(8)
	o, _, _, _, err := h.s.ReadUnder(level, h.p, h.key(i), nil)
	switch {
	case h.damaged:
		if err == nil || kv.KindOf(err) != kv.KindCorrupt {
			return fmt.Errorf("it is damaged, and answers: %w", err)
		}
	case level < h.gets:
		if err == nil || kv.KindOf(err) != kv.KindStaleRing {
			return fmt.Errorf("at %v, and the stage is %v: %w", level, h.gets, err)
		}
	case err != nil:
		return fmt.Errorf("at %v, and the stage is %v: %w", level, h.gets, err)
	case (o.Bytes() != nil) != h.held[i]:
		return fmt.Errorf("key %d is there: %v", i, !h.held[i])
	}
	return nil
}

// raise is what Advance is called with, no higher than the change goes.
func (h *stages) raise() []Advance {
	a := Advance{Partition: h.p, Puts: min(h.level(), settled.At(0, 1)), Gets: min(h.level(), settled.At(0, 2))}
	h.puts, h.gets = max(h.puts, a.Puts), max(h.gets, a.Gets)
	return []Advance{a}
}

func (h *stages) advance() error {
	a := h.raise()
	if h.puts != h.toldPuts || h.gets != h.toldGets {
		h.raised = append(h.raised, raisedStage{h.puts, h.gets, maps.Clone(h.held)})
	}
	h.toldPuts, h.toldGets = h.puts, h.gets
	return h.s.Advance(a)
}

func (h *stages) failAdvance() error {
	h.e.fail = "batch"
	defer func() { h.e.fail = "" }()
	if before := h.s.Advance(h.raise()); before == nil && h.omit != OmitStageLog && (h.puts != h.toldPuts || h.gets != h.toldGets) {
		return fmt.Errorf("the engine failed, and Advance did not")
	}
	if h.omit == OmitStageLog {
		h.toldPuts, h.toldGets = h.puts, h.gets
	}
	return nil
}

func (h *stages) setFill() error {
	f := Fill{Level: settled.At(0, 1), Done: h.rng.IntN(2) == 0, Sources: []kv.NodeID{2}}
	h.fill, h.filled = f, maps.Clone(h.held)
	f.Losses = h.s.Fill(h.p).Losses
	return h.s.SetFills(map[kv.Partition]Fill{h.p: f})
}

func (h *stages) damage() error {
	h.fill, h.damaged = Fill{}, true
	return h.s.MarkDamaged(h.p, errChecksum("test"))
}

func (h *stages) repair() error {
	upkeep(h.t, h.s)
	h.damaged = false
	return h.s.Repaired(h.p, h.s.Damages(h.p))
}

func (h *stages) drop() error {
	upkeep(h.t, h.s)
	_, _, changes := h.s.Tree(h.p)
	dropped, err := h.s.DropCopy(h.p, changes)
	if err == nil && !dropped {
		err = fmt.Errorf("it is not dropped")
	}
	h.empty()
	h.damaged = false
	return err
}

// empty notes that nothing is left of the data.
func (h *stages) empty() { h.fill, h.held, h.raised = Fill{}, map[int]bool{}, nil }

func (h *stages) restart() error {
	if err := h.s.Save(); err != nil {
		return err
	}
	h.disk = h.disk.copied()
	h.open()
	h.puts, h.gets = h.toldPuts, h.toldGets // what was not written is forgotten
	return nil
}

// crash has the power fail, and looks at what is left of the data: all that was
// there when the stage that is left was raised, or the fill that is left was set.
func (h *stages) crash() error {
	if d, ok := h.disk.(*logDisk); ok {
		h.disk = d.crashedAt(d.durable + h.rng.IntN(len(d.log)-d.durable+1))
	} else {
		h.disk = h.disk.crashed()
	}
	h.open()
	part, err := h.s.part(h.p)
	if err != nil {
		return err
	}
	st := part.stage.Load()
	left := map[int]bool{}
	for i := range 8 {
		if _, found, err := h.e.Get(appendDataKey(nil, h.p, h.key(i)), nil); err != nil {
			return err
		} else if found {
			left[i] = true
		}
	}
	for _, r := range h.raised {
		if r.puts <= st.puts && r.gets <= st.gets && !includes(left, r.held) {
			return fmt.Errorf("stage %v, %v is there, of %v only %v", st.puts, st.gets, r.held, left)
		}
	}
	if h.fill.Level != 0 && !includes(left, h.filled) {
		return fmt.Errorf("the fill is there, of %v only %v", h.filled, left)
	}
	h.puts, h.gets, h.held = h.toldPuts, h.toldGets, left
	h.damaged = part.damaged.Load() // to be repaired once more, if that was not synced
	return nil
}

func includes(a, b map[int]bool) bool {
	for i := range b {
		if !a[i] {
			return false
		}
	}
	return true
}

// spoil has the disk spoil the stage.
func (h *stages) spoil() error {
	var b storage.Batch
	b.Set(metaKey(h.p, metaStage), []byte{stageVersion})
	if err := h.e.Apply(&b, nil); err != nil {
		return err
	}
	if err := h.e.Sync(); err != nil {
		return err
	}
	h.disk = h.disk.copied()
	h.open()
	return h.lost()
}

// wipe begins on an empty disk.
func (h *stages) wipe() error {
	h.disk = h.new()
	h.open()
	h.empty()
	if err := h.s.MarkLost(errChecksum("test")); err != nil {
		return err
	}
	return h.lost()
}

// lost is what is left of a stage that is lost: once it was told again it is the
// highest of the change.
func (h *stages) lost() error {
	h.fill, h.damaged = Fill{}, true
	h.puts, h.gets = settled.At(0, 1), settled.At(0, 2)
	h.toldPuts, h.toldGets = h.puts, h.gets
	return h.s.Advance([]Advance{{Partition: h.p}})
}

// TestStageHistories: through whatever happens to a copy, what it refused once
// and told it refuses for ever, and a fill is there only with its data.
func TestStageHistories(t *testing.T) {
	for seed := range *seeds / 4 {
		h := newStages(t, seed, 0, newLogDisk)
		if err := h.play(60); err != nil {
			t.Fatalf("seed %d:%s\n%v", seed, h.log.String(), err)
		}
	}
	for name, newDisk := range disks {
		for seed := range uint64(4) {
			h := newStages(t, seed, 0, newDisk)
			if err := h.play(60); err != nil {
				t.Fatalf("seed %d, on %s:%s\n%v", seed, name, h.log.String(), err)
			}
		}
	}
}

// TestStageHistoriesFindEachRule: the same histories find out when a rule is
// missing.
func TestStageHistoriesFindEachRule(t *testing.T) {
	for _, omit := range []Omit{OmitSeal, OmitStage2, OmitStageLog} {
		seed := uint64(0)
		for newStages(t, seed, omit, newLogDisk).play(60) == nil {
			if seed++; seed == 100 {
				t.Fatalf("no seed finds rule %b", omit)
			}
		}
		t.Logf("rule %b is found with seed %d", omit, seed)
	}
}
