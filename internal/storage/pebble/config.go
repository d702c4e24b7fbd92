package pebble

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Config is what an Engine is opened with.
type Config struct {
	// Dir is the data directory. It is made when it does not exist, and locked
	// while the engine is open.
	Dir string
	// FS is the file system that holds Dir. All file access goes through it.
	FS vfs.FS
	// CacheBytes is the size of the block cache, in bytes.
	CacheBytes int64
	// MemTableBytes is the size of a memtable, in bytes: what is written
	// between two flushes. The engine holds up to maxMemTables of them, and its
	// log, which is read at Open, grows to as many times this size.
	MemTableBytes int64
	// Compactions is the greatest number of compactions that run at a time. One
	// runs as a rule; more as they fall behind. Each takes up to one processor.
	Compactions int
	// ReserveBytes is the free space that the engine leaves on the disk, in
	// bytes: below it writes get KindDiskFull. Flushes and compactions of what
	// was accepted before go on writing into the reserve, so it should be at
	// least maxMemTables·MemTableBytes for the flushes, plus 128 MiB for each of
	// Compactions; the default is twice that.
	ReserveBytes int64
	// SampleEvery is how often the free space is looked up. Between two samples
	// the engine counts what it accepts.
	SampleEvery time.Duration
	// Ticks, when not nil, replaces the ticker of SampleEvery: each value that
	// is received makes one sample. For tests; from an unbuffered channel, a
	// second value is received after the first sample is done.
	Ticks <-chan time.Time
	// WaitQueue bounds the durable batches whose fsync is outstanding. When it
	// is full a durable Apply waits for the disk.
	WaitQueue int
	// Logger gets Pebble's events at debug level, and its background errors,
	// damaged files and the engine's failure at error level.
	Logger *slog.Logger
	// Hooks tell the owner what happens inside.
	Hooks Hooks
}

// Hooks are calls from the engine to its owner. Each may be nil.
type Hooks struct {
	// Failed is called once, when the engine becomes final after Open has
	// returned it, with the error that every later call will return. The engine
	// must then be closed, and may be opened again. It runs on whatever goroutine
	// sees the failure, with Pebble's locks held: it must not block, and must not
	// call the engine.
	Failed func(error)
	// Corrupted is called for each file in which a read or a compaction meets
	// damage, once for each span of keys that cannot be read because of it, or
	// once without a span for a file of values. It is not called for damage that
	// no key depends on. It runs on a goroutine of its own, soon after the damage
	// was met, and may take its time, but must not call Close.
	//
	// The engine goes on, without those keys. What was lost should be dropped,
	// after the last key that can be read to the next one, and written anew:
	// until then compactions fail on it, at a slow pace, and space and speed
	// suffer.
	Corrupted func(storage.Damage)
}

// maxMemTables is the number of memtables, the one being written included, at
// which writes wait for a flush.
const maxMemTables = 4

// writeCost is how often each byte of a batch reaches the disk, soon: once in
// the log, once in a flush. Compactions are what the reserve is for.
const writeCost = 2

// Default returns the Config for a node of its own machine; only Dir is
// missing.
func Default() Config {
	c := Config{
		FS:            vfs.Default,
		CacheBytes:    256 << 20,
		MemTableBytes: 64 << 20,
		Compactions:   max(2, runtime.GOMAXPROCS(0)/2),
		SampleEvery:   250 * time.Millisecond,
		WaitQueue:     record.SyncConcurrency,
		Logger:        slog.Default(),
	}
	c.ReserveBytes = 2 * (maxMemTables*c.MemTableBytes + int64(c.Compactions)*(128<<20))
	return c
}

// Validate returns an error of KindInvalid that names the first field out of
// its range.
func (c Config) Validate() error {
	const op = "check pebble config"
	switch {
	case c.Dir == "":
		return kv.Errorf(kv.KindInvalid, op, "Dir is empty")
	case c.FS == nil:
		return kv.Errorf(kv.KindInvalid, op, "FS is nil")
	case c.CacheBytes < 0:
		return kv.Errorf(kv.KindInvalid, op, "CacheBytes is %d, and must not be negative", c.CacheBytes)
	case c.MemTableBytes < minMemTable || c.MemTableBytes > maxMemTable:
		return kv.Errorf(kv.KindInvalid, op, "MemTableBytes is %d, and must be %d to %d", c.MemTableBytes, minMemTable, maxMemTable)
	case c.Compactions < 1:
		return kv.Errorf(kv.KindInvalid, op, "Compactions is %d, and must be at least 1", c.Compactions)
	case c.ReserveBytes < 0:
		return kv.Errorf(kv.KindInvalid, op, "ReserveBytes is %d, and must not be negative", c.ReserveBytes)
	case c.SampleEvery <= 0 && c.Ticks == nil:
		return kv.Errorf(kv.KindInvalid, op, "SampleEvery is %v, and must be positive", c.SampleEvery)
	case c.WaitQueue < 1:
		return kv.Errorf(kv.KindInvalid, op, "WaitQueue is %d, and must be at least 1", c.WaitQueue)
	case c.Logger == nil:
		return kv.Errorf(kv.KindInvalid, op, "Logger is nil")
	}
	return nil
}

// Bounds of Config.MemTableBytes. Pebble's own upper bound is 4 GiB.
const (
	minMemTable = 64 << 10
	maxMemTable = 1 << 30
)
