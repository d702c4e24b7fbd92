package logstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// A segment file begins with
//
//	0   8 bytes  magic
//	8   u32      version of the format: in 1 the salt of records is 0, in 2 it is
//	             the segment's number
//	12  u32      number of the segment
//	16  u64      clean, see segment
//	24  u32      1 for the output of a merge, else 0
//	28  u32      checksum of all before
//
// and goes on with records. Behind the last one the file may hold what a segment
// of a lower number left in it.
const (
	segmentMagic = "rtlogseg"
	version      = 2
	preamble     = 32
)

const (
	segmentSuffix = ".seg"
	mergedSuffix  = ".merged" // of a segment that a merge wrote
	hintSuffix    = ".hint"
	tempSuffix    = ".tmp"
)

// segment is a file of records. Only the last one of the log is written to. Its
// counters are exact when no drop is under way.
type segment struct {
	number uint32
	format uint32 // the version
	path   string
	// clean is a sequence number up to which nothing that is deleted, by a record
	// that comes later, is in the segment: where the log stood when the segment was
	// begun, or when the merge that wrote it began.
	clean uint64
	merge bool // it is the output of a merge

	file    vfs.File     // nil when it is missing, and before the first write
	written atomic.Int64 // bytes that file holds of it
	reused  atomic.Int64 // bytes that file had already, as a spare; 0 for none
	size    atomic.Int64 // bytes, with those that are to be written
	sealed  atomic.Bool  // it grows no more, and has a hint

	// Counts of its records, and the bytes of those that index refers to and of
	// those that delete.
	sets, live           atomic.Int64
	liveBytes, killBytes atomic.Int64
	newestKill           atomic.Uint64 // the sequence number of the last record that deletes

	// draft is the hint of what was written so far, nil without one. It belongs to
	// who writes the segment, then to who seals it.
	draft *hintWriter

	left spare // what a merge has made of its file

	hintBytes atomic.Int64
	full      atomic.Bool  // it has its last record, and is durable
	sealing   atomic.Bool  // a job writes its hint
	unwilling atomic.Int64 // 1 + the number of live records when a merge met damage
}

// salt returns what the checksums of its records begin with.
func (s *segment) salt() uint32 {
	if s.format == 1 {
		return 0
	}
	return s.number
}

// dead returns how many of its sets are superseded or deleted.
func (s *segment) dead() int64 { return s.sets.Load() - s.live.Load() }

// garbage returns the share of it that a merge would free.
func (s *segment) garbage() float64 {
	size := s.size.Load() - preamble
	if size <= 0 {
		return 1
	}
	return 1 - float64(s.liveBytes.Load()+s.killBytes.Load())/float64(size)
}

// refer counts a record that the index refers to from now on.
func (s *segment) refer(l *loc) {
	s.live.Add(1)
	s.liveBytes.Add(int64(l.length))
}

// forget undoes refer.
func (s *segment) forget(l *loc) {
	s.live.Add(-1)
	s.liveBytes.Add(-int64(l.length))
}

// note counts a record of the segment.
func (s *segment) note(h *header) {
	switch h.kind {
	case kindSet:
		s.sets.Add(1)
	case kindDelete, kindDrop:
		s.killBytes.Add(h.size())
		s.newestKill.Store(max(s.newestKill.Load(), h.seq))
	}
}

func (s *segment) mergedFlag() uint32 {
	if s.merge {
		return 1
	}
	return 0
}

// preamble returns what the file begins with.
func (s *segment) preamble() []byte {
	b := make([]byte, 0, preamble)
	b = append(b, segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, s.format)
	b = binary.LittleEndian.AppendUint32(b, s.number)
	b = binary.LittleEndian.AppendUint64(b, s.clean)
	b = binary.LittleEndian.AppendUint32(b, s.mergedFlag())
	return binary.LittleEndian.AppendUint32(b, sum(b))
}

var (
	errPreamble = errors.New("the file does not begin as a segment does")
	errEmpty    = errors.New("the file has a hint but no record")
)

// readPreamble reads what the file begins with. Its errors are of
// KindWrongVersion, KindCorrupt (damage), and others of the disk.
func (s *segment) readPreamble() error {
	b := make([]byte, preamble)
	if s.file == nil {
		return s.damage(errMissing)
	}
	_, err := s.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return kv.Wrap(kv.KindStorage, "read segment", err)
	}
	if err != nil || string(b[:8]) != segmentMagic {
		return s.damage(errPreamble)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > version && sum(b[:preamble-4]) == binary.LittleEndian.Uint32(b[preamble-4:]) {
		return kv.Errorf(kv.KindWrongVersion, "open segment", "%s has format %d, this release knows %d", s.path, v, version)
	}
	if sum(b[:preamble-4]) != binary.LittleEndian.Uint32(b[preamble-4:]) || binary.LittleEndian.Uint32(b[12:]) != s.number {
		return s.damage(errPreamble)
	}
	s.format = binary.LittleEndian.Uint32(b[8:])
	s.clean = binary.LittleEndian.Uint64(b[16:])
	s.merge = binary.LittleEndian.Uint32(b[24:]) == 1
	return nil
}

var errMissing = errors.New("the file is missing")

// damage returns the error of damage to the segment, with no known keys.
func (s *segment) damage(err error) error {
	return kv.Wrap(kv.KindCorrupt, "read segment", &storage.Damage{File: s.path, Err: err})
}

func segmentPath(fs vfs.FS, dir string, number uint32, suffix string) string {
	return fs.PathJoin(dir, fmt.Sprintf("%08x%s", number, suffix))
}

// table is the segments at a moment. Who reads holds on to one; a segment that
// is no longer in the present table is closed when no older one is held.
type table struct {
	holders  atomic.Int64
	segments map[uint32]*segment
}

// tables is the present table and its changes.
type tables struct {
	now   atomic.Pointer[table]
	close func(*segment) // closes its file; must not block
	mu    struct {
		sync.Mutex
		closers map[*segment]int // in how many tables that are held each segment is
	}
}

// acquire returns the present table. The caller releases it.
func (ts *tables) acquire() *table {
	for {
		t := ts.now.Load()
		for n := t.holders.Load(); n > 0; n = t.holders.Load() {
			if t.holders.CompareAndSwap(n, n+1) {
				return t
			}
		}
	}
}

// release ends what acquire began.
func (ts *tables) release(t *table) {
	if t.holders.Add(-1) > 0 {
		return
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, s := range t.segments {
		if ts.mu.closers[s]--; ts.mu.closers[s] == 0 {
			delete(ts.mu.closers, s)
			if s.file != nil {
				ts.close(s)
			}
		}
	}
}

// change replaces the present table.
func (ts *tables) change(edit func(segments map[uint32]*segment)) {
	ts.mu.Lock()
	old := ts.now.Load()
	next := &table{segments: make(map[uint32]*segment)}
	next.holders.Store(1)
	if old != nil {
		maps.Copy(next.segments, old.segments)
	} else {
		ts.mu.closers = make(map[*segment]int)
	}
	edit(next.segments)
	for _, s := range next.segments {
		ts.mu.closers[s]++
	}
	ts.now.Store(next)
	ts.mu.Unlock()
	if old != nil {
		ts.release(old)
	}
}
