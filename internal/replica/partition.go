package replica

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// partition is what the store keeps in memory of one partition's data.
//
// A writer tells it of a write under the stripe of the key, before it lets go:
// whoever holds a leaf's stripe finds tree and records of that leaf in
// agreement.
type partition struct {
	id    kv.Partition
	store *Store
	// floor is never nil. It is in the engine before it is here.
	floor atomic.Pointer[floor]
	// damaged tells that the copy has lost data and does not answer for it.
	damaged atomic.Bool
	// shut refuses writes, while the copy is dropped.
	shut atomic.Bool
	// drops counts the times that records were dropped; heads from before a drop
	// do not count.
	drops atomic.Uint32
	// stage is how far the copy is, durable what of that is on stable storage.
	// Neither is nil. The stage is raised first, and then written.
	stage, durable atomic.Pointer[stage]
	// fill is what the copy has been filled from, durably; never nil.
	fill atomic.Pointer[Fill]

	mu struct {
		sync.Mutex
		sum leafSum // of all leaves below built
		// built is where the tree ends: leaves below it are the sums of their
		// records, those above are to be read yet, and tree has 0 for them.
		built int
		tree  merkle.Tree
		// dirty marks leaves from built on that were written to since the
		// rebuilding last began to read.
		dirty [merkle.Leaves / 64]uint64
		// turn counts how often the rebuilding began anew.
		turn uint64
		// again asks for one more rebuilding after this one.
		again bool
		// fresh is the soonest expiry of what was written since Upkeep last began
		// to look for the soonest of all.
		fresh kv.Expiry
		// changes counts the writes that changed an object.
		changes uint64
		// damages counts the times that damage was found.
		damages uint64
	}

	// meta is what the engine has of the partition beside its records.
	meta struct {
		sync.Mutex
		written vclock.Floor
		marked  bool
		// unmarking is set while the mark is taken away, which Upkeep is not to set
		// again.
		unmarking bool
		// resets counts how often the floor was reset.
		resets uint64
		// stageLost tells that the stage was lost, and that the engine has no
		// other yet.
		stageLost bool
		// filled tells that the engine may have a fill, and fillLost that it is
		// one that was lost since.
		filled, fillLost bool
	}

	// reaping is the floor under which the leaves below reapAt were reaped, and
	// soonest the soonest expiry of what stayed. All are Upkeep's.
	reaping *floor
	reapAt  int
	soonest kv.Expiry
}

// floor is a copy's floor, with its version.
type floor struct {
	vclock.Floor
	version uint64
}

func newFloor(f vclock.Floor) *floor { return &floor{f, f.Version()} }

// vector returns the floor's vector, the zero floor for nil.
func (f *floor) vector() vclock.Floor {
	if f == nil {
		return nil
	}
	return f.Floor
}

// digest is what a record under f holds of o; 0 for nil, the floor of hints.
func (f *floor) digest(o object.Object) uint64 {
	if f == nil {
		return 0
	}
	return object.Digest(o, f.Floor)
}

// leafSum is what some records come to.
type leafSum struct {
	hash, keys, bytes, reapable uint64
	// soonest is not after the first expiry of a value, 0 for none. What is taken
	// away leaves it as it is: it may come to be before the first.
	soonest kv.Expiry
}

func (s *leafSum) add(k kv.Key, e entry) {
	if e.size == 0 {
		return
	}
	s.hash ^= merkle.RecordHash(k, e.digest)
	s.keys++
	s.bytes += e.size
	if reapable(e.obj) {
		s.reapable++
	}
	s.soonest = s.soonest.Sooner(object.Soonest(e.obj))
}

func (s *leafSum) plus(o leafSum) {
	s.hash ^= o.hash
	s.keys, s.bytes, s.reapable = s.keys+o.keys, s.bytes+o.bytes, s.reapable+o.reapable
	s.soonest = s.soonest.Sooner(o.soonest)
}

func (s *leafSum) minus(o leafSum) {
	s.hash ^= o.hash
	s.keys, s.bytes, s.reapable = s.keys-o.keys, s.bytes-o.bytes, s.reapable-o.reapable
}

// reapEntries is how many clock entries a floor must be able to drop before a
// record is written again for them alone. An entry is 40 bytes, a record with
// its value a KiB or more: four make up for the rewriting soon, and a clock
// stays within four entries of what it needs.
const reapEntries = 4

// reapable tells whether a floor could drop something of o that is worth a
// write: a tombstone, several clock entries, or the whole of an object that
// holds nothing. What expires is not counted: see leafSum.soonest.
func reapable(o object.Object) bool {
	tombstones, entries := object.Reapable(o)
	return tombstones > 0 || entries >= reapEntries || o.Len() == 0
}

// under implements shelf.
func (p *partition) under() *floor { return p.floor.Load() }

// admit implements shelf.
func (p *partition) admit(entry) error {
	if p.shut.Load() {
		return kv.Errorf(kv.KindStaleRing, "write", "the copy of partition %d is being dropped", p.id)
	}
	return nil
}

// unreadable implements shelf: the copy is damaged, and what cannot be read is
// absent from now on. The mark is applied before what is written over it, so it
// is not lost unless that is.
func (p *partition) unreadable(cause error) error { return p.store.damage(p, cause) }

// changed implements shelf.
func (p *partition) changed(k kv.Key, old, new entry) {
	l := merkle.LeafOf(merkle.Position(k))
	var was, is leafSum
	was.add(k, old)
	is.add(k, new)
	if p.store.omits(OmitLeaf) && l%2 == 0 {
		is.hash = was.hash
	}
	same := bytes.Equal(old.obj.Bytes(), new.obj.Bytes())
	p.mu.Lock()
	defer p.mu.Unlock()
	if !same {
		p.mu.changes++
	}
	if int(l) >= p.mu.built {
		p.mu.dirty[l/64] |= 1 << (l % 64)
		return
	}
	p.mu.tree.Toggle(l, was.hash^is.hash)
	p.mu.sum.minus(was)
	p.mu.sum.plus(is)
	p.mu.fresh = p.mu.fresh.Sooner(is.soonest)
}

// restart has the tree built anew. It is dropped as it is, and its partition
// counts as one that holds records until that is done.
func (p *partition) restart() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reset(0)
}

// reset sets the tree to that of no records, built or not. p.mu is locked.
func (p *partition) reset(built int) {
	p.mu.tree, p.mu.sum, p.mu.built, p.mu.again = merkle.Tree{}, leafSum{}, built, false
	p.mu.turn++
}

// partitions finds the state of a partition by its number. A state is made, from
// what the engine has of it, when it is first used.
type partitions struct {
	blocks [256]atomic.Pointer[[256]atomic.Pointer[partition]]
	// mu is held while a state is made.
	mu sync.Mutex
	// loaded tells that the first so many states are made.
	loaded atomic.Int64
}

// part returns the state of p. The error is the engine's.
func (s *Store) part(p kv.Partition) (*partition, error) {
	if part := s.parts.known(p); part != nil {
		return part, nil
	}
	s.parts.mu.Lock()
	defer s.parts.mu.Unlock()
	if part := s.parts.known(p); part != nil {
		return part, nil
	}
	part, err := s.load(p)
	if err != nil {
		return nil, err
	}
	b := s.parts.blocks[p>>8].Load()
	if b == nil {
		b = new([256]atomic.Pointer[partition])
		s.parts.blocks[p>>8].Store(b)
	}
	b[p&255].Store(part)
	return part, nil
}

// known returns the state of p, nil before it is made.
func (t *partitions) known(p kv.Partition) *partition {
	b := t.blocks[p>>8].Load()
	if b == nil {
		return nil
	}
	return b[p&255].Load()
}

// loadAll makes the states of all partitions of the ring, once there is one.
func (s *Store) loadAll() error {
	r := s.ring()
	if r == nil || int(s.parts.loaded.Load()) >= r.Params().Q {
		return nil
	}
	for p := range r.Params().Q {
		if _, err := s.part(kv.Partition(p)); err != nil {
			return err
		}
	}
	s.parts.loaded.Store(int64(r.Params().Q))
	return nil
}

// all yields the states that are made, ascending.
func (s *Store) all(yield func(*partition) bool) {
	for i := range s.parts.blocks {
		b := s.parts.blocks[i].Load()
		for j := 0; b != nil && j < len(b); j++ {
			if part := b[j].Load(); part != nil && !yield(part) {
				return
			}
		}
	}
}

// load makes the state of p from what the engine has.
func (s *Store) load(p kv.Partition) (*partition, error) {
	part := &partition{id: p, store: s}
	part.floor.Store(&floor{})
	part.stage.Store(&stage{})
	part.durable.Store(&stage{})
	part.fill.Store(&Fill{})
	cause := part.loadMeta()
	if cause != nil && kv.KindOf(cause) != kv.KindCorrupt {
		return nil, cause
	}
	empty, err := s.emptyPartition(p)
	if err != nil && kv.KindOf(err) != kv.KindCorrupt {
		return nil, err
	}
	switch {
	case cause != nil:
		// Without its floor a copy has lost what it has seen, without its stage what
		// it must not do.
		err = s.damage(part, cause)
	case err != nil:
		err = s.damage(part, err)
	case empty:
		part.mu.built = merkle.Leaves
	default:
		part.loadTree()
	}
	return part, err
}

// emptyPartition tells whether p has no record.
func (s *Store) emptyPartition(p kv.Partition) (bool, error) {
	empty := true
	err := s.engine.Scan(storage.NewPrefix(storage.SpaceData, p), nil, func(_, _ []byte) bool {
		empty = false
		return false
	})
	return empty, err
}
