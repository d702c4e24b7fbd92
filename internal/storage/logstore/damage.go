package logstore

import (
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// damages is the segments in which damage was met.
type damages struct {
	mu struct {
		sync.Mutex
		met []*segment // that are yet to be looked over
	}
}

// met returns the error of damage to the record of key in s, and has the segment
// looked over.
func (e *Engine) met(s *segment, key []byte, err error) error {
	d := &storage.Damage{File: s.path, Err: err}
	if key != nil {
		d.From, d.To = append([]byte(nil), key...), append(append([]byte(nil), key...), 0)
	}
	if !s.damaged.Swap(true) {
		e.damages.mu.Lock()
		e.damages.mu.met = append(e.damages.mu.met, s)
		e.damages.mu.Unlock()
		e.cfg.Go(func() {
			if e.jobs.Enter() {
				defer e.jobs.Leave()
				e.inspect()
			}
		})
	}
	return kv.Wrap(kv.KindCorrupt, "read record", d)
}

func (e *Engine) inspect()          {}
func (d *damages) finish(e *Engine) {}
