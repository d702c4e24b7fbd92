package logstore

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// Config is what an Engine is opened with.
type Config struct {
	// Dir is the data directory. It is made when it does not exist, and locked
	// while the engine is open.
	Dir string
	// FS is the file system that holds Dir. All file access goes through it.
	FS vfs.FS
	// SegmentBytes is the size of a segment file, in bytes. A batch that is larger
	// gets a segment of its own. The engine holds one file open for each, and keeps
	// up to two that are empty, to be written over.
	SegmentBytes int64
	// CacheBytes is the memory for values that were read of late, in bytes; 0 for
	// none. What it does not hold takes a system call, and perhaps the disk.
	CacheBytes int64
	// FlushBytes is how much that nobody waits for gathers in memory before it is
	// written, in bytes.
	FlushBytes int64
	// FlushEvery is how long it may stay there.
	FlushEvery time.Duration
	// PendingBytes bounds what is applied and not yet written, in bytes: past it
	// Apply waits for the disk.
	PendingBytes int64
	// MergeGarbage is the share of garbage, of all and of a segment, at which
	// segments are merged, those with most of it first. Up to 1/(1-MergeGarbage)
	// times the live data are on the disk; a byte that comes is written up to
	// 1/MergeGarbage times.
	MergeGarbage float64
	// MergeSlack is how much garbage may lie about whatever its share, in bytes,
	// as long as there is space: the longer it waits, the less there is to copy.
	MergeSlack int64
	// MergeRate bounds how much merges read, in bytes a second. They go faster
	// when space is short, or there is half as much garbage again as there may be.
	MergeRate int64
	// ReserveBytes is the free space that the engine leaves on the disk, in
	// bytes: below it writes get KindDiskFull. A merge needs up to SegmentBytes
	// before it frees any.
	ReserveBytes int64
	// Loaders is how many segments are read at a time when the engine opens.
	Loaders int
	// SampleEvery is how often the free space is looked up. Between two samples
	// the engine counts what it accepts.
	SampleEvery time.Duration
	// Ticks, when not nil, replaces SampleEvery: each value that is received makes
	// one sample. For tests; from an unbuffered channel, a second value is received
	// after the first sample is done.
	Ticks <-chan time.Time
	// Go starts a job, and After starts one when the time has passed. All work in
	// the background is made of such jobs: they end by themselves and wait for
	// nothing but the disk, so one thread may carry them out in any order.
	Go    func(job func())
	After func(d time.Duration, job func())
	// Now returns the time.
	Now func() time.Time
	// Logger gets the engine's failure and damage at error level.
	Logger *slog.Logger
	// Hooks tell the owner what happens inside.
	Hooks Hooks
}

// Hooks are calls from the engine to its owner. Each may be nil.
type Hooks struct {
	// Failed is called once, when the engine becomes final after Open has
	// returned it, with the error that every later call will return. The engine
	// must then be closed, and may be opened again. It must not block, and must
	// not call the engine.
	Failed func(error)
	// Corrupted is called for damage that a read or a merge meets, once for each
	// run of keys that cannot be read because of it. It runs in a job of its own,
	// soon after, and may take its time, but must not call Close.
	//
	// The engine goes on without those keys. What was lost should be dropped, after
	// the last key that can be read to the next one, and written anew: until then
	// the segment is not merged.
	Corrupted func(storage.Damage)
	// Pace is asked for how long a merge rests that would rest for pause if it had
	// the machine to itself, at MergeRate. The answer counts in full only as long
	// as there is no more garbage than there may be: with half of what makes merges
	// urgent on top they rest for 2*pause at most. Open may begin a merge.
	Pace func(pause time.Duration) time.Duration
}

const (
	// maxSegment bounds Config.SegmentBytes: an offset has 32 bits, and a batch may
	// make a segment longer.
	maxSegment = 2 << 30
	minSegment = 16 << 10
	// wantSegments is how many segments Fit has a full disk hold at most, as long
	// as they are not larger than fitSegment.
	wantSegments = 4096
	fitSegment   = 1 << 30
	// reserveShare is the largest part of a disk, as 1/reserveShare, that is left
	// in reserve.
	reserveShare = 8
	// reserveSegments is the default slack, and the least reserve, in segments.
	reserveSegments = 4
	maxPending      = 1 << 30
	maxCache        = 1 << 40
)

// Default returns the Config for a node of its own machine; only Dir is missing.
func Default() Config {
	return Config{
		FS:           vfs.Default,
		SegmentBytes: 64 << 20,
		CacheBytes:   256 << 20,
		FlushBytes:   64 << 10,
		FlushEvery:   5 * time.Millisecond,
		PendingBytes: 16 << 20,
		MergeGarbage: 0.5,
		MergeSlack:   reserveSegments * (64 << 20),
		MergeRate:    64 << 20,
		ReserveBytes: 1 << 30,
		Loaders:      2,
		SampleEvery:  250 * time.Millisecond,
		Go:           func(job func()) { go job() },
		After:        func(d time.Duration, job func()) { time.AfterFunc(d, job) },
		Now:          time.Now,
		Logger:       slog.Default(),
	}
}

// Validate returns an error of KindInvalid that names the first field out of its
// range.
func (c Config) Validate() error {
	const op = "check logstore config"
	for _, f := range []struct {
		name     string
		n, least int64
		most     int64
	}{
		{"SegmentBytes", c.SegmentBytes, minSegment, maxSegment},
		{"FlushBytes", c.FlushBytes, 1, maxPending},
		{"FlushEvery", int64(c.FlushEvery), 1, int64(time.Minute)},
		{"CacheBytes", c.CacheBytes, 0, maxCache},
		{"PendingBytes", c.PendingBytes, 1, maxPending},
		{"MergeSlack", c.MergeSlack, 0, 1 << 60},
		{"MergeRate", c.MergeRate, 1, 1 << 50},
		{"ReserveBytes", c.ReserveBytes, 0, 1 << 60},
		{"Loaders", int64(c.Loaders), 1, 256},
	} {
		if f.n < f.least || f.n > f.most {
			return kv.Errorf(kv.KindInvalid, op, "%s is %d, and must be %d to %d", f.name, f.n, f.least, f.most)
		}
	}
	switch {
	case c.Dir == "":
		return kv.Errorf(kv.KindInvalid, op, "Dir is empty")
	case c.FS == nil:
		return kv.Errorf(kv.KindInvalid, op, "FS is nil")
	case !(c.MergeGarbage >= 0.05 && c.MergeGarbage <= 0.95):
		return kv.Errorf(kv.KindInvalid, op, "MergeGarbage is %v, and must be 0.05 to 0.95", c.MergeGarbage)
	case c.SampleEvery <= 0 && c.Ticks == nil:
		return kv.Errorf(kv.KindInvalid, op, "SampleEvery is %v, and must be positive", c.SampleEvery)
	case c.Go == nil:
		return kv.Errorf(kv.KindInvalid, op, "Go is nil")
	case c.After == nil:
		return kv.Errorf(kv.KindInvalid, op, "After is nil")
	case c.Now == nil:
		return kv.Errorf(kv.KindInvalid, op, "Now is nil")
	case c.Logger == nil:
		return kv.Errorf(kv.KindInvalid, op, "Logger is nil")
	}
	return nil
}

// Fit returns c for the disk that holds c.Dir: on a small one the reserve is no
// more than an eighth of it, and the segments are a fourth of the reserve, which
// must hold a merge; on a large one they grow, so that there are few of them. A
// file system that does not tell its size changes nothing.
func (c Config) Fit() (Config, error) {
	size, known, err := disk.Total(c.FS, c.Dir)
	if !known {
		return c, err
	}
	total := int64(min(size, 1<<60))
	c.SegmentBytes = max(c.SegmentBytes, min(total/wantSegments, fitSegment))
	c.ReserveBytes = max(c.ReserveBytes, reserveSegments*c.SegmentBytes)
	c.MergeSlack = max(c.MergeSlack, reserveSegments*c.SegmentBytes)
	if share := total / reserveShare; share < c.ReserveBytes {
		c.ReserveBytes = share
		c.MergeSlack = min(c.MergeSlack, share)
		c.SegmentBytes = max(minSegment, min(c.SegmentBytes, share/reserveSegments))
	}
	return c, nil
}
