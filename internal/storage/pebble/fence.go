package pebble

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"

	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// fence stands between Pebble and the disk, because Pebble does not survive a
// disk that fails: an error of its log or manifest ends the process or leaves
// its commit lock held for good, an error of a flush is tried again at once,
// for ever.
//
//   - When a change of the disk fails, the fence makes the engine final and
//     freezes the disk: the change, and each one after it, goes nowhere, and
//     Pebble is told that it succeeded. The directory stays as a crash at that
//     moment would have left it, Pebble keeps its wits until it is closed, and
//     nothing is acknowledged, since all results pass by health.
//   - When the disk is full, the fence holds the write until there is space and
//     tries again. Pebble does not notice; new writes are refused meanwhile.
//
// Reads pass through, with their errors. What Pebble does not check well is
// checked on the way: blob files (blobFile), the manifest and the log
// (checkRecords, logFile), and files that were cut short (tableFile).
type fence struct {
	vfs.FS
	health  *disk.Health
	space   *disk.Space
	damages *damages
	syncs   atomic.Uint64 // fsyncs of log files that went through
}

var _ vfs.FS = (*fence)(nil)

// do carries out one change of the disk. done is false when the disk is
// frozen, or froze now: the change must then be pretended.
func (f *fence) do(op, name string, change func() error) (done bool) {
	if f.health.Failed() {
		return false
	}
	err := change()
	if disk.IsFull(err) {
		err = f.retry(err, change)
	}
	if err != nil {
		f.fail(op, name, err)
	}
	return err == nil
}

// retry repeats change, which met a full disk with err, after each sample of
// the free space, and returns its first other outcome, or err when the engine
// closes.
func (f *fence) retry(err error, change func() error) error {
	f.space.Block()
	defer f.space.Unblock()
	for disk.IsFull(err) && !f.health.Failed() {
		// Taken before the attempt, so that a sample during it is not missed.
		sampled, ok := f.space.Next()
		if !ok {
			return err
		}
		if err = change(); disk.IsFull(err) {
			<-sampled
		}
	}
	return err
}

// sync is do for an fsync. It is never tried again, whatever the error: the
// kernel may have dropped the pages that it could not write, and would report
// success the second time.
func (f *fence) sync(name string, change func() error) {
	if f.health.Failed() {
		return
	}
	if err := change(); err != nil {
		f.fail("sync", name, err)
	}
}

func (f *fence) fail(op, name string, err error) {
	k := kv.KindStorage
	if disk.IsFull(err) {
		k = kv.KindDiskFull
	}
	f.health.Fail(k, op+" "+f.FS.PathBase(name), err)
}

// open carries out a change that opens a file for writing. On a frozen disk
// the file is an empty one that takes all writes and keeps none.
func (f *fence) open(op, name string, change func() (vfs.File, error)) *fencedFile {
	var file vfs.File
	done := f.do(op, name, func() (err error) {
		file, err = change()
		return err
	})
	if !done {
		file = vfs.NewMemFile(nil)
	}
	return &fencedFile{File: file, fence: f, name: name}
}

// begun returns file, which is written from its beginning, as what its name
// says that it is.
func begun(file *fencedFile, name string) vfs.File {
	if strings.HasSuffix(name, logSuffix) {
		return &logFile{fencedFile: file}
	}
	return file
}

// Open implements vfs.FS.
func (f *fence) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := f.FS.Open(name, opts...)
	switch base := f.FS.PathBase(name); {
	case isBlob(base):
		return openBlob(file, err, name, f.damages)
	case strings.HasSuffix(base, tableSuffix) && err == nil:
		return openTableFile(file, name, f.damages)
	case strings.HasSuffix(base, logSuffix), strings.HasPrefix(base, manifestPrefix):
		return openRecords(file, err, name, base, f.closed(name))
	}
	return file, err
}

// closed says whether the log at path was closed: Pebble does that before it
// makes the next.
func (f *fence) closed(path string) bool {
	number, ok := logNumber(f.FS.PathBase(path))
	if !ok {
		return false
	}
	names, err := f.FS.List(f.FS.PathDir(path))
	return err == nil && slices.ContainsFunc(names, func(name string) bool {
		n, ok := logNumber(name)
		return ok && n > number
	})
}

// Create implements vfs.FS.
func (f *fence) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file := f.open("create", name, func() (vfs.File, error) { return f.FS.Create(name, category) })
	return begun(file, name), nil
}

// OpenReadWrite implements vfs.FS.
func (f *fence) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenReadWrite(name, category, opts...) }), nil
}

// ReuseForWrite implements vfs.FS.
func (f *fence) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file := f.open("reuse", oldname, func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, category) })
	return begun(file, newname), nil
}

// OpenDir implements vfs.FS. Directories are opened to be synced.
func (f *fence) OpenDir(name string) (vfs.File, error) {
	return f.open("open", name, func() (vfs.File, error) { return f.FS.OpenDir(name) }), nil
}

// Link implements vfs.FS.
func (f *fence) Link(oldname, newname string) error {
	f.do("link", newname, func() error { return f.FS.Link(oldname, newname) })
	return nil
}

// Rename implements vfs.FS.
func (f *fence) Rename(oldname, newname string) error {
	f.do("rename", oldname, func() error { return f.FS.Rename(oldname, newname) })
	return nil
}

// MkdirAll implements vfs.FS.
func (f *fence) MkdirAll(dir string, perm os.FileMode) error {
	f.do("make directory", dir, func() error { return f.FS.MkdirAll(dir, perm) })
	return nil
}

// Remove implements vfs.FS. A file that stays behind does no harm: Pebble
// tries again at the next Open.
func (f *fence) Remove(name string) error {
	if f.health.Failed() {
		return nil
	}
	return f.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (f *fence) RemoveAll(name string) error {
	if f.health.Failed() {
		return nil
	}
	return f.FS.RemoveAll(name)
}

// Lock implements vfs.FS. Open has locked the directory, without the fence.
func (f *fence) Lock(string) (io.Closer, error) {
	return nil, errors.New("the directory is locked before the fence is up")
}

// Unwrap implements vfs.FS.
func (f *fence) Unwrap() vfs.FS { return f.FS }
