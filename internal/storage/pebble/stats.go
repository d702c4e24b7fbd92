package pebble

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// counts is what the engine counts itself. It is safe for concurrent use.
type counts struct {
	stalls atomic.Uint64
	// sets is the number of keys set since Open; flushed is its value when the
	// last successful flush began, flushing when the present one did. Their
	// difference estimates the keys that are in no table yet.
	sets, flushed, flushing atomic.Uint64
	// applied counts the batches applied since Open, synced is its value when the
	// last Sync that went to the disk began.
	applied, synced atomic.Uint64
	// last is the sizes that Stats returns when Pebble cannot be asked.
	last atomic.Pointer[sizes]
}

// sizes is the part of storage.Stats that Pebble knows.
type sizes struct {
	keys, disk, memory, compactions uint64
}

func (c *counts) flushBegins() { c.flushing.Store(c.sets.Load()) }

func (c *counts) flushEnds(err error) {
	if err == nil {
		c.flushed.Store(c.flushing.Load())
	}
}

// Stats implements storage.Engine. Keys counts the entries of all tables, so a
// key that was overwritten counts again until compactions meet it. While the
// disk is full the sizes are the last known, so that the caller does not have
// to wait for the disk.
func (e *Engine) Stats() storage.Stats {
	if e.users.Enter() {
		if !e.health.Failed() && !e.space.Blocked() {
			e.measure()
		}
		e.users.Leave()
	}
	s := e.counts.last.Load()
	return storage.Stats{
		Keys:        s.keys,
		DiskBytes:   s.disk,
		MemoryBytes: s.memory,
		FreeBytes:   e.space.Free(),
		Compactions: s.compactions,
		Stalls:      e.counts.stalls.Load(),
		Syncs:       e.fence.syncs.Load(),
		Refused:     e.space.Refused(),
	}
}

// measure asks Pebble for its sizes.
func (e *Engine) measure() {
	m := e.db.Metrics()
	e.counts.last.Store(&sizes{
		keys:        tableKeys(e.db) + e.counts.sets.Load() - e.counts.flushed.Load(),
		disk:        m.DiskSpaceUsage(),
		memory:      uint64(m.BlockCache.Size) + m.MemTable.Size + m.MemTable.ZombieSize,
		compactions: uint64(m.Compact.Count),
	})
}

// tableKeys returns the entries of all tables that are no deletions. Tables
// whose statistics are not read yet, after Open, count as empty.
func tableKeys(db *pebble.DB) (n uint64) {
	levels, err := db.SSTables()
	if err != nil {
		return 0 // it fails only with options that are not used here
	}
	for _, tables := range levels {
		for i := range tables {
			s := &tables[i].TableStats
			n += s.NumEntries - min(s.NumEntries, s.NumDeletions)
		}
	}
	return n
}
