package pebble

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fencedFile is a file, or a directory, that Pebble writes through the fence.
type fencedFile struct {
	vfs.File
	fence *fence
	name  string
}

// Write implements vfs.File. What a full disk took of p before it was full is
// not written twice.
func (f *fencedFile) Write(p []byte) (int, error) {
	rest := p
	f.fence.do("write", f.name, func() error {
		n, err := f.File.Write(rest)
		rest = rest[n:]
		return err
	})
	return len(p), nil
}

// WriteAt implements vfs.File.
func (f *fencedFile) WriteAt(p []byte, off int64) (int, error) {
	f.fence.do("write", f.name, func() error {
		_, err := f.File.WriteAt(p, off)
		return err
	})
	return len(p), nil
}

// Preallocate implements vfs.File. It is a hint, and so is its error.
func (f *fencedFile) Preallocate(offset, length int64) error {
	if f.fence.health.Failed() {
		return nil
	}
	return f.File.Preallocate(offset, length)
}

// Sync implements vfs.File.
func (f *fencedFile) Sync() error {
	f.fence.sync(f.name, f.File.Sync)
	f.count()
	return nil
}

// SyncData implements vfs.File.
func (f *fencedFile) SyncData() error {
	f.fence.sync(f.name, f.File.SyncData)
	f.count()
	return nil
}

// SyncTo implements vfs.File.
func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	f.fence.sync(f.name, func() error {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, nil
}

// Close implements vfs.File. An error of close can be the first word of a
// write that failed, as on network file systems.
func (f *fencedFile) Close() error {
	if err := f.File.Close(); err != nil && !f.fence.health.Failed() {
		f.fence.fail("close", f.name, err)
	}
	return nil
}

// count counts an fsync of the log.
func (f *fencedFile) count() {
	if strings.HasSuffix(f.name, ".log") {
		f.fence.syncs.Add(1)
	}
}
