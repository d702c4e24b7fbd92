package pebble

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

const (
	// writeCost is how many bytes reach the disk, soon, for each byte of a
	// batch: once in the log, once in a flush. Compactions are what the reserve
	// is for.
	writeCost = 2
	// opCost is what an op takes on disk beside its key and value, in bytes.
	opCost = 32
	// dropShare is the part of the reserve that must be free for a Drop, or a batch
	// that uses the reserve, which frees space but needs a little of it first.
	dropShare = 4
)

// space watches the free space of the disk. It is safe for concurrent use.
//
// A sample looks it up. Between two samples each batch is counted against the
// budget that the sample found, so that admitting one takes no system call.
type space struct {
	fs      vfs.FS
	dir     string
	reserve int64 // bytes

	free    atomic.Uint64 // bytes, at the last sample
	budget  atomic.Int64  // bytes that may be accepted until the next sample
	refused atomic.Uint64 // batches
	blocked atomic.Int32  // writes that met a full disk, and wait

	mu struct {
		sync.Mutex
		waiting bool          // writes may wait for space
		sampled chan struct{} // closed by the next sample
	}
}

func newSpace(fs vfs.FS, dir string, reserve int64) *space {
	s := &space{fs: fs, dir: dir, reserve: reserve}
	s.mu.sampled = make(chan struct{})
	return s
}

// sample looks up the free space, and lets the writes that wait for it try
// again. On an error what was known before stays. A file system that cannot
// tell has space without end.
func (s *space) sample() error {
	defer s.wake()
	usage, err := s.fs.GetDiskUsage(s.dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		usage, err = vfs.DiskUsage{AvailBytes: math.MaxInt64}, nil
	}
	if err != nil {
		return err
	}
	free := min(usage.AvailBytes, math.MaxInt64)
	s.free.Store(free)
	s.budget.Store(int64(free) - s.reserve)
	return nil
}

// admit returns an error of KindDiskFull for a batch that there is no space
// for, else it counts the batch.
func (s *space) admit(b *storage.Batch) error {
	cost := int64(writeCost * (b.Size() + opCost*b.Len()))
	if s.blocked.Load() == 0 {
		if s.budget.Add(-cost) >= 0 {
			return nil
		}
		if s.budget.Add(cost); b.UsesReserve() && s.spares() {
			return nil
		}
	}
	s.refused.Add(1)
	return s.full("apply batch")
}

// admitDrop is admit for a Drop.
func (s *space) admitDrop() error {
	if s.blocked.Load() == 0 && s.spares() {
		return nil
	}
	s.refused.Add(1)
	return s.full("drop")
}

// spares tells whether there is some of the reserve for what frees space.
func (s *space) spares() bool { return s.free.Load() >= uint64(s.reserve/dropShare) }

func (s *space) full(op string) error {
	return kv.Errorf(kv.KindDiskFull, op, "%d bytes were free on the disk, %d of them are in reserve",
		s.free.Load(), s.reserve)
}

// block and unblock enclose a write that met a full disk: nothing is admitted
// between them.
func (s *space) block()   { s.blocked.Add(1) }
func (s *space) unblock() { s.blocked.Add(-1) }

// next returns a channel that the next sample, or stop, closes. It returns
// false when nobody is to wait, before start and after stop.
func (s *space) next() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.sampled, s.mu.waiting
}

// start lets writes wait for space from now on: somebody samples.
func (s *space) start() {
	s.mu.Lock()
	s.mu.waiting = true
	s.mu.Unlock()
}

// stop ends all waiting, for good.
func (s *space) stop() {
	s.mu.Lock()
	s.mu.waiting = false
	s.mu.Unlock()
	s.wake()
}

func (s *space) wake() {
	s.mu.Lock()
	close(s.mu.sampled)
	s.mu.sampled = make(chan struct{})
	s.mu.Unlock()
}
