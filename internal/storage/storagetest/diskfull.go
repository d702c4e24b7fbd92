package storagetest

import (
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// RunDiskFull tests an engine on a disk that fills up.
func RunDiskFull(t *testing.T, open OpenDisk) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *fullDisk)
	}{
		{"BelowReserve", testBelowReserve},
		{"DropFreesSpace", testDropFreesSpace},
		{"BatchUsesReserve", testBatchUsesReserve},
		{"NoSpaceLeft", testNoSpaceLeft},
		{"CloseWithoutSpace", testCloseWithoutSpace},
		{"OpenWithoutSpace", testOpenWithoutSpace},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, &fullDisk{
				smallFS: newSmallFS(),
				open:    open,
				ticks:   make(chan time.Time),
			})
		})
	}
}

const (
	plenty      = 100 << 20
	testReserve = 1 << 20
)

// smallFS is a file system with little space: it reports what it is told to
// report, and takes what it is told to take.
type smallFS struct {
	vfs.FS
	disk *vfs.MemFS
	// full gets a value for each write that met no space. It is large enough
	// for every test.
	full chan struct{}

	mu struct {
		sync.Mutex
		reported, left uint64 // bytes
	}
}

func newSmallFS() *smallFS {
	disk := vfs.NewCrashableMem()
	s := &smallFS{FS: disk, disk: disk, full: make(chan struct{}, 1<<16)}
	s.setSpace(plenty, plenty)
	return s
}

// setSpace sets the free space that is reported, and that there is.
func (s *smallFS) setSpace(reported, left uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.reported, s.mu.left = reported, left
}

// take returns how many of n bytes there is space for.
func (s *smallFS) take(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = min(n, int(s.mu.left))
	s.mu.left -= uint64(n)
	return n
}

// GetDiskUsage implements vfs.FS.
func (s *smallFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: s.mu.reported, TotalBytes: plenty, UsedBytes: plenty - s.mu.reported}, nil
}

// Create implements vfs.FS.
func (s *smallFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.Create(name, category))
}

// ReuseForWrite implements vfs.FS.
func (s *smallFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.ReuseForWrite(oldname, newname, category))
}

func (s *smallFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &smallFile{File: f, fs: s}, nil
}

// Unwrap implements vfs.FS.
func (s *smallFS) Unwrap() vfs.FS { return s.FS }

type smallFile struct {
	vfs.File
	fs *smallFS
}

// Write implements vfs.File. Like a real disk it writes what fits.
func (f *smallFile) Write(p []byte) (int, error) {
	fits := f.fs.take(len(p))
	n, err := f.File.Write(p[:fits])
	if err == nil && fits < len(p) {
		f.fs.full <- struct{}{}
		err = syscall.ENOSPC
	}
	return n, err
}

// fullDisk is a smallFS and the means to open an engine on it.
type fullDisk struct {
	*smallFS
	open  OpenDisk
	ticks chan time.Time
}

func (d *fullDisk) mustOpen(t testing.TB) storage.Engine {
	t.Helper()
	e, err := d.open(Disk{
		FS:      d.smallFS,
		Reserve: testReserve,
		Ticks:   d.ticks,
		Failed:  func(err error) { t.Logf("the engine failed: %v", err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// tick has the engine look up the free space, and returns when it has.
func (d *fullDisk) tick() {
	d.ticks <- time.Time{}
	d.ticks <- time.Time{} // taken once the first is done
}

// fill makes the engine meet the end of the disk: it returns when a write has
// met it twice, so that the engine surely knows.
func (d *fullDisk) fill() {
	<-d.full
	for {
		select {
		case d.ticks <- time.Time{}: // at which an engine may try again
		case <-d.full:
			return
		}
	}
}

func testBelowReserve(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	k, other := key(p1, "k"), key(p1, "other")
	set(t, e, k, "v")
	var b storage.Batch
	b.Set(k, []byte("changed"))
	b.Set(other, []byte("new"))
	for round := range uint64(3) {
		d.setSpace(testReserve-1, plenty)
		d.tick()
		a := newAck()
		err := e.Apply(&b, a)
		wantKind(t, err, kv.KindDiskFull)
		if kv.AppliedOf(err) != kv.AppliedNo || a.called() {
			t.Errorf("a refused batch: applied %v, Waiter called %v", kv.AppliedOf(err), a.called())
		}
		wantKind(t, e.Apply(&b, nil), kv.KindDiskFull)
		wantScan(t, e, p1, nil, pair{"k", "v"})
		wantValue(t, e, k, "v")
		if s := e.Stats(); s.Refused != 2*(round+1) || s.FreeBytes != testReserve-1 {
			t.Errorf("Refused %d, FreeBytes %d, want %d and %d", s.Refused, s.FreeBytes, 2*(round+1), testReserve-1)
		}
		d.setSpace(plenty, plenty)
		d.tick()
		set(t, e, k, "v")
	}
}

func testDropFreesSpace(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	fill(t, e, p1, 10)
	d.setSpace(testReserve/2, plenty)
	d.tick()
	drop(t, e, p1)
	wantScan(t, e, p1, nil)
}

// testBatchUsesReserve: a batch that uses the reserve is taken where others are
// refused, but not when the disk is all but full.
func testBatchUsesReserve(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	k := key(p1, "k")
	set(t, e, k, "v")
	d.setSpace(testReserve/2, plenty)
	d.tick()
	var b storage.Batch
	b.Set(k, []byte("changed"))
	wantKind(t, e.Apply(&b, nil), kv.KindDiskFull)
	b.UseReserve()
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, e, k, "changed")
	b.Reset()
	b.Set(k, []byte("again"))
	wantKind(t, e.Apply(&b, nil), kv.KindDiskFull)
	d.setSpace(0, plenty)
	d.tick()
	b.UseReserve()
	wantKind(t, e.Apply(&b, nil), kv.KindDiskFull)
	wantValue(t, e, k, "changed")
}

// testNoSpaceLeft takes the space away although the engine saw plenty, and
// gives it back.
func testNoSpaceLeft(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	k := key(p1, "k")
	set(t, e, k, "v")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	d.setSpace(plenty, 10) // bytes: the next write is cut short
	a := newAck()
	var b storage.Batch
	b.Set(k, []byte("accepted"))
	if err := e.Apply(&b, a); err != nil {
		t.Fatal(err)
	}
	d.fill()
	if a.called() {
		t.Error("a batch was acknowledged that is not on the disk")
	}
	wantKind(t, e.Apply(&b, nil), kv.KindDiskFull)
	wantKind(t, dropAll(e, p1), kv.KindDiskFull)
	wantValue(t, e, k, "accepted")
	wantScan(t, e, p1, nil, pair{"k", "accepted"})
	e.Stats()

	d.setSpace(plenty, plenty)
	d.tick()
	if err := a.wait(); err != nil {
		t.Errorf("with space again: %v", err)
	}
	set(t, e, key(p1, "more"), "v")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	back, err := d.open(Disk{FS: d.disk.CrashClone(vfs.CrashCloneCfg{})})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOnce(t, back)
	wantScan(t, back, p1, nil, pair{"k", "accepted"}, pair{"more", "v"})
}

func testCloseWithoutSpace(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	k := key(p1, "k")
	set(t, e, k, "durable")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	d.setSpace(plenty, 10)
	a := newAck()
	var b storage.Batch
	b.Set(k, []byte("accepted"))
	if err := e.Apply(&b, a); err != nil {
		t.Fatal(err)
	}
	d.fill()
	wantKind(t, e.Close(), kv.KindDiskFull)
	if !a.called() {
		t.Fatal("the Waiter was not called")
	}
	if err := a.wait(); err == nil || kv.AppliedOf(err) != kv.AppliedUnknown {
		t.Errorf("the Waiter was called with %v", err)
	}
	d.setSpace(plenty, plenty)
	wantScan(t, d.mustOpen(t), p1, nil, pair{"k", "durable"})
}

func testOpenWithoutSpace(t *testing.T, d *fullDisk) {
	e := d.mustOpen(t)
	set(t, e, key(p1, "k"), "v")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	d.setSpace(0, 0)
	_, err := d.open(Disk{FS: d.smallFS, Reserve: testReserve, Ticks: d.ticks})
	wantKind(t, err, kv.KindDiskFull)
	d.setSpace(plenty, plenty)
	wantValue(t, d.mustOpen(t), key(p1, "k"), "v")
}
