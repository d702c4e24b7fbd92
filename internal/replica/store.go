// Package replica is what one node stores: the versioned objects of its
// partitions, their hash trees, and hints for other nodes. It carries out the
// local half of every put and get: the read-merge-write of a key under the key's
// lock, and the rules by which a copy may issue dots (§4.4, §4.5; DESIGN section
// 3); it keeps the tree of each partition up to date with its records (§4.7),
// drops what the partition's floor lets it drop, and finds and cuts out what
// the disk has damaged (DESIGN section 6).
//
// It has no goroutine. What takes longer, Upkeep does, a slice at a time.
package replica

import (
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Source issues the node's sequence numbers (DESIGN section 3). It is safe for
// concurrent use and does not block on the network.
type Source interface {
	// Next returns the id under which the node now issues dots, and a sequence
	// number that was never returned before, in this process or an earlier one.
	Next() (kv.NodeID, uint64, error)
}

// Rings tells where the node believes the ring to be; nil before it has one. It
// is asked for every write: it does not allocate, nor lock.
type Rings interface {
	Current() *ring.Current
}

// Store is a node's copies. It is safe for concurrent use.
//
// Locks, in the order in which they are taken: stripes, ascending; the meta of
// partitions, ascending; the mu of one. Nothing waits for the disk's sync under any of them, but
// for the cutting out of damage.
type Store struct {
	cfg    Config
	engine storage.Engine
	// peeker is the engine, nil for one that cannot tell what waits for the disk.
	peeker storage.Peeker
	source Source
	rings  Rings
	// saved tells that the trees are kept as they are, and nothing is written.
	saved atomic.Bool
	// reaped counts what Upkeep has reaped.
	reaped atomic.Uint64
	// syncing counts the writes of other nodes that wait for the disk.
	syncing atomic.Int64
	locks   [merkle.Leaves]lock
	parts   partitions
	hints   hintTable
	heads   heads
	self    kv.NodeID
	// first is the first sequence number of this process, and names its stop;
	// keptBy is the stop whose kept trees are valid, 0 for none.
	first, keptBy uint64
	// upkept is the partition that Upkeep looked at last. It is Upkeep's.
	upkept kv.Partition
	work   sync.Pool
	reads  sync.Pool
	acks   sync.Pool
}

// lock is a stripe: a mutex on a cache line of its own, for the keys of one
// leaf of every partition, and what it guards.
type lock struct {
	sync.Mutex
	// from is the first sequence number whose actors may still issue dots.
	from uint64
	// low is the sequence number of the last Low: a write that has drawn a lower
	// one, and has not locked yet, draws again.
	low uint64
	_   [40]byte
}

// Open returns a Store on engine for node self. Actors born before first, a
// sequence number that source has not returned yet, are not used again: an
// engine that is closed and opened again, whether by a new process or not,
// needs a new Store and a new, greater first. The error is of KindInvalid for a
// Config that is not valid, or the engine's.
func Open(cfg Config, self kv.NodeID, engine storage.Engine, source Source, rings Rings, first uint64) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, self: self, engine: engine, source: source, rings: rings, first: first, heads: newHeads(cfg.MaxHeadBytes)}
	s.peeker, _ = engine.(storage.Peeker)
	for i := range s.locks {
		s.locks[i].from = first
	}
	s.work.New = func() any { return new(work) }
	s.reads.New = func() any { return new(reading) }
	s.acks.New = func() any { return new(durableAck) }
	s.hints.open(cfg)
	if err := s.endRedo(); err != nil {
		return nil, err
	}
	if err := s.openKept(); err != nil {
		return nil, err
	}
	if err := s.loadAll(); err != nil {
		return nil, err
	}
	return s, s.loadHints()
}

// Read appends the record of k to buf and returns its object, which refers to
// it, and the buffer. A key that was never put has the zero Object. The error
// is the engine's, or of KindCorrupt, for every key of a damaged copy: what it
// has lost it cannot tell.
func (s *Store) Read(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error) {
	o, _, _, buf, err := s.ReadUnder(unplanned, p, k, buf)
	return o, buf, err
}

// ReadUnder is Read, with the copy's floor of that moment and its version. Only
// such a pair may be merged with other copies: a later floor would claim that
// the object has seen what it has not, and what is live elsewhere would go.
//
// Level is that of the view under which the read was planned. If the copy does
// not serve it any more the error is of KindStaleRing.
func (s *Store) ReadUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	return s.readUnder(level, p, k, buf, false)
}

// PeekUnder is ReadUnder for a caller that must not wait for the disk: where the
// copy is there alone, the error is storage.ErrWaits.
func (s *Store) PeekUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	return s.readUnder(level, p, k, buf, true)
}

func (s *Store) readUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte, prompt bool) (object.Object, vclock.Floor, uint64, []byte, error) {
	part, err := s.part(p)
	if err != nil {
		return object.Object{}, nil, 0, buf, err
	}
	w := s.work.Get().(*work)
	defer s.work.Put(w)
	w.key = appendDataKey(w.key[:0], p, k)
	start := len(buf)
	for {
		f := part.floor.Load()
		if part.damaged.Load() {
			return object.Object{}, nil, 0, buf, errDamaged(p)
		}
		var rec record
		rec, buf, err = s.read(w.key, buf[:start], prompt)
		if err != nil {
			if kv.KindOf(err) == kv.KindCorrupt {
				_ = s.damage(part, err) // Upkeep tries again
			}
			return object.Object{}, nil, 0, buf[:start], err
		}
		// Only now: a copy that is dropped after this was read is at a stage
		// that refuses it.
		if err = part.answers(level); err != nil {
			return object.Object{}, nil, 0, buf[:start], err
		}
		if part.floor.Load() == f {
			return rec.obj, f.Floor, f.version, buf, nil
		}
	}
}

// read reads a record. If that has to be prompt the error for what is on the disk
// alone is storage.ErrWaits, as far as the engine knows.
func (s *Store) read(key, buf []byte, prompt bool) (record, []byte, error) {
	at := len(buf)
	var found bool
	var err error
	if prompt && s.peeker != nil {
		buf, found, err = s.peeker.Peek(key, buf)
	} else {
		buf, found, err = s.engine.Get(key, buf)
	}
	if err != nil || !found {
		return record{}, buf, err
	}
	rec, err := parseRecord(buf[at:])
	return rec, buf, err
}

// ring returns the ring that is settled, as far as the node knows; nil before it
// has one.
func (s *Store) ring() *ring.Ring {
	if c := s.rings.Current(); c != nil {
		return c.Ring
	}
	return nil
}

// level returns the level of p in the node's own view, 0 before it has one.
func (s *Store) level(p kv.Partition) kv.Level {
	switch c := s.rings.Current(); {
	case c == nil:
		return 0
	case c.Progress == nil:
		return kv.LevelOf(c.Ring.Epoch())
	default:
		return c.View(p).Level
	}
}

// barrier waits for the writes that are under way.
func (s *Store) barrier() {
	for i := range s.locks {
		s.locks[i].Lock()
		//lint:ignore SA2001 whoever held it, and had not seen what went before, is gone
		s.locks[i].Unlock()
	}
}
