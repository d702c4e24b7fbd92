package pebble

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// maxDamaged is the number of damaged files that are known at a time. Reads of
// others fail like theirs, but nobody is told of those files by name.
const maxDamaged = 1024

// damages knows the files in which damage was met, and what of them cannot be
// read. It is safe for concurrent use.
//
// Who meets damage calls meet, on whatever goroutine. One goroutine looks each
// new file over, which takes as long as reading it; another one tells the
// owner.
type damages struct {
	logger *slog.Logger
	hook   func(storage.Damage) // set before start; may be nil
	// inspect returns the spans of keys that cannot be read because of a table
	// file; mend cuts out those of them that were dropped before, and returns the
	// others. They are set before start.
	inspect, mend func(file *damagedFile) []span

	met    chan *damagedFile   // to be looked over
	told   chan storage.Damage // to be told
	loops  sync.WaitGroup
	tables atomic.Int32 // the number of table files in mu.files

	mu struct {
		sync.Mutex
		files  map[string]*damagedFile // by path
		closed bool
	}
}

// damagedFile is a file in which damage was met.
type damagedFile struct {
	path  string
	table bool
	err   error         // the first that was met
	known []span        // what was known of it before
	seen  chan struct{} // closed once spans is set
	spans []span        // what of it cannot be read; ascending, apart
}

func newDamages(logger *slog.Logger) *damages {
	d := &damages{
		logger: logger,
		met:    make(chan *damagedFile, maxDamaged),
		told:   make(chan storage.Damage, maxDamaged),
	}
	d.mu.files = make(map[string]*damagedFile)
	return d
}

// start has the owner told of damage from now on, that of before included.
func (d *damages) start(hook func(storage.Damage), inspect, mend func(*damagedFile) []span) {
	d.hook, d.inspect, d.mend = hook, inspect, mend
	d.loops.Go(d.inspectLoop)
	d.loops.Go(d.tellLoop)
}

// stop waits until all that was met is told, and ends the goroutines.
func (d *damages) stop() {
	d.mu.Lock()
	d.mu.closed = true
	close(d.met)
	d.mu.Unlock()
	d.loops.Wait()
}

// meet takes note of damage in a file. It does not block.
func (d *damages) meet(path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.files[path] != nil || len(d.mu.files) == maxDamaged || d.mu.closed {
		return
	}
	f := &damagedFile{path: path, table: !isBlob(path), err: err, seen: make(chan struct{})}
	select {
	case d.met <- f:
	default:
		return // whoever meets it again says so again
	}
	d.mu.files[path] = f
	if f.table {
		d.tables.Add(1)
	}
}

// find returns the table file at path, if damage was met in it. It may not be
// looked over yet.
func (d *damages) find(path string) *damagedFile {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mu.files[path]
}

// lookAgain has file looked over once more, for damage that is new, and waits
// for that.
func (d *damages) lookAgain(file *damagedFile) {
	next := &damagedFile{path: file.path, table: true, err: file.err, known: file.spans, seen: make(chan struct{})}
	d.mu.Lock()
	closed := d.mu.closed
	if !closed {
		select {
		case d.met <- next:
			d.mu.files[file.path] = next
		default:
			closed = true
		}
	}
	d.mu.Unlock()
	if !closed {
		<-next.seen
	}
}

// forget drops the table files of which all that is live can be read, and says
// whether none is left.
func (d *damages) forget(live []liveFile) (none bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, f := range d.mu.files {
		if !f.table || !f.wasSeen() {
			continue
		}
		if !slices.ContainsFunc(live, func(l liveFile) bool {
			return l.path == path && len(clip(f.spans, l.bounds)) > 0
		}) {
			delete(d.mu.files, path)
			d.tables.Add(-1)
		}
	}
	return d.tables.Load() == 0
}

func (f *damagedFile) wasSeen() bool {
	select {
	case <-f.seen:
		return true
	default:
		return false
	}
}

func (d *damages) inspectLoop() {
	defer close(d.told)
	for f := range d.met {
		if !f.table {
			close(f.seen)
			d.tell(storage.Damage{File: f.path, Err: f.err})
			continue
		}
		f.spans = d.inspect(f)
		close(f.seen)
		for _, s := range d.mend(f) {
			if !coveredBy(s, f.known) {
				d.tell(storage.Damage{File: f.path, From: s.from, To: s.to, Err: f.err})
			}
		}
	}
}

// tell has the owner told. It does not block: whoever is to be told may be
// waiting for the goroutine that calls it.
func (d *damages) tell(damage storage.Damage) {
	select {
	case d.told <- damage:
	default:
		d.logger.Error("too much damage to tell of", "file", damage.File)
	}
}

func (d *damages) tellLoop() {
	for damage := range d.told {
		d.logger.Error("stored data is damaged", "file", damage.File,
			"from", damage.From, "to", damage.To, "err", damage.Err)
		if d.hook != nil {
			d.hook(damage)
		}
	}
}

// readError returns err, which Pebble returned from a read, in the contract's
// terms.
func readError(op string, err error) error {
	var known *storage.Damage
	if errors.As(err, &known) {
		return kv.Wrap(kv.KindCorrupt, op, err)
	}
	// Asked first, because IsCorruptionError compares texts, which takes longer
	// than the read.
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return kv.Wrap(kv.KindCorrupt, op, &storage.Damage{File: info.Path, Err: err})
	}
	if !pebble.IsCorruptionError(err) {
		return kv.Wrap(kv.KindStorage, op, err)
	}
	return kv.Wrap(kv.KindCorrupt, op, err)
}

// span is the keys in [from, to).
type span struct{ from, to []byte }

func (s span) empty() bool { return bytes.Compare(s.from, s.to) >= 0 }

func (s span) overlaps(o span) bool {
	return bytes.Compare(s.from, o.to) < 0 && bytes.Compare(o.from, s.to) < 0
}

func (s span) holds(key []byte) bool {
	return bytes.Compare(s.from, key) <= 0 && bytes.Compare(key, s.to) < 0
}

// contains says whether key is inside s, and not at its beginning.
func (s span) contains(key []byte) bool {
	return bytes.Compare(s.from, key) < 0 && bytes.Compare(key, s.to) < 0
}

// and returns what is in both.
func (s span) and(o span) span {
	if bytes.Compare(o.from, s.from) > 0 {
		s.from = o.from
	}
	if bytes.Compare(o.to, s.to) < 0 {
		s.to = o.to
	}
	return s
}

// or returns the least span that holds both.
func (s span) or(o span) span {
	if bytes.Compare(o.from, s.from) < 0 {
		s.from = o.from
	}
	if bytes.Compare(o.to, s.to) > 0 {
		s.to = o.to
	}
	return s
}

// clip returns what of spans is in s.
func clip(spans []span, s span) (in []span) {
	for _, o := range spans {
		if o = o.and(s); !o.empty() {
			in = append(in, o)
		}
	}
	return in
}

// join returns what is in spans, ascending and apart. It uses spans' memory.
func join(spans []span) (joined []span) {
	slices.SortFunc(spans, func(a, b span) int { return bytes.Compare(a.from, b.from) })
	joined = spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 && bytes.Compare(s.from, joined[n-1].to) <= 0 {
			joined[n-1] = joined[n-1].or(s)
		} else {
			joined = append(joined, s)
		}
	}
	return joined
}

// coveredBy says whether one of spans holds all of s.
func coveredBy(s span, spans []span) bool {
	for _, o := range spans {
		if u := o.or(s); bytes.Equal(u.from, o.from) && bytes.Equal(u.to, o.to) {
			return true
		}
	}
	return false
}

// after returns the least key that is greater than key.
func after(key []byte) []byte { return append(bytes.Clone(key), 0) }
