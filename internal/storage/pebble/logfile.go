package pebble

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// logFile is a log that is being written. Each chunk of a log says how much of
// the log was on stable storage before it: what cannot be read there is damaged,
// and not torn. Pebble says too little, because it does not count the blocks that
// fill while it writes: half of a log, and more under load, would pass for torn.
// So logFile says it anew.
//
// Pebble writes whole chunks, and writes and syncs on one goroutine at a time.
type logFile struct {
	*fencedFile
	written, synced int64 // bytes
	chunks          []byte
}

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	f.chunks = append(f.chunks[:0], p...)
	stamp(f.chunks, f.synced)
	f.written += int64(len(p))
	return f.fencedFile.Write(f.chunks)
}

// Sync implements vfs.File.
func (f *logFile) Sync() error {
	err := f.fencedFile.Sync()
	f.synced = f.written // or the disk is frozen, and no more is written
	return err
}

// SyncData implements vfs.File.
func (f *logFile) SyncData() error {
	err := f.fencedFile.SyncData()
	f.synced = f.written // see Sync
	return err
}

// stamp has each chunk of a log that b holds say that synced bytes of the log
// were on stable storage before.
func stamp(b []byte, synced int64) {
	for len(b) >= logHeader && b[chunkType] > recycledTypes && b[chunkType] <= logTypes {
		size := logHeader + int(binary.LittleEndian.Uint16(b[4:]))
		if size > len(b) {
			return
		}
		binary.LittleEndian.PutUint64(b[recycledHeader:], uint64(synced))
		binary.LittleEndian.PutUint32(b, maskedCRC(b[chunkType:size]))
		b = b[size:]
	}
}

// logNumber returns the number of the log with a file name.
func logNumber(name string) (n uint64, ok bool) {
	number, ok := strings.CutSuffix(name, logSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 64)
	return n, err == nil
}
