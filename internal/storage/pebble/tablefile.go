package pebble

import (
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const tableSuffix = ".sst"

// tableFile is a table file that is being read.
type tableFile struct{ vfs.File }

// ReadAt implements vfs.File. Behind the end of a file that was cut short it
// reads zeros, which fail their checksum: so Pebble takes it for the damage
// that it is.
func (f tableFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		clear(p[n:])
		return len(p), nil
	}
	return n, err
}
