package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// Pebble takes the first record of a manifest that fails its checksum for the
// manifest's end, as if a crash had torn it, and then deletes the files that
// the rest named. It looks at the log with more care, but not at its last
// 32 KiB, and a record whose log number is damaged it takes for the end. So both
// are checked here before Pebble reads them.

// The parts of the format of Pebble's manifest and log that the check needs. A
// file is blocks that chunks fill; no chunk crosses a block. A chunk begins
// with its checksum (4 bytes), the length of its data (2) and its type (1); in a
// log follow the number of the log (4) and how much of it was on stable
// storage when the chunk was made (8).
const (
	recordBlock    = 32 << 10
	manifestHeader = 7
	recycledHeader = manifestHeader + 4
	logHeader      = recycledHeader + 8

	chunkType      = 6
	manifestTypes  = 4 // 1 to 4
	recycledTypes  = 8 // 5 to 8: a log in an old format
	logTypes       = 12
	recycledFull   = 5 // a record in one chunk
	manifestPrefix = "MANIFEST-"
	logSuffix      = ".log"
)

// recordFile is a manifest or a log that is being checked.
type recordFile struct {
	log    bool
	number uint32 // the log's
	bad    int64  // the offset of the first chunk that is none, or -1
	good   int    // chunks before bad
	ended  bool   // the log's end was reached, with nothing bad before it
	proof  string // what shows that bad is damage
}

// checkRecords returns what is wrong with the manifest or log f: damage that
// is not at its end, or that was surely on stable storage. A record that a
// crash tore, at the end, is not. A log that is closed, because a later one is
// there, has an end that no crash can have torn.
func checkRecords(f vfs.File, name string, closed bool) error {
	r := &recordFile{bad: -1}
	if strings.HasSuffix(name, logSuffix) {
		n, ok := logNumber(name)
		if !ok {
			return nil // not one of Pebble's
		}
		r.log, r.number = true, uint32(n)
	}
	if err := r.read(f); err != nil {
		return err
	}
	switch {
	case r.proof != "":
		return fmt.Errorf("the record at %d fails its checksum, and %s", r.bad, r.proof)
	case r.log && closed && !r.ended:
		return errors.New("it is not complete, and a later log is there")
	case !r.log && r.good == 0:
		return errors.New("it holds no record")
	}
	return nil
}

func (r *recordFile) read(f io.ReaderAt) error {
	block := make([]byte, recordBlock)
	for at := int64(0); ; at += recordBlock {
		n, err := f.ReadAt(block, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		r.block(block[:n], at)
		if n < recordBlock || r.ended || r.proof != "" {
			return nil
		}
	}
}

// block checks the block b at offset at. Behind what is bad it looks for chunks
// at every byte.
func (r *recordFile) block(b []byte, at int64) {
	for i := 0; i+manifestHeader <= len(b) && r.proof == ""; {
		size := r.chunk(b[i:])
		switch {
		case size > 0 && r.bad < 0:
			r.good++
			i += size
		case size > 0:
			r.judge(b[i:])
			i += size
		case r.bad >= 0:
			i++
		case len(b)-i < logHeader && len(bytes.Trim(b[i:], "\x00")) == 0:
			return // padding before the next block
		case r.isTrailer(b[i:]):
			r.ended = true
			return
		default:
			r.bad = at + int64(i)
		}
	}
}

// chunk returns the size of the chunk that b begins with, or 0.
func (r *recordFile) chunk(b []byte) int {
	header := manifestHeader
	switch kind := b[chunkType]; {
	case kind == 0 || kind > logTypes:
		return 0
	case kind > recycledTypes:
		header = logHeader
	case kind > manifestTypes:
		header = recycledHeader
	}
	size := header + int(binary.LittleEndian.Uint16(b[4:]))
	switch {
	case size > len(b) || r.log != (header > manifestHeader):
		return 0
	case r.log && binary.LittleEndian.Uint32(b[manifestHeader:]) != r.number:
		return 0 // left over from an older log in the same file
	case binary.LittleEndian.Uint32(b) != maskedCRC(b[chunkType:size]):
		return 0
	}
	return size
}

// judge says what the chunk that b begins with, behind what is bad, means.
func (r *recordFile) judge(b []byte) {
	if !r.log {
		r.proof = "others follow it"
		return
	}
	// Of what was not on stable storage a crash may keep the later part.
	if b[chunkType] > recycledTypes && int64(binary.LittleEndian.Uint64(b[recycledHeader:])) > r.bad {
		r.proof = "was on stable storage"
	}
}

// isTrailer says whether b begins with the end that a log gets when it is
// closed: a chunk with nothing but the number of the next log. What follows is
// left over from an older log in the same file.
func (r *recordFile) isTrailer(b []byte) bool {
	if !r.log || len(b) < recycledHeader {
		return false
	}
	var trailer [recycledHeader]byte
	trailer[chunkType] = recycledFull
	binary.LittleEndian.PutUint32(trailer[manifestHeader:], r.number+1)
	return bytes.Equal(b[:recycledHeader], trailer[:])
}

// openRecords returns f, the result of opening a manifest or a log, after a
// check.
func openRecords(f vfs.File, err error, path, name string, closed bool) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if err := checkRecords(f, name, closed); err != nil {
		return nil, errors.Join(&storage.Damage{File: path, Err: err}, f.Close())
	}
	return f, nil
}
