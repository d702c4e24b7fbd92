// Package replica is what one node stores: the versioned objects of its
// partitions. It carries out the local half of every put and get: the
// read-merge-write of a key under the key's lock, and the rules by which a copy
// may issue dots (§4.4, §4.5; DESIGN section 3).
package replica

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// stripes is the number of locks that keys share. Two keys on one lock wait for
// each other's engine write, so there are many more than callers.
const stripes = 1024

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
	engine storage.Engine
	source Source
	rings  Rings
	// frozen is the epoch of a change of the ring that is being agreed on, 0
	// for none: until it is over no write is taken.
	frozen atomic.Uint64
	seed   maphash.Seed
	locks  [stripes]lock
	self   kv.NodeID
	work   sync.Pool
	reads  sync.Pool
	acks   sync.Pool
	broken rules
}

// lock is a mutex on a cache line of its own, and what it guards: from is the
// first sequence number whose actors may still issue dots in its keys' records.
type lock struct {
	sync.Mutex
	from uint64
	_    [48]byte
}

// work is the scratch space of one operation.
type work struct {
	key, old, out []byte
	batch         storage.Batch
}

// NewStore returns a Store on engine for node self. Actors born before first, a
// sequence number that source has not returned yet, are not used again: an
// engine that is closed and opened again, whether by a new process or not,
// needs a new Store and a new first.
func NewStore(self kv.NodeID, engine storage.Engine, source Source, rings Rings, first uint64) *Store {
	s := &Store{self: self, engine: engine, source: source, rings: rings, seed: maphash.MakeSeed()}
	for i := range s.locks {
		s.locks[i].from = first
	}
	s.work.New = func() any { return new(work) }
	s.reads.New = func() any { return new(reading) }
	s.acks.New = func() any { return new(durableAck) }
	return s
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

// Put carries out a local put or delete: under k's lock it reads the copy,
// issues a dot, applies w (whose Own and Seq it fills in), and writes the result
// to the engine. The new object is appended to buf.
//
// With a nil durable the write is only applied; otherwise durable is told when
// it is on stable storage, possibly before Put returns. After an error nothing
// was applied, durable is not told, and nothing may be sent to others.
//
// Epoch is that of the ring under which the caller planned the write. If the
// node has another one by the time it holds the lock, the error is of
// KindStaleRing: the write was meant for other owners, or fewer.
func (s *Store) Put(epoch uint64, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	scratch := s.work.Get().(*work)
	defer s.release(scratch)
	scratch.key = appendDataKey(scratch.key[:0], p, k)
	return s.put(epoch, scratch, scratch.key, k, w, buf, durable)
}

// put is Put for any record, data or hint, of key k.
func (s *Store) put(epoch uint64, scratch *work, key []byte, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	node, seq, err := s.source.Next()
	if err != nil {
		return object.Object{}, buf, 0, err
	}
	mu := s.lockOf(k)
	mu.Lock()
	defer mu.Unlock()
	if s.frozen.Load() != 0 {
		return object.Object{}, buf, 0, errFrozen("put")
	}
	if r := s.rings.Ring(); r != nil && r.Epoch() != epoch {
		return object.Object{}, buf, 0, kv.Errorf(kv.KindStaleRing, "put", "the ring is of epoch %d, the write was planned under epoch %d; try again", r.Epoch(), epoch)
	}
	var rec record
	rec, scratch.old, err = s.read(key, scratch.old[:0])
	if err != nil {
		return object.Object{}, buf, 0, err
	}
	w.Own, w.Seq = s.issue(rec, node, seq, mu.from), seq
	at := len(buf)
	buf = appendRecordHeader(buf, w.Own)
	o, buf, dropped, err := object.Put(buf, rec.obj, w)
	if err != nil {
		return object.Object{}, buf[:at], 0, err
	}
	if err := s.apply(scratch, key, buf[at:], durable); err != nil {
		if !s.broken.keepAfterFailure {
			// The write may yet be found in the log, though nobody was told of
			// it: neither its actor nor one that was born before it is used
			// again.
			mu.from = max(mu.from, seq+1, w.Own.Birth+1)
		}
		return object.Object{}, buf[:at], 0, err
	}
	return o, buf, dropped, nil
}

// Merge merges in, another node's object, into the copy of k, under k's lock.
// It reports through durable as Put does; a merge that changes nothing is
// written again where durable asks for it, since the copy may not be on stable
// storage yet.
func (s *Store) Merge(p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error {
	w := s.work.Get().(*work)
	defer s.release(w)
	w.key = appendDataKey(w.key[:0], p, k)
	return s.merge(w, w.key, k, in, durable)
}

// merge is Merge for any record, data or hint, of key k.
func (s *Store) merge(w *work, key []byte, k kv.Key, in object.Object, durable storage.Waiter) error {
	mu := s.lockOf(k)
	mu.Lock()
	defer mu.Unlock()
	if s.frozen.Load() != 0 {
		return errFrozen("merge")
	}
	var rec record
	var err error
	rec, w.old, err = s.read(key, w.old[:0])
	if err != nil {
		return err
	}
	var outcome object.Outcome
	var o object.Object
	w.out = appendRecordHeader(w.out[:0], s.ownAfter(rec, in))
	o, w.out, outcome, err = object.Merge(w.out, rec.obj, in)
	if err != nil {
		return err
	}
	if outcome == object.First && durable == nil {
		return nil
	}
	if outcome != object.Mixed {
		w.out = append(w.out, o.Bytes()...)
	}
	return s.apply(w, key, w.out, durable)
}

// apply writes one record.
func (s *Store) apply(w *work, key, value []byte, durable storage.Waiter) error {
	w.batch.Set(key, value)
	err := s.engine.Apply(&w.batch, durable)
	w.batch.Reset()
	return err
}

// Freeze refuses writes until Thaw, while a change of the ring to epoch is
// being agreed on. No write is under way when it returns.
func (s *Store) Freeze(epoch uint64) {
	s.frozen.Store(epoch)
	for i := range s.locks {
		s.locks[i].Lock()
		//lint:ignore SA2001 whoever held it, and had not seen the freeze, is gone
		s.locks[i].Unlock()
	}
}

// Thaw takes writes again.
func (s *Store) Thaw() { s.frozen.Store(0) }

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

// maxScratch bounds the buffers that are kept for the next operation, in bytes.
const maxScratch = 256 << 10

func (s *Store) release(w *work) {
	if cap(w.old) > maxScratch || cap(w.out) > maxScratch {
		w.old, w.out = nil, nil
	}
	s.work.Put(w)
}

func (s *Store) lockOf(k kv.Key) *lock {
	return &s.locks[maphash.Bytes(s.seed, k)%stripes]
}

func errFrozen(op string) error {
	return kv.Errorf(kv.KindUnavailable, op, "a change of the ring is being agreed on; try again")
}
