// Package replica is what one node stores: the versioned objects of its
// partitions. It carries out the local half of every put and get: the
// read-merge-write of a key under the key's lock, and the rules by which a copy
// may issue dots (§4.4, §4.5; DESIGN section 3).
package replica

import (
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Source issues the node's sequence numbers (DESIGN section 3). It is safe for
// concurrent use and does not block on the network.
type Source interface {
	// Next returns the id under which the node now issues dots, and a sequence
	// number that was never returned before, in this process or an earlier one.
	Next() (kv.NodeID, uint64, error)
}

// Rings tells the ring that the node believes in; nil before it has one.
type Rings interface {
	Ring() *ring.Ring
}

// Store is a node's copies. It is safe for concurrent use.
type Store struct {
	cfg    Config
	engine storage.Engine
	source Source
	rings  Rings
	// frozen is the epoch of a change of the ring that is being agreed on, 0
	// for none: until it is over no write is taken.
	frozen atomic.Uint64
	locks  [leaves]lock
	parts  partitions
	self   kv.NodeID
	work   sync.Pool
	reads  sync.Pool
	acks   sync.Pool
	broken rules
}

// lock is a stripe: a mutex on a cache line of its own, for the keys of one
// leaf of every partition, and what it guards: from is the first sequence number
// whose actors may still issue dots in its keys' records.
type lock struct {
	sync.Mutex
	from uint64
	_    [48]byte
}

// Open returns a Store on engine for node self. Actors born before first, a
// sequence number that source has not returned yet, are not used again: an
// engine that is closed and opened again, whether by a new process or not,
// needs a new Store and a new first. The error is of KindInvalid for a Config
// that is not valid, or the engine's.
func Open(cfg Config, self kv.NodeID, engine storage.Engine, source Source, rings Rings, first uint64) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, self: self, engine: engine, source: source, rings: rings}
	for i := range s.locks {
		s.locks[i].from = first
	}
	s.work.New = func() any { return new(work) }
	s.reads.New = func() any { return new(reading) }
	s.acks.New = func() any { return new(durableAck) }
	return s, nil
}

// Read appends the record of k to buf and returns its object, which refers to
// it, and the buffer. A key that was never put has the zero Object. The error
// is of KindCorrupt or the engine's.
func (s *Store) Read(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error) {
	w := s.work.Get().(*work)
	w.key = appendDataKey(w.key[:0], p, k)
	rec, buf, err := s.read(w.key, buf)
	s.work.Put(w)
	return rec.obj, buf, err
}

func (s *Store) read(key, buf []byte) (record, []byte, error) {
	at := len(buf)
	buf, found, err := s.engine.Get(key, buf)
	if err != nil || !found {
		return record{}, buf, err
	}
	rec, err := parseRecord(buf[at:])
	return rec, buf, err
}

// Freeze refuses writes until Thaw, while a change of the ring to epoch is
// being agreed on. No write is under way when it returns.
func (s *Store) Freeze(epoch uint64) {
	s.frozen.Store(epoch)
	s.barrier()
}

// Thaw takes writes again.
func (s *Store) Thaw() { s.frozen.Store(0) }

// barrier waits for the writes that are under way.
func (s *Store) barrier() {
	for i := range s.locks {
		s.locks[i].Lock()
		//lint:ignore SA2001 whoever held it, and had not seen what went before, is gone
		s.locks[i].Unlock()
	}
}

// Empty tells whether the node holds no object in any partition of r.
func (s *Store) Empty(r *ring.Ring) (bool, error) {
	empty := true
	for p := range r.Params().Q {
		err := s.engine.Scan(storage.NewPrefix(storage.SpaceData, kv.Partition(p)), nil, func(_, _ []byte) bool {
			empty = false
			return false
		})
		if err != nil || !empty {
			return false, err
		}
	}
	return true, nil
}

// Usage returns the number of records in partition p, tombstones included, and
// the bytes of their keys and values. It reads them all.
func (s *Store) Usage(p kv.Partition) (keys, bytes uint64, err error) {
	err = s.engine.Scan(storage.NewPrefix(storage.SpaceData, p), nil, func(key, value []byte) bool {
		keys++
		bytes += uint64(len(key) + len(value))
		return true
	})
	return keys, bytes, err
}
