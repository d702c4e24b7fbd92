package disk

import (
	"errors"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

const writeCost = 2

// usageFS reports free bytes, or err.
type usageFS struct {
	vfs.FS
	free uint64
	err  error
}

func (f *usageFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free}, f.err
}

// batchOf returns a batch with one key and value of size bytes together.
func batchOf(size int) *storage.Batch {
	var b storage.Batch
	b.Set(make([]byte, 10), make([]byte, size-10))
	return &b
}

func sampled(t *testing.T, free uint64, reserve int64) *Space {
	t.Helper()
	s := NewSpace(&usageFS{free: free}, "data", reserve, writeCost)
	if err := s.Sample(); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAdmitCountsBetweenSamples admits batches until the reserve is reached,
// without another sample.
func TestAdmitCountsBetweenSamples(t *testing.T) {
	const reserve, cost = 1000, writeCost * (100 + opCost)
	s := sampled(t, reserve+3*cost, reserve)
	for i := range 3 {
		if err := s.Admit(batchOf(100)); err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if err := s.Admit(batchOf(100)); kv.KindOf(err) != kv.KindDiskFull {
		t.Errorf("a batch into the reserve: %v", err)
	}
	if n := s.refused.Load(); n != 1 {
		t.Errorf("%d refused, want 1", n)
	}
	if err := s.Sample(); err != nil {
		t.Fatal(err)
	}
	if err := s.Admit(batchOf(100)); err != nil {
		t.Errorf("after a sample: %v", err)
	}
}

func TestAdmitAtTheLimit(t *testing.T) {
	const reserve, cost = 1000, writeCost * (100 + opCost)
	for _, c := range []struct {
		free uint64
		ok   bool
	}{
		{reserve + cost, true},
		{reserve + cost - 1, false},
		{0, false},
		{math.MaxUint64, true},
	} {
		if err := sampled(t, c.free, reserve).Admit(batchOf(100)); (err == nil) != c.ok {
			t.Errorf("with %d bytes free: %v", c.free, err)
		}
	}
	for _, c := range []struct {
		free uint64
		ok   bool
	}{
		{reserve / dropShare, true},
		{reserve/dropShare - 1, false},
	} {
		if err := sampled(t, c.free, reserve).AdmitDrop(); (err == nil) != c.ok {
			t.Errorf("a drop with %d bytes free: %v", c.free, err)
		}
	}
}

// TestRefusedBatchesCostNothing shows that a batch too large for the budget
// leaves it to smaller ones.
func TestRefusedBatchesCostNothing(t *testing.T) {
	s := sampled(t, 10_000, 0)
	for range 100 {
		if err := s.Admit(batchOf(10_000)); err == nil {
			t.Fatal("a batch of 10,000 bytes was admitted")
		}
	}
	if err := s.Admit(batchOf(100)); err != nil {
		t.Errorf("a small batch: %v", err)
	}
}

func TestSampleErrors(t *testing.T) {
	fs := &usageFS{free: 5000}
	s := NewSpace(fs, "data", 1000, writeCost)
	if err := s.Sample(); err != nil {
		t.Fatal(err)
	}
	fs.err = errors.New("no answer")
	if err := s.Sample(); !errors.Is(err, fs.err) {
		t.Errorf("sample: %v", err)
	}
	if free := s.free.Load(); free != 5000 {
		t.Errorf("after a failed sample %d bytes are free, want what was known", free)
	}
	fs.err = vfs.ErrUnsupported
	if err := s.Sample(); err != nil {
		t.Fatal(err)
	}
	if err := s.Admit(batchOf(1 << 20)); err != nil {
		t.Errorf("on a file system that cannot tell: %v", err)
	}
}

func TestBlockedAdmitsNothing(t *testing.T) {
	s := sampled(t, 1<<30, 0)
	s.Block()
	if err := s.Admit(batchOf(100)); kv.KindOf(err) != kv.KindDiskFull {
		t.Errorf("a batch while a write waits: %v", err)
	}
	if err := s.AdmitDrop(); kv.KindOf(err) != kv.KindDiskFull {
		t.Errorf("a drop while a write waits: %v", err)
	}
	s.Unblock()
	if err := s.Admit(batchOf(100)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNext(t *testing.T) {
	s := sampled(t, 1<<30, 0)
	if _, ok := s.Next(); ok {
		t.Error("a write may wait before start")
	}
	s.Start()
	ch, ok := s.Next()
	if !ok {
		t.Fatal("no write may wait after start")
	}
	select {
	case <-ch:
		t.Error("the next sample is there before it was made")
	default:
	}
	if err := s.Sample(); err != nil {
		t.Fatal(err)
	}
	<-ch
	ch, _ = s.Next()
	s.Stop()
	<-ch
	if _, ok := s.Next(); ok {
		t.Error("a write may wait after stop")
	}
}
