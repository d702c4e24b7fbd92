// Package pebble is the storage engine on a disk: Pebble, a log-structured
// merge tree, made to fit the contract of internal/storage (Dynamo, SOSP 2007,
// §4.1; the durability of §6.1's writes).
//
// Pebble brings order, atomic batches, a log and compactions. This package
// adds what a store must have that refuses rather than dies:
//
//   - durable writes that share fsyncs without a caller waiting (waitLoop);
//   - a reserve of free space, below which writes are refused (space);
//   - a fence around the file system, which turns a failed write or fsync into
//     a final error of the engine, and a full disk into waiting (fence).
//
// And what a store must have whose disk forgets bits:
//
//   - checks of what Pebble would take for whole, or die of: the manifest, the
//     log, blob files, files that are missing or cut short (checkRecords,
//     blobFile, tableFile, whole, seal);
//   - to know and to tell what cannot be read (damages), and to cut it out when
//     it is dropped, so that nothing meets it again (cut);
//   - a pause after a compaction that failed (scheduler).
//
// What stays impossible: a panic on one of Pebble's own goroutines ends the
// process, and so may a broken invariant that it reports to Logger.Fatalf. After
// a crash the damage of what was written last, in the manifest or the log,
// passes for a write that the crash cut short.
package pebble

import (
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// Engine is a storage.Engine on a disk.
type Engine struct {
	db      *pebble.DB
	dir     string
	lock    *pebble.Lock
	health  *disk.Health
	space   *disk.Space
	fence   *fence
	users   *disk.Users
	counts  *counts
	damages *damages
	logger  *slog.Logger

	options   *pebble.Options // those of db
	scheduler *scheduler      // db's

	// gate is held by all changes, and for itself by a Drop that cuts out
	// damage.
	gate    sync.RWMutex
	dropped []span // near damage, ascending and apart; under gate

	pending chan pending   // durable batches, in the order of their fsyncs
	waiter  sync.WaitGroup // waitLoop
	stop    chan struct{}  // closed to end sampleLoop
	sampler sync.WaitGroup // sampleLoop
}

var _ storage.Engine = (*Engine)(nil)

// sampleLoop samples the free space until the engine is stopped.
func (e *Engine) sampleLoop(cfg Config) {
	ticks := cfg.Ticks
	var timer *time.Timer
	if ticks == nil {
		timer = time.NewTimer(cfg.SampleEvery)
		defer timer.Stop()
		ticks = timer.C
	}
	failing := false
	for {
		select {
		case <-e.stop:
			return
		case <-ticks:
		}
		if timer != nil {
			timer.Reset(beat.Pause(time.Now(), cfg.SampleEvery))
		}
		err := e.space.Sample()
		if err != nil && !failing {
			cfg.Logger.Error("look up free space", "err", err)
		}
		failing = err != nil
	}
}

// Close implements storage.Engine.
func (e *Engine) Close() error {
	if !e.users.Shut() {
		return errClosed("close")
	}
	e.space.Stop() // a call may be waiting for space
	e.users.Wait()
	close(e.pending)
	e.waiter.Wait()
	close(e.stop)
	e.sampler.Wait()

	e.damages.stop()
	logs := e.db.Metrics().WAL.Files
	err := kv.Wrap(kv.KindStorage, "close", e.db.Close()) // syncs the log
	if err == nil && !e.health.Failed() {
		e.seal(int(logs))
	}
	if lerr := kv.Wrap(kv.KindStorage, "unlock data directory", e.lock.Close()); err == nil {
		err = lerr
	}
	if failure := e.health.Outcome(); failure != nil {
		return failure
	}
	return err
}

// enter begins a call; the caller must leave e.users unless it returns an
// error.
func (e *Engine) enter(op string) error {
	if !e.users.Enter() {
		return errClosed(op)
	}
	if err := e.health.Err(); err != nil {
		e.users.Leave()
		return err
	}
	return nil
}

func errClosed(op string) error {
	return kv.Errorf(kv.KindClosed, op, "the pebble engine is closed")
}
