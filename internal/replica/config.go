package replica

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
)

// Config is what a Store is opened with.
type Config struct {
	// MaxHintBytes bounds what the node keeps for other nodes: the sum of its
	// hints' keys and records in bytes. Past it a new hint is declined, one that
	// exists still grows. Hints that were for an owner which the ring has no more,
	// and are kept for each present owner instead, are declined past twice as much.
	MaxHintBytes uint64
	// MaxHeadBytes bounds the memory for heads of records, 272 bytes for each key
	// that was written of late; 0 is none. With it, writes and the questions of
	// other nodes rarely read from the engine.
	MaxHeadBytes uint64
	// MaxSyncing bounds the writes of other nodes that wait for the disk at once: one
	// more is refused with KindOverloaded, before anything is written. An engine may
	// hold writers up where more of them wait than it has room for.
	MaxSyncing int
	// Wall is the wall clock by which listings leave out what has expired; nil is
	// the system's.
	Wall func() kv.Time
	// Hooks tell what an operator should know.
	Hooks Hooks
	// Omit leaves rules out: for the simulator and for tests, which prove that
	// they notice. It is zero in every node.
	Omit Omit
}

// Hooks are called by whoever found what they tell, under no lock but the
// stripe of a key: they must not call the Store.
type Hooks struct {
	// Damaged tells that records of partition p cannot be read, once until the
	// copy is repaired. It may be nil.
	Damaged func(p kv.Partition, cause error)
	// DamagedHints tells that a hint in partition p cannot be read, or that some
	// were set aside, each time. It may be nil.
	DamagedHints func(p kv.Partition, cause error)
	// Wrong tells that leaf l of p's tree was not the sum of its records; the
	// tree is built again. It may be nil.
	Wrong func(p kv.Partition, l merkle.Leaf)
}

// Default returns the Config of an ordinary machine: 1 GiB of hints, heads of some
// 250,000 keys, and no more writes that wait for the disk than Pebble has room for.
func Default() Config {
	return Config{MaxHintBytes: 1 << 30, MaxHeadBytes: 64 << 20, MaxSyncing: 4096}
}

// Validate returns an error of KindInvalid that names the first field out of
// its range.
func (c Config) Validate() error {
	switch {
	case c.MaxHintBytes == 0:
		return kv.Errorf(kv.KindInvalid, "check replica config", "MaxHintBytes is 0, and must be positive")
	case c.MaxSyncing < 1:
		return kv.Errorf(kv.KindInvalid, "check replica config", "MaxSyncing %d is less than 1", c.MaxSyncing)
	case c.Omit >= omitEnd:
		return kv.Errorf(kv.KindInvalid, "check replica config", "Omit is %#x, and has bits without a meaning", uint32(c.Omit))
	}
	return nil
}

// Omit is a set of rules that a Store leaves out, each of which keeps a promise.
type Omit uint32

// The rules that can be left out.
const (
	// OmitOwnByWrites adopts this node's entry in another copy's clock as the
	// record's actor, which only a local write may set.
	OmitOwnByWrites Omit = 1 << iota
	// OmitNewBoots goes on with actors of earlier processes.
	OmitNewBoots
	// OmitNewAfterFailure goes on with an actor whose last write failed.
	OmitNewAfterFailure
	// OmitCounterBeside counts an actor's writes by the clock alone.
	OmitCounterBeside
	// OmitOwnActors has one actor for all records of a process.
	OmitOwnActors
	// OmitDataBeforeFloor uses a floor at once, and makes neither the data
	// before it durable nor the floor. It shows only on an engine that lets a
	// floor overtake the data, as one with a file of its own for floors would:
	// others keep the order of their batches.
	OmitDataBeforeFloor
	// OmitFloorReset keeps a copy's floor when the copy is dropped.
	OmitFloorReset
	// OmitFloor drops tombstones and clock entries at once, whatever the floor.
	OmitFloor
	// OmitLeaf does not enter the writes of every second leaf in the tree.
	OmitLeaf
	// OmitLog tells that a write is durable when it is applied.
	OmitLog
	// OmitSeal takes puts of all levels into a copy that is sealed.
	OmitSeal
	// OmitStage2 answers gets of all levels from a copy at stage 2.
	OmitStage2
	// OmitStageLog keeps stages in memory only: a restart forgets them.
	OmitStageLog
	// OmitExpiryFloor drops what has expired by this node's clock at once, whatever
	// the floor.
	OmitExpiryFloor

	omitEnd
)

// wall returns the time by which values expire.
func (s *Store) wall() kv.Time {
	if s.cfg.Wall == nil {
		return kv.TimeOf(time.Now())
	}
	return s.cfg.Wall()
}

// omits tells whether rule is left out.
func (s *Store) omits(rule Omit) bool { return s.cfg.Omit&rule != 0 }
