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
// What stays impossible: a panic on one of Pebble's own goroutines ends the
// process, and so may a broken invariant that it reports to Logger.Fatalf. One
// state of a disk is known to lead there: a blob file that is missing at Open.
// Damage in the last 32 KiB of the log passes for a write that a crash cut
// short. And a compaction that meets damage in level 0 or in a blob file is
// tried again at once, for ever: see Hooks.Corrupted.
package pebble

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Engine is a storage.Engine on a disk.
type Engine struct {
	db     *pebble.DB
	lock   *pebble.Lock
	health *health
	space  *space
	fence  *fence
	users  *users
	counts *counts

	pending chan pending   // durable batches, in the order of their fsyncs
	waiter  sync.WaitGroup // waitLoop
	stop    chan struct{}  // closed to end sampleLoop
	sampler sync.WaitGroup // sampleLoop
}

var _ storage.Engine = (*Engine)(nil)

// Open opens the engine in cfg.Dir. Its errors are of KindInvalid for a Config
// that is not valid, KindRefused when the directory is in use, KindDiskFull
// when the disk has no space for what opening writes, KindCorrupt when the
// directory is damaged, and KindStorage.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	lock, err := lockDir(&cfg)
	if err != nil {
		return nil, err
	}
	e := newEngine(cfg, lock)
	if err := e.open(cfg); err != nil {
		if cerr := lock.Close(); cerr != nil {
			cfg.Logger.Error("unlock data directory", "err", cerr)
		}
		return nil, err
	}
	return e, nil
}

func newEngine(cfg Config, lock *pebble.Lock) *Engine {
	e := &Engine{
		lock:    lock,
		health:  &health{logger: cfg.Logger},
		space:   newSpace(cfg.FS, cfg.Dir, cfg.ReserveBytes),
		users:   newUsers(),
		counts:  &counts{},
		pending: make(chan pending, cfg.WaitQueue),
		stop:    make(chan struct{}),
	}
	e.fence = &fence{FS: cfg.FS, health: e.health, space: e.space}
	return e
}

// open opens Pebble and starts the engine's goroutines. On an error it leaves
// nothing open but the lock.
func (e *Engine) open(cfg Config) error {
	if err := e.space.sample(); err != nil {
		return kv.Wrap(kv.KindStorage, "look up free space", err)
	}
	log := &logger{log: cfg.Logger, health: e.health}
	db, err := openDB(cfg.Dir, options(cfg, e.fence, e.lock, log, e.counts))
	if failure := e.health.watch(cfg.Hooks); failure != nil {
		// The fence kept the failure from Pebble, which may have gone on. What
		// it says when it closes follows from the failure.
		if err == nil {
			_ = db.Close()
		}
		return failure
	}
	if errors.Is(err, fs.ErrNotExist) {
		return kv.Wrap(kv.KindCorrupt, "open", err) // a file of the directory is gone
	}
	if err != nil {
		return readError("open", err)
	}
	e.db = db
	e.measure()
	e.space.start()
	e.waiter.Go(e.waitLoop)
	e.sampler.Go(func() { e.sampleLoop(cfg) })
	return nil
}

// openDB opens Pebble. A new directory it opens twice: Pebble creates one in an
// old format and brings it up to date, but its first log stays in the old
// format, which cannot tell damage from a write that a crash cut short.
func openDB(dir string, o *pebble.Options) (*pebble.DB, error) {
	desc, err := pebble.Peek(dir, o.FS)
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, o)
	if err != nil || desc.Exists {
		return db, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return pebble.Open(dir, o)
}

// lockDir makes the data directory and locks it.
func lockDir(cfg *Config) (*pebble.Lock, error) {
	const op = "lock data directory"
	if cfg.FS == vfs.Default {
		// One directory must have one name, for the lock to see it within a
		// process.
		dir, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return nil, kv.Wrap(kv.KindStorage, op, err)
		}
		cfg.Dir = dir
	}
	if err := cfg.FS.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, kv.Wrap(kv.KindStorage, "make data directory", err)
	}
	lock, err := pebble.LockDirectory(cfg.Dir, cfg.FS)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, kv.Wrap(kv.KindStorage, op, err)
	case err != nil:
		return nil, kv.Errorf(kv.KindRefused, op, "data directory in use: %s: %w", cfg.Dir, err)
	}
	return lock, nil
}

// sampleLoop samples the free space until the engine is stopped.
func (e *Engine) sampleLoop(cfg Config) {
	ticks := cfg.Ticks
	if ticks == nil {
		ticker := time.NewTicker(cfg.SampleEvery)
		defer ticker.Stop()
		ticks = ticker.C
	}
	failing := false
	for {
		select {
		case <-e.stop:
			return
		case <-ticks:
		}
		err := e.space.sample()
		if err != nil && !failing {
			cfg.Logger.Error("look up free space", "err", err)
		}
		failing = err != nil
	}
}

// Close implements storage.Engine.
func (e *Engine) Close() error {
	if !e.users.shut() {
		return errClosed("close")
	}
	e.space.stop() // a call may be waiting for space
	e.users.wait()
	close(e.pending)
	e.waiter.Wait()
	close(e.stop)
	e.sampler.Wait()

	err := kv.Wrap(kv.KindStorage, "close", e.db.Close()) // syncs the log
	if lerr := kv.Wrap(kv.KindStorage, "unlock data directory", e.lock.Close()); err == nil {
		err = lerr
	}
	if failure := e.health.outcome(); failure != nil {
		return failure
	}
	return err
}

// enter begins a call; the caller must leave e.users unless it returns an
// error.
func (e *Engine) enter(op string) error {
	if !e.users.enter() {
		return errClosed(op)
	}
	if err := e.health.err(); err != nil {
		e.users.leave()
		return err
	}
	return nil
}

func errClosed(op string) error {
	return kv.Errorf(kv.KindClosed, op, "the pebble engine is closed")
}

// readError returns err, which Pebble returned from a read, in the contract's
// terms.
func readError(op string, err error) error {
	if pebble.IsCorruptionError(err) || errors.Is(err, errDamaged) {
		return kv.Wrap(kv.KindCorrupt, op, err)
	}
	return kv.Wrap(kv.KindStorage, op, err)
}
