package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// The parts of the format of Pebble's blob files that a checksum needs. All
// reads are of one block or of the footer, at the file's end. A block ends in
// a byte for its compression and the checksum of all before; the footer begins
// with its own. Should a new Pebble change that, no blob file can be read, and
// every test says so.
const (
	blobSuffix        = ".blob"
	blobFooter        = 38 // bytes
	blobChecksumType  = 20 // where the footer holds the type of the blocks'
	blobChecksumBytes = 4
	checksumCRC32C    = 1
)

// blobFile is a blob file that is checked as it is read. Its errors are of a
// type that Pebble does not take for corruption: on that it panics, for blob
// files, on whatever goroutine meets it (its issue 5127, open).
type blobFile struct {
	vfs.File
	path    string
	damages *damages
	footer  int64 // its offset
	checks  bool  // the blocks' checksum is one that is known here
}

// openBlob returns f, the result of opening a blob file, as one that is
// checked. It begins with the footer.
func openBlob(f vfs.File, err error, path string, d *damages) (vfs.File, error) {
	b := &blobFile{File: f, path: path, damages: d}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, b.damage("%w", errMissing)
	}
	if err != nil {
		return nil, err
	}
	if err := b.readFooter(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return b, nil
}

func (b *blobFile) readFooter() error {
	info, err := b.File.Stat()
	if err != nil {
		return err
	}
	b.footer = info.Size() - blobFooter
	if b.footer < 0 {
		return b.damage("the file has only %d bytes", info.Size())
	}
	var footer [blobFooter]byte
	if _, err := b.ReadAt(footer[:], b.footer); err != nil {
		return err
	}
	b.checks = footer[blobChecksumType] == checksumCRC32C
	return nil
}

// ReadAt implements vfs.File.
func (b *blobFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := b.File.ReadAt(p, off)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, b.damage("the file ends before %d", off+int64(len(p)))
	}
	if err != nil || n != len(p) {
		return n, err
	}
	sum, of := []byte(nil), []byte(nil)
	switch {
	case off == b.footer && n == blobFooter:
		sum, of = p[:blobChecksumBytes], p[blobChecksumBytes:]
	case b.checks && n > blobChecksumBytes:
		sum, of = p[n-blobChecksumBytes:], p[:n-blobChecksumBytes]
	default:
		return n, nil
	}
	if binary.LittleEndian.Uint32(sum) != maskedCRC(of) {
		return 0, b.damage("%d bytes at %d fail their checksum", n, off)
	}
	return n, nil
}

// damage reports damage and returns it as an error.
func (b *blobFile) damage(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	b.damages.meet(b.path, err)
	return &storage.Damage{File: b.path, Err: err}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC is the checksum of LevelDB's descendants: a CRC that was rotated
// and shifted, so that data which holds checksums is not mistaken.
func maskedCRC(p []byte) uint32 {
	c := crc32.Checksum(p, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func isBlob(name string) bool { return strings.HasSuffix(name, blobSuffix) }
