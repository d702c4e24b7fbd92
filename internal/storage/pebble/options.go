package pebble

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/ringtaildb/ringtail/internal/kv"

	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

const (
	// separateFrom is the size in bytes from which a value is stored in a file
	// of its own kind, so that compactions move keys and not values.
	separateFrom = 512
	// bloomBits is the size of the bloom filters: 10 bits a key let one in a
	// hundred reads of a missing key touch a table.
	bloomBits = 10
	// stopL0 is the number of sublevels of L0 at which writes wait. It is far
	// beyond what is good for reads: a slow read is better than a refused
	// write, and compactions gain on it once writes pause.
	stopL0 = 1000
	// dropDelay is how long the space of a dropped partition may wait for the
	// next flush.
	dropDelay = 10 * time.Second
)

// options returns e's options for Pebble. All file access goes through e's
// fence, all compactions through its scheduler.
func options(cfg Config, e *Engine) *pebble.Options {
	logger := &logger{log: cfg.Logger, health: e.health}
	listener := listener(logger, e)
	o := &pebble.Options{
		FS:                          e.fence,
		Lock:                        e.lock,
		Logger:                      logger,
		DisableConsistencyCheck:     true, // whole does it, and one file is not all
		EventListener:               &listener,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cfg.CacheBytes,
		MemTableSize:                uint64(cfg.MemTableBytes),
		MemTableStopWritesThreshold: maxMemTables,
		L0StopWritesThreshold:       stopL0,
		FlushDelayDeleteRange:       dropDelay,
		CompactionConcurrencyRange:  func() (lower, upper int) { return 1, cfg.Compactions },
	}
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           separateFrom,
			MaxBlobReferenceDepth: 10,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.3,
		}
	}
	o.Experimental.CompactionScheduler = e.scheduler
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		o.Levels[i].FilterType = pebble.TableFilter
	}
	o.EnsureDefaults()
	return o
}

// listener returns what logs, counts and heeds Pebble's events.
func listener(logger *logger, e *Engine) pebble.EventListener {
	scheduler := e.scheduler
	log := pebble.MakeLoggingEventListener(logger)
	log.BackgroundError = func(err error) {
		logger.background(err)
		if readsStatistics() {
			scheduler.rest(firstPause)
			return
		}
		scheduler.failed(time.Now())
	}
	log.DataCorruption = func(i pebble.DataCorruptionInfo) { e.damages.meet(i.Path, i.Details) }
	return pebble.TeeEventListener(log, pebble.EventListener{
		FlushBegin:      func(pebble.FlushInfo) { e.counts.flushBegins() },
		FlushEnd:        func(i pebble.FlushInfo) { e.counts.flushEnds(i.Err) },
		WriteStallBegin: func(pebble.WriteStallBeginInfo) { e.counts.stalls.Add(1) },
	})
}

// readsStatistics says whether its caller's callers are the goroutine with
// which Pebble reads the statistics of tables. When it fails on damage it tries
// again at once, for ever, but it holds none of Pebble's locks when it says so:
// that is the place to slow it down.
func readsStatistics() bool {
	var callers [16]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, ").collectTableStats") {
			return true
		}
		if !more {
			return false
		}
	}
}

// logger is Pebble's logger.
type logger struct {
	log    *slog.Logger
	health *disk.Health
	last   atomic.Pointer[string] // the last background error
}

var _ pebble.Logger = (*logger)(nil)

// Infof implements pebble.Logger.
func (l *logger) Infof(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Errorf implements pebble.Logger. After a failure errors follow from it.
func (l *logger) Errorf(format string, args ...any) {
	level := slog.LevelError
	if l.health.Failed() {
		level = slog.LevelDebug
	}
	l.write(level, format, args)
}

// background logs an error of a flush or compaction, which Pebble tries again
// at once: the same error in a row is logged once.
func (l *logger) background(err error) {
	text := err.Error()
	if last := l.last.Swap(&text); last != nil && *last == text {
		return
	}
	l.Errorf("background error: %s", text)
}

// Fatalf implements pebble.Logger. Pebble means the process to end here. Of
// the places that call it, those that a disk can bring about return an error
// next, and need only be kept from the disk, which a failure does. The others
// are broken invariants of Pebble's own memory; what follows them may panic.
func (l *logger) Fatalf(format string, args ...any) {
	l.health.Fail(kv.KindStorage, "run pebble", fmt.Errorf(format, args...))
}

func (l *logger) write(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "pebble", "event", fmt.Sprintf(format, args...))
	}
}
