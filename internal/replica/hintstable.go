package replica

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// HintStats is what this node keeps for one owner.
type HintStats struct {
	Owner kv.NodeID
	// Keys is the number of hints, Bytes what their keys and records take.
	Keys, Bytes uint64
	// Oldest is about when the oldest of them was written: no hint is older. It
	// is the time of the latest write in a hint, when the hint was new.
	Oldest kv.Time
}

// hintTable is what is known in memory of the hints: who has some where, and
// how many. It is read from the engine once, and kept up to date with every
// write.
type hintTable struct {
	max uint64
	// loaded is set once the table is what the engine has.
	loaded atomic.Bool
	// present finds, for a partition, the number of its hints and of the writes
	// of hints that are under way. A write is counted before it is applied, so
	// that no hint which a reader could have heard of is overlooked.
	present [256]atomic.Pointer[[256]atomic.Int64]
	// lost counts the hints, or ranges of hints, that could not be read.
	lost atomic.Uint64
	// damaged is told of each of them; never nil.
	damaged func(p kv.Partition, cause error)

	mu struct {
		sync.Mutex
		bytes uint64
		// shelves are ascending by owner in each partition.
		shelves map[kv.Partition][]*hintShelf
		owners  map[kv.NodeID]map[kv.Partition]*hintShelf
	}
}

// hintShelf is where the hints for one owner in one partition are counted. It
// exists while there are any, or one is being written.
type hintShelf struct {
	table *hintTable
	owner kv.NodeID
	p     kv.Partition
	// The following are guarded by the table's mutex.
	writers     int
	keys, bytes uint64
	oldest      kv.Time
	damaged     bool
}

func (t *hintTable) open(cfg Config) {
	t.max, t.damaged = cfg.MaxHintBytes, cfg.Hooks.DamagedHints
	if t.damaged == nil {
		t.damaged = func(kv.Partition, error) {}
	}
	t.mu.shelves = map[kv.Partition][]*hintShelf{}
	t.mu.owners = map[kv.NodeID]map[kv.Partition]*hintShelf{}
}

// holds tells whether there may be hints in p.
func (t *hintTable) holds(p kv.Partition) bool {
	b := t.present[p>>8].Load()
	return b != nil && b[p&255].Load() != 0
}

// addPresent counts hints or writers in p. The caller holds mu.
func (t *hintTable) addPresent(p kv.Partition, n int64) {
	b := t.present[p>>8].Load()
	if b == nil {
		b = new([256]atomic.Int64)
		t.present[p>>8].Store(b)
	}
	b[p&255].Add(n)
}

// enter returns the shelf for owner's hints in p for a write, and leave gives it
// back.
func (t *hintTable) enter(owner kv.NodeID, p kv.Partition) *hintShelf {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.shelf(owner, p)
	s.writers++
	t.addPresent(p, 1)
	return s
}

func (t *hintTable) leave(s *hintShelf) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.writers--
	t.addPresent(s.p, -1)
	t.tidy(s)
}

// shelf finds or makes a shelf. The caller holds mu.
func (t *hintTable) shelf(owner kv.NodeID, p kv.Partition) *hintShelf {
	if s := t.mu.owners[owner][p]; s != nil {
		return s
	}
	s := &hintShelf{table: t, owner: owner, p: p}
	i, _ := slices.BinarySearchFunc(t.mu.shelves[p], owner, compareShelf)
	t.mu.shelves[p] = slices.Insert(t.mu.shelves[p], i, s)
	if t.mu.owners[owner] == nil {
		t.mu.owners[owner] = map[kv.Partition]*hintShelf{}
	}
	t.mu.owners[owner][p] = s
	return s
}

// tidy removes a shelf that nothing stands on. The caller holds mu.
func (t *hintTable) tidy(s *hintShelf) {
	if s.keys > 0 || s.writers > 0 {
		return
	}
	if i, ok := slices.BinarySearchFunc(t.mu.shelves[s.p], s.owner, compareShelf); ok {
		t.mu.shelves[s.p] = slices.Delete(t.mu.shelves[s.p], i, i+1)
	}
	if len(t.mu.shelves[s.p]) == 0 {
		delete(t.mu.shelves, s.p)
	}
	delete(t.mu.owners[s.owner], s.p)
	if len(t.mu.owners[s.owner]) == 0 {
		delete(t.mu.owners, s.owner)
	}
}

func compareShelf(s *hintShelf, owner kv.NodeID) int { return cmp.Compare(s.owner, owner) }

// find returns a shelf, nil for none.
func (t *hintTable) find(owner kv.NodeID, p kv.Partition) *hintShelf {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.owners[owner][p]
}

// shelvesOf returns the shelves in p, ascending by owner.
func (t *hintTable) shelvesOf(p kv.Partition) []*hintShelf {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.mu.shelves[p])
}

// under implements shelf: hints know no floor.
func (s *hintShelf) under() *floor { return nil }

// serves implements shelf: a hint counts by the owner that it names, who decides
// when it is delivered.
func (s *hintShelf) serves(kv.Level) error { return nil }

// admit implements shelf: over the budget it declines what would be new.
func (s *hintShelf) admit(old entry) error { return s.within(1, old) }

// within is admit with some times the budget.
func (s *hintShelf) within(times uint64, old entry) error {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if old.size == 0 && t.mu.bytes/times >= t.max {
		return kv.Errorf(kv.KindHintsFull, "keep hint", "this node keeps %d bytes of hints, the limit is %d", t.mu.bytes, t.max)
	}
	return nil
}

// readdressed is a shelf for what stands on another one already.
type readdressed struct{ *hintShelf }

// readdressedTimes is how often the budget all hints may take before one that is
// readdressed is declined.
const readdressedTimes = 2

func (s readdressed) admit(old entry) error { return s.within(readdressedTimes, old) }

// unreadable implements shelf: the hint is written over, like one that is not
// there.
func (s *hintShelf) unreadable(cause error) error {
	_ = s.damage(cause)
	return nil
}

// damage notes that a hint here could not be read, so that the next HintPage
// mends what there is, and returns cause with the place's name.
func (s *hintShelf) damage(cause error) error {
	err := kv.Wrap(kv.KindCorrupt, "read hint for "+s.owner.String(), cause)
	s.table.mu.Lock()
	s.damaged = true
	s.table.mu.Unlock()
	s.table.damaged(s.p, err)
	return err
}

// isDamaged tells whether a hint on the shelf could not be read.
func (t *hintTable) isDamaged(s *hintShelf) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.damaged
}

// counts tells whether there are hints on the shelf, as far as is known.
func (t *hintTable) counts(s *hintShelf) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.keys > 0
}

// changed implements shelf.
func (s *hintShelf) changed(_ kv.Key, old, new entry) {
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	s.bytes += new.size - old.size
	t.mu.bytes += new.size - old.size
	switch {
	case new.size == 0:
		s.keys--
		t.addPresent(s.p, -1)
	case old.size == 0:
		if at := latest(new.obj); s.keys == 0 || at < s.oldest {
			s.oldest = at
		}
		s.keys++
		t.addPresent(s.p, 1)
	}
}

// count is what a scan found on a shelf.
type count struct {
	keys, bytes uint64
	oldest      kv.Time
}

// recount replaces the counts of partition p by those of a scan, while no write
// is under way, and returns how many hints fewer there are.
func (t *hintTable) recount(p kv.Partition, found map[kv.NodeID]count) (gone int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for owner := range found {
		t.shelf(owner, p)
	}
	for _, s := range slices.Clone(t.mu.shelves[p]) {
		c := found[s.owner]
		t.addPresent(p, int64(c.keys)-int64(s.keys))
		gone += int64(s.keys) - int64(c.keys)
		t.mu.bytes += c.bytes - s.bytes
		s.keys, s.bytes, s.oldest, s.damaged = c.keys, c.bytes, c.oldest, false
		t.tidy(s)
	}
	return gone
}

// latest is the time of the latest write that o holds or has seen.
func latest(o object.Object) kv.Time {
	var at kv.Time
	for c := o.Siblings(); c.Next(); {
		at = max(at, c.Time)
	}
	for i := range o.Clock().Len() {
		at = max(at, o.Clock().At(i).Wall)
	}
	return at
}

// HoldsHints tells whether this node keeps a hint for any owner of partition p,
// or is about to, or cannot tell. It costs next to nothing.
func (s *Store) HoldsHints(p kv.Partition) bool {
	return s.loadHints() != nil || s.hints.holds(p)
}

// Hints returns what this node keeps for each owner, ascending by owner.
func (s *Store) Hints() []HintStats {
	_ = s.loadHints()
	t := &s.hints
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []HintStats
	for _, owner := range slices.Sorted(maps.Keys(t.mu.owners)) {
		st := HintStats{Owner: owner}
		for _, shelf := range t.mu.owners[owner] {
			if shelf.keys > 0 && (st.Keys == 0 || shelf.oldest < st.Oldest) {
				st.Oldest = shelf.oldest
			}
			st.Keys, st.Bytes = st.Keys+shelf.keys, st.Bytes+shelf.bytes
		}
		if st.Keys > 0 {
			out = append(out, st)
		}
	}
	return out
}

// HintPartitions returns the partitions in which this node keeps hints for
// owner, ascending.
func (s *Store) HintPartitions(owner kv.NodeID) []kv.Partition {
	t := &s.hints
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []kv.Partition
	for p, shelf := range t.mu.owners[owner] {
		if shelf.keys > 0 {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// DamagedHints counts the hints, or runs of hints, that could not be read and
// were set aside since the Store was opened.
func (s *Store) DamagedHints() uint64 { return s.hints.lost.Load() }
