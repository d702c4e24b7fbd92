// Package logstore is a storage engine of Bitcask's design (Sheehy and Smith,
// 2010), made for Dynamo's small objects (SOSP 2007, §4.1): a log on the disk,
// and in memory where each key's record stands.
//
// A change goes to the end of the log, in memory, and a job writes what has
// gathered, with one fsync for all who wait (flush). The log is cut into segments
// (segment); a full one gets a hint, a file with its keys, so that a start need
// not read values (hint). The index is a B+tree for each prefix, whose snapshots
// cost nothing (tree, index). Where much of a segment is superseded, a merge
// writes what is not to a new one (merge).
//
// After a crash the log ends at the first record that is torn, unless it is known
// to have been fsynced: then it is damage (load). Damage costs the keys whose
// records it hits (damage).
package logstore

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// Engine is a storage.Engine on a disk.
type Engine struct {
	cfg    Config
	lock   *pebble.Lock
	health *disk.Health
	space  *disk.Space
	users  *disk.Users
	jobs   *disk.Users // the jobs that run
	logger *slog.Logger

	index  *index
	cache  *cache
	tables tables
	log    log
	hand   hand
	spares spares

	blocked  bool         // a write met a full disk; under log.mu
	closing  atomic.Bool  // a full disk is an error: the engine opens or closes
	dropping atomic.Int32 // drops that are not yet counted in their segments
	stalled  struct {
		sync.Mutex
		cond *sync.Cond
		n    atomic.Int32 // who waits
	}
	counts  counts
	damages damages
	merge   merge
	// blind is set where the file system does not tell what has to be read from the
	// disk.
	blind atomic.Bool
	// mergeAll has all segments of the log merged, and those with any garbage, for
	// tests.
	mergeAll atomic.Bool

	stop    chan struct{}  // closed to end the sampling of Ticks
	sampler sync.WaitGroup // it
}

var (
	_ storage.Engine = (*Engine)(nil)
	_ storage.Peeker = (*Engine)(nil)
)

// counts is what Stats tells that nobody else knows.
type counts struct {
	syncs, stalls, merges atomic.Uint64
}

// sampleTicks samples the free space at each tick, until the engine is stopped.
func (e *Engine) sampleTicks() {
	for {
		select {
		case <-e.stop:
			return
		case <-e.cfg.Ticks:
			e.sample()
		}
	}
}

// sampleJob samples the free space, again and again.
func (e *Engine) sampleJob() {
	if !e.jobs.Enter() {
		return
	}
	defer e.jobs.Leave()
	e.sample()
	e.sampleLater()
}

func (e *Engine) sampleLater() {
	e.cfg.After(beat.Pause(e.cfg.Now(), e.cfg.SampleEvery), e.sampleJob)
}

// sample looks up the free space, and has those try again who wait for some.
func (e *Engine) sample() {
	if err := e.space.Sample(); err != nil {
		e.logger.Error("look up free space", "err", err)
	}
	if e.spaceIsLow() {
		e.dropSpares()
	}
	e.unstick()
	e.sealRest()
	e.mergeSoon()
}

// Close implements storage.Engine.
func (e *Engine) Close() error {
	if !e.users.Shut() {
		return errClosed("close")
	}
	e.closing.Store(true)
	e.giveUp()
	e.users.Wait()
	close(e.stop)
	e.sampler.Wait()
	e.jobs.Shut()
	e.jobs.Wait()
	e.end()
	e.inspect() // what was met and not yet told
	e.closeFiles()
	err := kv.Wrap(kv.KindStorage, "unlock data directory", e.lock.Close())
	if failure := e.health.Outcome(); failure != nil {
		return failure
	}
	return err
}

// giveUp ends the waiting for space, by an error.
func (e *Engine) giveUp() {
	e.log.mu.Lock()
	stuck := e.log.mu.state == jobBlocked
	if stuck {
		e.log.mu.state = jobRuns
	}
	e.log.mu.Unlock()
	if stuck {
		e.flush()
	}
}

// end writes what is left, and seals the last segment.
func (e *Engine) end() {
	e.merge.abandon(e)
	g := &e.log
	g.mu.Lock()
	last := g.mu.segment
	if last != nil && last.size.Load() > preamble {
		g.footer()
	}
	g.mu.state = jobRuns
	g.mu.waiters = append(g.mu.waiters, waiter{done: make(chan error, 1)})
	g.mu.Unlock()
	e.flush()
	if last == nil || e.health.Failed() {
		return
	}
	for _, s := range e.tables.now.Load().segments {
		if s != last && s.full.Load() && !s.sealed.Load() {
			e.seal(s) // no job has come to it
		}
	}
	if last.size.Load() <= preamble {
		e.removeFile(last.path)
		if err := e.abandon(last); err != nil {
			e.fail("remove draft", err)
		}
		return
	}
	e.seal(last)
	e.cut(last)
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
	return kv.Errorf(kv.KindClosed, op, "the log engine is closed")
}

// Stats implements storage.Engine. Keys is exact.
func (e *Engine) Stats() storage.Stats {
	size := e.spares.bytes()
	for _, s := range e.tables.now.Load().segments {
		size += max(s.size.Load(), s.reused.Load()) + s.hintBytes.Load()
	}
	return storage.Stats{
		Keys:        uint64(max(0, e.index.keys.Load())),
		DiskBytes:   uint64(size),
		MemoryBytes: uint64(e.index.memory() + e.cache.bytes() + e.log.pending.Load()),
		FreeBytes:   e.space.Free(),
		Compactions: e.counts.merges.Load(),
		Stalls:      e.counts.stalls.Load(),
		Syncs:       e.counts.syncs.Load(),
		Refused:     e.space.Refused(),
	}
}
