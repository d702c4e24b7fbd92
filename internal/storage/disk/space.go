package disk

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
	// opCost is what an op takes on disk beside its key and value, in bytes.
	opCost = 32
	// dropShare is the part of the reserve that must be free for a Drop, or a batch
	// that uses the reserve, which frees space but needs a little of it first.
	dropShare = 4
)

// Space watches the free space of the disk. It is safe for concurrent use.
//
// A sample looks it up. Between two samples each batch is counted against the
// budget that the sample found, so that admitting one takes no system call.
type Space struct {
	fs      vfs.FS
	dir     string
	reserve int64 // bytes
	// writeCost is how many bytes reach the disk, soon, for each byte of a batch.
	writeCost int64

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

// NewSpace returns the free space of the disk that holds dir, of which reserve
// bytes are left. Each byte of a batch is counted writeCost times: as often as it
// is written soon. Sample must be called before the first Admit.
func NewSpace(fs vfs.FS, dir string, reserve, writeCost int64) *Space {
	s := &Space{fs: fs, dir: dir, reserve: reserve, writeCost: writeCost}
	s.mu.sampled = make(chan struct{})
	return s
}

// Sample looks up the free space, and lets the writes that wait for it try
// again. On an error what was known before stays. A file system that cannot
// tell has space without end.
func (s *Space) Sample() error {
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

// Admit returns an error of KindDiskFull for a batch that there is no space
// for, else it counts the batch.
func (s *Space) Admit(b *storage.Batch) error {
	cost := s.writeCost * int64(b.Size()+opCost*b.Len())
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

// AdmitDrop is Admit for a Drop.
func (s *Space) AdmitDrop() error {
	if s.blocked.Load() == 0 && s.spares() {
		return nil
	}
	s.refused.Add(1)
	return s.full("drop")
}

// spares tells whether there is some of the reserve for what frees space.
func (s *Space) spares() bool { return s.free.Load() >= uint64(s.reserve/dropShare) }

func (s *Space) full(op string) error {
	return kv.Errorf(kv.KindDiskFull, op, "%d bytes were free on the disk, %d of them are in reserve",
		s.free.Load(), s.reserve)
}

// Block and Unblock enclose a write that met a full disk: nothing is admitted
// between them.
func (s *Space) Block() { s.blocked.Add(1) }

// Unblock ends what Block began.
func (s *Space) Unblock() { s.blocked.Add(-1) }

// Next returns a channel that the next sample, or Stop, closes. It returns
// false when nobody is to wait, before Start and after Stop.
func (s *Space) Next() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.sampled, s.mu.waiting
}

// Start lets writes wait for space from now on: somebody samples.
func (s *Space) Start() {
	s.mu.Lock()
	s.mu.waiting = true
	s.mu.Unlock()
}

// Stop ends all waiting, for good.
func (s *Space) Stop() {
	s.mu.Lock()
	s.mu.waiting = false
	s.mu.Unlock()
	s.wake()
}

func (s *Space) wake() {
	s.mu.Lock()
	close(s.mu.sampled)
	s.mu.sampled = make(chan struct{})
	s.mu.Unlock()
}

// Free returns the bytes that were free at the last sample.
func (s *Space) Free() uint64 { return s.free.Load() }

// Low tells whether less is free than the reserve and n bytes.
func (s *Space) Low(n int64) bool { return s.free.Load() < uint64(s.reserve+n) }

// Refused returns how many batches and drops were refused.
func (s *Space) Refused() uint64 { return s.refused.Load() }

// Blocked tells whether a write waits for space.
func (s *Space) Blocked() bool { return s.blocked.Load() > 0 }

// Total returns the size of the disk that holds dir, which is made if need be, in
// bytes. It returns false for a file system that does not tell.
func Total(fs vfs.FS, dir string) (total uint64, known bool, err error) {
	const op = "size engine"
	if err := MakeDir(fs, dir); err != nil {
		return 0, false, kv.Wrap(kv.KindStorage, op, err)
	}
	usage, err := fs.GetDiskUsage(dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return 0, false, nil
	}
	return usage.TotalBytes, err == nil, kv.Wrap(kv.KindStorage, op, err)
}
