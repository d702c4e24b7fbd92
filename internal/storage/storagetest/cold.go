package storagetest

import (
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ColdFS is a file system of which a test tells whether its reads have to wait for
// the disk, and how long. The methods are safe for concurrent use.
type ColdFS struct {
	vfs.FS

	mu struct {
		sync.Mutex
		cold    bool
		held    bool
		waiting int
	}
	turn *sync.Cond // waiting or held has changed
}

// NewColdFS returns a file system over fs, all of which is in memory.
func NewColdFS(fs vfs.FS) *ColdFS {
	c := &ColdFS{FS: fs}
	c.turn = sync.NewCond(&c.mu)
	return c
}

// Freeze has all reads go to the disk from now on. Thaw ends that.
func (c *ColdFS) Freeze() { c.set(&c.mu.cold, true) }

// Thaw has nothing go to the disk from now on.
func (c *ColdFS) Thaw() { c.set(&c.mu.cold, false) }

// Hold has reads that go to the disk wait until Release.
func (c *ColdFS) Hold() { c.set(&c.mu.held, true) }

// Release lets the reads go on that wait, and those that come.
func (c *ColdFS) Release() { c.set(&c.mu.held, false) }

func (c *ColdFS) set(what *bool, to bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*what = to
	c.turn.Broadcast()
}

// Await waits until n reads wait for the disk at once.
func (c *ColdFS) Await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.mu.waiting < n {
		c.turn.Wait()
	}
}

// Waiting tells how many reads wait for the disk.
func (c *ColdFS) Waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.waiting
}

// read waits as the disk has it.
func (c *ColdFS) read() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.waiting++
	c.turn.Broadcast()
	for c.mu.cold && c.mu.held {
		c.turn.Wait()
	}
	c.mu.waiting--
}

func (c *ColdFS) isCold() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.cold
}

// Open implements vfs.FS.
func (c *ColdFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return c.wrap(c.FS.Open(name, opts...))
}

// OpenReadWrite implements vfs.FS.
func (c *ColdFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return c.wrap(c.FS.OpenReadWrite(name, category, opts...))
}

// Create implements vfs.FS.
func (c *ColdFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return c.wrap(c.FS.Create(name, category))
}

// Unwrap implements vfs.FS.
func (c *ColdFS) Unwrap() vfs.FS { return c.FS }

func (c *ColdFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &coldFile{f, c}, nil
}

type coldFile struct {
	vfs.File
	fs *ColdFS
}

// ReadAt implements vfs.File.
func (f *coldFile) ReadAt(p []byte, off int64) (int, error) {
	if f.fs.isCold() {
		f.fs.read()
	}
	return f.File.ReadAt(p, off)
}

// ReadNow implements disk.NowReader.
func (f *coldFile) ReadNow(p []byte, off int64) (filled, known bool) {
	if f.fs.isCold() {
		return false, true
	}
	n, err := f.File.ReadAt(p, off)
	return err == nil && n == len(p), true
}
