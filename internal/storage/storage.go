// Package storage is the contract between what a node stores and the engines
// that store it (Dynamo, SOSP 2007, §4.1: the local persistence engine is
// pluggable).
//
// An engine is an ordered map from keys to values, both opaque bytes. It knows
// partitions only as the prefixes that Scan takes. Versions, clocks
// and hash trees are the business of those above it.
//
// Every engine passes internal/storage/storagetest, which is this contract as
// a test.
package storage

import "github.com/ringtaildb/ringtail/internal/kv"

// Engine stores keys and values on one node. All methods are safe for
// concurrent use; Close may be called while others run, which then finish or
// return KindClosed.
//
// Every error is a *kv.Error:
//
//   - KindDiskFull: the write was refused because free space is below the
//     engine's reserve, before anything was touched. Reads go on, as do Drop and
//     batches that use the reserve, and writes are taken again once there is
//     space, without anybody's help.
//   - KindStorage: the disk failed. When it failed under a write or an fsync
//     the engine is final: each later call returns the same failure until the
//     engine is closed and opened again, because after a failed fsync nobody
//     knows which pages the disk holds.
//   - KindCorrupt: stored bytes failed their checksum, or are missing. They are
//     never served. The chain holds a *Damage, which names the file. The call
//     may be made again for other keys.
//   - KindTooLarge: the batch, or a key in it, is past MaxBatch or MaxKey.
//   - KindClosed: Close was called.
//
// A key shorter than PrefixLen is a programmer's error, and a panic.
type Engine interface {
	// Get appends the value of key to dst and returns the extended slice,
	// which the caller owns. Without the key, or on an error, it returns dst as
	// it was. It does not allocate when dst has room, and keeps neither slice.
	Get(key, dst []byte) (value []byte, found bool, err error)

	// Apply carries out b as a whole: once it returns nil every Get and every
	// later Scan sees all of b, and no reader ever sees a part of it, not even
	// after a crash.
	//
	// With a nil w the batch is durable only after a later Sync or a later
	// durable wait. Otherwise w.Durable is called exactly once, with nil once b
	// and every batch applied before it is on stable storage. Apply does not
	// wait for that, unless very many batches wait already: concurrent batches
	// share one fsync.
	//
	// What a crash leaves is the outcome of the first batches and drops, in the
	// order in which they were applied: all that were acknowledged as durable,
	// and perhaps some after them.
	//
	// If Apply returns an error, w is never called and b is certainly not
	// visible, now or after a restart. It keeps nothing of b.
	Apply(b *Batch, w Waiter) error

	// Scan calls fn for each key with prefix p in bytewise order, beginning
	// with the first that is not less than from, a whole key; nil begins at the
	// prefix's first. fn gets the whole key, and stops the scan by returning
	// false. The scan shows the state of one moment, between its call and the
	// first call of fn: writes that are applied while it runs are not seen.
	//
	// At damage it fails with KindCorrupt, after it has shown all keys before;
	// another scan, from a later key, goes on behind it.
	//
	// The slices are valid, and must not be changed, until fn returns. No lock
	// is held while fn runs: fn may take its time, and may call the engine.
	// Close waits for a running Scan, so fn must not call Close.
	Scan(p Prefix, from []byte, fn func(key, value []byte) bool) error

	// Drop removes all keys in [from, to). The bounds need not be keys, nor as
	// long as a prefix; a nil from is the beginning, a nil to the end, and a
	// range whose to is not greater than its from is empty. The removal is
	// atomic and durable when Drop returns nil. Its cost hardly depends on the
	// number of keys; their space comes back later. It is allowed while writes
	// are refused with KindDiskFull, because it frees space, unless the disk is
	// all but full. The bounds are the caller's again when Drop has returned.
	//
	// It drops what is damaged as well: when all that cannot be read around a
	// place is dropped, by one call or by several, nothing meets the damage
	// again. That is the range from after the last key that can be read to the
	// next one; until all of it is dropped, what is left of it stays KindCorrupt.
	//
	// After an error of kind KindStorage it is unknown whether the keys are
	// gone (kv.AppliedUnknown).
	Drop(from, to []byte) error

	// Sync returns nil once every batch that was applied before the call is on
	// stable storage.
	Sync() error

	// Stats returns counters and sizes. It is cheap enough to be called once a
	// second, and works on a failed or closed engine, where sizes are those
	// last known.
	Stats() Stats

	// Close waits for running calls, makes every applied batch durable, calls
	// every Waiter that still waits, and releases all that the engine holds. An
	// engine that has failed returns its failure and still releases everything.
	// A second Close returns KindClosed.
	Close() error
}

// Peeker is an Engine that knows whether a read has to wait for the disk. Those
// that keep all in memory have no need of it.
type Peeker interface {
	// Peek is Get for a caller that must not wait for the disk: where Get would, it
	// returns ErrWaits. It may return it where Get would not, and may wait where the
	// file system cannot tell.
	Peek(key, dst []byte) (value []byte, found bool, err error)
}

// ErrWaits is Peek's error for what is on the disk. It says nothing else of the
// key, and never leaves the node.
var ErrWaits error = kv.Errorf(kv.KindInternal, "peek", "the value is on the disk")

// Waiter learns when a batch is durable. It is an interface rather than a
// func so that a pooled request can be its own Waiter, without an allocation.
type Waiter interface {
	// Durable is called exactly once for a batch that Apply accepted. With nil
	// the batch is on stable storage; otherwise it is applied, but whether it
	// outlives a crash is unknown (kv.AppliedUnknown).
	//
	// It is called by a goroutine of the engine's, or by Apply itself before it
	// returns: hold no lock across Apply that Durable takes. It must not block
	// and must not call the engine, for the next waiter is behind it.
	Durable(err error)
}

// Stats is what an engine tells of itself. Counters count from Open; they do
// not go back.
type Stats struct {
	// Keys is an estimate of the keys that are stored. An engine that would
	// have to read its data to know counts overwritten and deleted keys that
	// are not yet compacted away as well.
	Keys uint64
	// DiskBytes is the disk space in use, logs and garbage included.
	DiskBytes uint64
	// MemoryBytes is the memory that the engine holds for data, its caches and
	// write buffers.
	MemoryBytes uint64
	// FreeBytes is the free space of the disk (of the limit, for an engine in
	// memory) when it was last sampled.
	FreeBytes uint64
	// Compactions counts those that have ended.
	Compactions uint64
	// Stalls counts the times that writes had to wait for the engine to catch
	// up.
	Stalls uint64
	// Syncs counts fsyncs of the log. Durable batches divided by Syncs is the
	// size of the commit groups.
	Syncs uint64
	// Refused counts the writes that got KindDiskFull.
	Refused uint64
}
