package storagetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// Disk is what the suites for engines with a disk open an engine on.
type Disk struct {
	// FS is the file system. Where on it the engine lives is its own matter,
	// but always the same place.
	FS vfs.FS
	// Reserve is the free space, in bytes, below which writes are refused.
	Reserve int64
	// Ticks makes the engine look up the free space, once for each value.
	Ticks <-chan time.Time
	// Failed is called once when the engine becomes final. It may be nil.
	Failed func(error)
	// Corrupted is called for damage that the engine meets, at the latest before
	// Close returns. It may be nil.
	Corrupted func(storage.Damage)
}

// OpenDisk opens an engine, a new one or the one that the disk holds. Its write
// buffers should be small, some 64 KiB, so that a short history reaches every
// kind of file.
type OpenDisk func(Disk) (storage.Engine, error)

// step is one change in a history: a batch, or the drop of a range.
type step struct {
	ops      []storage.Op
	drop     bool
	from, to []byte
}

// on carries out s on a map.
func (s *step) on(m map[string]string) {
	if s.drop {
		dropFrom(m, s.from, s.to)
	}
	for _, op := range s.ops {
		if op.Delete {
			delete(m, string(op.Key))
		} else {
			m[string(op.Key)] = string(op.Value)
		}
	}
}

// history is the changes that were made to an engine, in order, and which of
// them must outlive a crash.
type history struct {
	rng   *rand.Rand
	steps []step
	// durable is the number of steps that were acknowledged; acks are the
	// Waiters of steps that were not, by the number of steps they cover.
	durable int
	acks    map[int]*ack
}

func newHistory(seed uint64) *history {
	return &history{rng: rand.New(rand.NewPCG(seed, 0)), acks: make(map[int]*ack)}
}

// historyPrefixes are the prefixes of a history's keys.
var historyPrefixes = modelPrefixes

// batch returns a random batch. Its values are unlike those of every other.
func (h *history) batch() (*storage.Batch, step) {
	var b storage.Batch
	for range 1 + h.rng.IntN(5) {
		p := historyPrefixes[h.rng.IntN(len(historyPrefixes))]
		k := key(p, numbered(h.rng.IntN(12)))
		if h.rng.IntN(5) == 0 {
			b.Delete(k)
			continue
		}
		v := fmt.Appendf(nil, "step %d, op %d ", len(h.steps), b.Len())
		b.Set(k, append(v, make([]byte, h.rng.IntN(4000))...))
	}
	return &b, step{ops: slices.Clone(b.Ops())}
}

// change makes one random change to e. A change that was refused is not part
// of the history; one whose outcome is unknown is, as not durable.
func (h *history) change(e storage.Engine) error {
	switch h.rng.IntN(20) {
	case 0:
		from, to := h.rangeToDrop()
		h.steps = append(h.steps, step{drop: true, from: from, to: to})
		return h.settle(e.Drop(from, to))
	case 1:
		return h.settle(e.Sync())
	}
	b, s := h.batch()
	how := h.rng.IntN(3)
	if how == 0 {
		err := e.Apply(b, nil)
		if err == nil {
			h.steps = append(h.steps, s)
		}
		return err
	}
	a := newAck()
	if err := e.Apply(b, a); err != nil {
		return err
	}
	h.steps = append(h.steps, s)
	h.acks[len(h.steps)] = a
	if how == 1 {
		return h.settle(a.wait())
	}
	return nil
}

// rangeToDrop returns all of a prefix, or a part of one.
func (h *history) rangeToDrop() (from, to []byte) {
	p := historyPrefixes[h.rng.IntN(len(historyPrefixes))]
	if h.rng.IntN(2) == 0 {
		return p.Range()
	}
	i := h.rng.IntN(12)
	return key(p, numbered(i)), key(p, numbered(i+1+h.rng.IntN(4)))
}

// settle takes note that all steps are durable, unless err says otherwise.
func (h *history) settle(err error) error {
	if err == nil {
		h.durable = len(h.steps)
	}
	return err
}

// collect takes note of the Waiters that were called with nil by now.
func (h *history) collect() {
	for n, a := range h.acks {
		if a.called() && a.wait() == nil {
			h.durable = max(h.durable, n)
		}
	}
}

// recovered checks that e holds the outcome of the first steps, at least of
// those that are durable, and returns their number.
func (h *history) recovered(e storage.Engine) (int, error) {
	got := make(map[string]string)
	for _, p := range historyPrefixes {
		pairs, err := scan(e, p, nil)
		if err != nil {
			return 0, fmt.Errorf("scan after recovery: %w", err)
		}
		for _, kv := range pairs {
			got[kv.Key] = kv.Value
		}
	}
	want := make(map[string]string)
	for i := range h.durable {
		h.steps[i].on(want)
	}
	diff := cmp.Diff(heads(want), heads(got))
	for n := h.durable; ; n++ {
		if maps.Equal(want, got) {
			return n, nil
		}
		if n == len(h.steps) {
			return 0, fmt.Errorf("%d steps were made, %d are durable, and what is there is the outcome of none from %d on"+
				" (-the durable +what is there):\n%s", len(h.steps), h.durable, h.durable, diff)
		}
		h.steps[n].on(want)
	}
}

// heads shortens values to what is legible.
func heads(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = fmt.Sprintf("%.20q… (%d bytes)", v, len(v))
	}
	return out
}
