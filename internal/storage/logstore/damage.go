package logstore

import (
	"bytes"
	"slices"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// maxTold bounds the runs of lost keys of one segment that the owner is told of
// one by one. Past it they are told as one for each prefix, from the first to the
// last key that is lost.
const maxTold = 1024

// damages is the segments in which damage was met, and what the owner knows of
// them. Who meets damage asks for the whole segment to be looked over, which is a
// job.
type damages struct {
	mu struct {
		sync.Mutex
		met  []*segment // that are yet to be looked over
		told map[*segment][]run
	}
}

// run is the keys in [from, to), neighbours, none of which can be read.
type run struct{ from, to []byte }

func (r *run) holds(key []byte) bool {
	return bytes.Compare(r.from, key) <= 0 && bytes.Compare(key, r.to) < 0
}

// after returns the least key that is greater than key.
func after(key []byte) []byte { return append(slices.Clip(key), 0) }

// met returns the error of damage to the record of key in s, and has the segment
// looked over unless the owner knows of it.
func (e *Engine) met(s *segment, key []byte, err error) error {
	d := &storage.Damage{File: s.path, Err: err}
	if key != nil {
		d.From = bytes.Clone(key)
		d.To = after(d.From)
		e.lookOver(s, key)
	}
	return kv.Wrap(kv.KindCorrupt, "read record", d)
}

// lookOver has s looked over, unless the owner was told of key, or s is about to
// be.
func (e *Engine) lookOver(s *segment, key []byte) {
	d := &e.damages
	d.mu.Lock()
	known := slices.Contains(d.mu.met, s) || key != nil && slices.ContainsFunc(d.mu.told[s], func(r run) bool { return r.holds(key) })
	if !known {
		d.mu.met = append(d.mu.met, s)
	}
	d.mu.Unlock()
	if !known && !e.closing.Load() {
		e.cfg.Go(func() {
			if e.jobs.Enter() {
				defer e.jobs.Leave()
				e.inspect()
			}
		})
	}
}

// inspect looks over the segments in which damage was met, and tells the owner.
func (e *Engine) inspect() {
	d := &e.damages
	for {
		d.mu.Lock()
		if len(d.mu.met) == 0 {
			d.mu.Unlock()
			return
		}
		s := d.mu.met[0]
		d.mu.Unlock()
		runs := e.lost(s)
		d.mu.Lock()
		old := d.mu.told[s]
		if d.mu.told == nil {
			d.mu.told = make(map[*segment][]run)
		}
		d.mu.told[s] = runs
		d.mu.met = slices.DeleteFunc(d.mu.met, func(o *segment) bool { return o == s })
		d.mu.Unlock()
		for _, r := range runs {
			if !slices.ContainsFunc(old, func(o run) bool { return bytes.Equal(o.from, r.from) && bytes.Equal(o.to, r.to) }) {
				e.tell(s, r)
			}
		}
	}
}

func (e *Engine) tell(s *segment, r run) {
	d := storage.Damage{File: s.path, From: r.from, To: r.to, Err: errLost}
	e.logger.Error("stored data is damaged", "file", d.File, "from", d.From, "to", d.To)
	if e.cfg.Hooks.Corrupted != nil {
		e.cfg.Hooks.Corrupted(d)
	}
}

// lost reads all records of s that the index refers to, and returns the runs of
// keys of those that cannot be read.
func (e *Engine) lost(s *segment) (runs []run) {
	prefixes := e.index.prefixes()
	slices.SortFunc(prefixes, func(a, b storage.Prefix) int { return bytes.Compare(a[:], b[:]) })
	byPrefix := make([]run, 0, len(prefixes))
	for _, p := range prefixes {
		of := e.lostOf(s, p)
		runs = append(runs, of...)
		if k := len(of); k > 0 {
			byPrefix = append(byPrefix, run{of[0].from, of[k-1].to})
		}
	}
	if len(runs) > maxTold {
		return byPrefix
	}
	return runs
}

// lostOf is lost for the keys of a prefix.
func (e *Engine) lostOf(s *segment, p storage.Prefix) (runs []run) {
	snap, t := e.snapshot(p)
	defer e.tables.release(t)
	buf := scratches.Get().(*scratch)
	defer buf.done()
	var key []byte
	inRun := false
	snap.walk(nil, func(rest []byte, l *loc) bool {
		if l.segment != s.number {
			inRun = false
			return true
		}
		key = append(append(key[:0], p[:]...), rest...)
		b := buf.of(int(l.length))
		err := e.readBytes(s, int64(l.offset), b, false)
		if err == nil {
			_, err = check(b, l, key, s.salt())
		} else if !isDamage(err) {
			err = nil // nobody knows
		}
		switch {
		case err == nil:
			inRun = false
		case inRun:
			runs[len(runs)-1].to = after(bytes.Clone(key))
		default:
			inRun = true
			from := bytes.Clone(key)
			runs = append(runs, run{from, after(from)})
		}
		return true
	})
	return runs
}
