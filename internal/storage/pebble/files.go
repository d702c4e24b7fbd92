package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

var errMissing = errors.New("the file is missing")

// liveFile is a table, or a blob file, that the database consists of.
type liveFile struct {
	path string
	size uint64 // of the file, in bytes
	// bounds hold all keys of a table. Several tables may be parts of one file,
	// each with its bounds, after the keys between them were cut out.
	bounds span
	newest uint64 // the greatest sequence number of a table's entries
}

// liveFiles returns the tables and the blob files of db.
func liveFiles(db *pebble.DB, fs vfs.FS, dir string) (tables, blobs []liveFile, err error) {
	tables, blobs, pin, err := pinFiles(db, fs, dir)
	if err != nil {
		return nil, nil, err
	}
	return tables, blobs, pin.Close()
}

// pinFiles is liveFiles for who reads the files: until pin is closed they stay,
// though a compaction may have replaced them.
func pinFiles(db *pebble.DB, fs vfs.FS, dir string) (tables, blobs []liveFile, pin io.Closer, err error) {
	for {
		v := db.DebugCurrentVersion()
		pin, err := db.NewIter(nil) // keeps the present version, and v if it is that
		if err != nil {
			return nil, nil, nil, err
		}
		if db.DebugCurrentVersion() != v {
			if err := pin.Close(); err != nil {
				return nil, nil, nil, err
			}
			continue
		}
		for level := range v.Levels {
			for m := range v.Levels[level].All() {
				b := m.UserKeyBounds()
				bounds := span{bytes.Clone(b.Start), bytes.Clone(b.End.Key)}
				if b.End.IsUpperBoundFor(bytes.Compare, b.End.Key) {
					bounds.to = after(bounds.to)
				}
				path := fs.PathJoin(dir, m.TableBacking.DiskFileNum.String()+tableSuffix)
				tables = append(tables, liveFile{path, m.TableBacking.Size, bounds, uint64(m.LargestSeqNum)})
			}
		}
		for m := range v.BlobFiles.All() {
			path := fs.PathJoin(dir, m.Physical.FileNum.String()+blobSuffix)
			blobs = append(blobs, liveFile{path: path, size: m.Physical.Size})
		}
		return tables, blobs, pin, nil
	}
}

// whole checks that each file of db is there, and as long as it was written.
// What is wrong is damage. For a file that is missing it makes an empty one,
// because Pebble would end the process when it misses one; made says so, and
// that db must be opened again, for it has taken stock of its files already.
func whole(db *pebble.DB, fs vfs.FS, dir string, d *damages) (made bool, err error) {
	tables, blobs, err := liveFiles(db, fs, dir)
	if err != nil {
		return false, err
	}
	for _, f := range append(tables, blobs...) {
		missing, err := checkFile(fs, f, d)
		if err != nil {
			return made, err
		}
		made = made || missing
	}
	if !made {
		return false, nil
	}
	return true, disk.SyncDir(fs, dir)
}

// checkFile checks one file for whole.
func checkFile(filesystem vfs.FS, f liveFile, d *damages) (missing bool, err error) {
	info, err := filesystem.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.meet(f.path, errMissing)
		return true, makeEmpty(filesystem, f.path)
	case err != nil:
		return false, err
	case uint64(info.Size()) != f.size:
		d.meet(f.path, fmt.Errorf("the file has %d bytes of %d", info.Size(), f.size))
	}
	return false, nil
}

func makeEmpty(fs vfs.FS, path string) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// inspect returns what cannot be read of a table file.
func (e *Engine) inspect(f *damagedFile) (spans []span) {
	tables, _, pin, err := pinFiles(e.db, e.fence, e.dir)
	if err != nil {
		return nil
	}
	defer pin.Close()
	for _, live := range tables {
		if live.path == f.path {
			spans = append(spans, e.inspectPart(live)...)
		}
	}
	return spans
}

// inspectPart returns what cannot be read of one of a file's tables.
func (e *Engine) inspectPart(live liveFile) []span {
	t, err := openTable(e.fence, live.path, e.options.MakeReaderOptions())
	if err != nil {
		return []span{live.bounds}
	}
	defer t.close()
	return clip(t.unreadable(live.bounds), live.bounds)
}
