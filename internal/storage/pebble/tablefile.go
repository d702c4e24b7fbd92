package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

const (
	tableSuffix = ".sst"
	// A block of a table ends in a byte for its compression and the checksum of
	// all before.
	tableChecksumBytes = 4
)

// tableFile is a table file that is being read.
type tableFile struct {
	vfs.File
	path    string
	size    int64
	damages *damages
}

func openTableFile(f vfs.File, path string, d *damages) (vfs.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return tableFile{File: f, path: path, size: info.Size(), damages: d}, nil
}

// ReadAt implements vfs.File. Behind the end of a file that was cut short it
// reads zeros, which fail their checksum: so Pebble takes it for the damage
// that it is.
//
// For each block that fails its checksum Pebble looks for the one bit with which
// it would not, which takes the square of the block's size: tens of milliseconds
// for one of 4 KiB, seconds for one of 32. To find what is left around the
// damage takes a thousand such reads. So once Pebble has met damage in a file,
// its blocks are checked here. What ends with the file is the footer, no block.
func (f tableFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		clear(p[n:])
		n, err = len(p), nil
	}
	if err != nil || f.damages.tables.Load() == 0 || off+int64(n) == f.size || n <= tableChecksumBytes {
		return n, err
	}
	sum, of := p[n-tableChecksumBytes:], p[:n-tableChecksumBytes]
	if binary.LittleEndian.Uint32(sum) != maskedCRC(of) && f.damages.find(f.path) != nil {
		return 0, &storage.Damage{File: f.path, Err: fmt.Errorf("%d bytes at %d fail their checksum", n, off)}
	}
	return n, nil
}
