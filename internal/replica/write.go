package replica

import (
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// shelf is where records of one kind stand, and are counted: a partition's
// data, or its hints. All but under and unreadable is called under the stripe
// of the key.
type shelf interface {
	// under returns the floor under which records are merged and digested; nil
	// for hints, which have neither.
	under() *floor
	// serves refuses the writes of a request whose level is too low by now.
	serves(level kv.Level) error
	// admit may refuse a write before it is made; old is the record that it
	// would replace.
	admit(old entry) error
	// unreadable is told that a record cannot be read. When it returns nil the
	// record counts as absent and may be written over.
	unreadable(cause error) error
	// changed is told of each write that was applied.
	changed(k kv.Key, old, new entry)
}

// spot is the place of one record: its shelf, its engine key, and the user's.
type spot struct {
	shelf
	at []byte
	k  kv.Key
	// head is where the record's head is kept; nil for hints.
	head *headSpot
}

// entry is what a shelf knows of a record; the zero entry is none.
type entry struct {
	// size is the bytes of its engine key and value, 0 for none.
	size uint64
	// digest is what the record holds of its object.
	digest uint64
	obj    object.Object
}

// work is the scratch space of one operation.
type work struct {
	key, old, out []byte
	head          headSpot
	batch         storage.Batch
	// prompt has what is on the disk alone not be read: the error is
	// storage.ErrWaits.
	prompt bool
}

// data returns the spot of k's data record, which refers to w.
func (w *work) data(part *partition, k kv.Key) spot {
	w.key = appendDataKey(w.key[:0], part.id, k)
	w.head = headOf(part, k)
	return spot{part, w.key, k, &w.head}
}

// maxScratch bounds the buffers that are kept for the next operation, in bytes.
const maxScratch = 256 << 10

func (s *Store) release(w *work) {
	if cap(w.old) > maxScratch || cap(w.out) > maxScratch {
		w.old, w.out = nil, nil
	}
	w.head, w.prompt = headSpot{}, false
	s.work.Put(w)
}

func (s *Store) lockOf(k kv.Key) *lock { return &s.locks[merkle.LeafOf(merkle.Position(k))] }

func errStopping(op string) error { return kv.Errorf(kv.KindClosed, op, "the node is stopping") }

// Put carries out a local put or delete: under k's lock it reads the copy,
// issues a dot, applies w (whose Own and Seq it fills in), and writes the result
// to the engine. The new object is appended to buf.
//
// With a nil durable the write is only applied; otherwise durable is told when
// it is on stable storage, possibly before Put returns. After an error nothing
// was applied, durable is not told, and nothing may be sent to others.
//
// Level is that of the view under which the caller planned the write. If the copy
// does not serve it any more by the time that Put holds the lock, or the node's
// own view has a higher one, the error is of KindStaleRing: the write was meant
// for other owners, or fewer.
func (s *Store) Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	return s.putData(level, p, k, w, buf, durable, false)
}

// TryPut is Put for a caller that must not wait for the disk: where the copy is
// there alone, the error is storage.ErrWaits.
func (s *Store) TryPut(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	return s.putData(level, p, k, w, buf, durable, true)
}

func (s *Store) putData(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter, prompt bool) (object.Object, []byte, int, error) {
	part, err := s.part(p)
	if err != nil {
		return object.Object{}, buf, 0, err
	}
	scratch := s.work.Get().(*work)
	defer s.release(scratch)
	at := scratch.data(part, k)
	scratch.prompt = true
	o, buf, dropped, err := s.put(level, p, scratch, at, w, buf, durable)
	if !prompt && s.warm(scratch, at, err) {
		o, buf, dropped, err = s.put(level, p, scratch, at, w, buf, durable)
	}
	return o, buf, dropped, err
}

// warm reads the record at a spot, without its lock, if err says that it is on the
// disk, and tells whether it did. So the lock is not held while the disk works,
// unless what was read is gone from memory before it is used.
func (s *Store) warm(w *work, at spot, err error) bool {
	if !errors.Is(err, storage.ErrWaits) {
		return false
	}
	w.prompt = false
	if b, _, err := s.engine.Get(at.at, w.old[:0]); err == nil { // who holds the lock meets the error
		w.old = b
	}
	return true
}

// put is Put for any record of p, data or hint.
func (s *Store) put(level kv.Level, p kv.Partition, scratch *work, at spot, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	mu := s.lockOf(at.k)
	node, seq, err := s.draw(mu)
	if err != nil {
		return object.Object{}, buf, 0, err
	}
	defer mu.Unlock()
	if err := at.serves(level); err != nil {
		return object.Object{}, buf, 0, err
	}
	if now := s.level(p); now > level {
		return object.Object{}, buf, 0, kv.Errorf(kv.KindStaleRing, "put", "partition %d is at %v, the write was planned at %v; try again", p, now, level)
	}
	rec, old, err := s.known(scratch, at)
	if err != nil {
		return object.Object{}, buf, 0, err
	}
	w.Own, w.Seq = s.issue(rec, node, seq, mu.from), seq
	if rec.bare && !object.Supersedes(w, rec.obj) {
		if rec, old, err = s.held(scratch, at); err != nil {
			return object.Object{}, buf, 0, err
		}
	}
	start := len(buf)
	buf = appendRecordHeader(buf, w.Own, 0)
	o, buf, dropped, err := object.Put(buf, rec.obj, w)
	if err != nil {
		return object.Object{}, buf[:start], 0, err
	}
	digest := at.under().digest(o)
	setDigest(buf[start:], digest)
	if err := s.apply(scratch, at, old, entry{digest: digest, obj: o}, buf[start:], durable); err != nil {
		if !s.omits(OmitNewAfterFailure) {
			// The write may yet be found in the log, though nobody was told of
			// it: neither its actor nor one that was born before it is used
			// again.
			mu.from = max(mu.from, seq+1, w.Own.Birth+1)
		}
		return object.Object{}, buf[:start], 0, err
	}
	return o, buf, dropped, nil
}

// draw draws a sequence number and locks mu. The number is not drawn under the
// lock, because Next may wait for the disk; it is above mu.low all the same.
func (s *Store) draw(mu *lock) (kv.NodeID, uint64, error) {
	for {
		node, seq, err := s.source.Next()
		if err != nil {
			return 0, 0, err
		}
		mu.Lock()
		if seq > mu.low {
			return node, seq, nil
		}
		mu.Unlock()
	}
}

// Merge merges in, another node's object, into the copy of k, under k's lock.
// Floor is the sender's, nil when it is not known: what it covers and in does
// not hold, the sender has seen and dropped.
//
// It reports through durable as Put does; a merge that changes nothing is
// written again where durable asks for it, since the copy may not be on stable
// storage yet. A merge of which the floors let nothing stand leaves no record, and
// is a success.
//
// It is for what has no level: hints that are handed over, and exchanges between
// owners. They are not held against the copy's stage, since nobody counts them as
// an acknowledgement of a put; who calls it decides whether the copy is one that
// may still take them.
func (s *Store) Merge(p kv.Partition, k kv.Key, in object.Object, floor vclock.Floor, durable storage.Waiter) error {
	return s.mergeData(p, k, in, sender{level: unplanned, floor: floor}, durable)
}

// sender is what a merge knows of where its object comes from.
type sender struct {
	// level is that of the request.
	level kv.Level
	// floor is the sender's, or version is that floor's, 0 for none.
	floor   vclock.Floor
	version uint64
	// prompt tells that it must not wait for the disk: where it would, the merge's
	// error is storage.ErrWaits.
	prompt bool
}

// under returns the sender's floor, as far as it is known to a copy under f.
func (s sender) under(f *floor) vclock.Floor {
	if f != nil && s.version != 0 && s.version == f.version {
		return f.Floor
	}
	return s.floor
}

func (s *Store) mergeData(p kv.Partition, k kv.Key, in object.Object, from sender, durable storage.Waiter) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	w := s.work.Get().(*work)
	defer s.release(w)
	at := w.data(part, k)
	w.prompt = true
	err = s.mergeFrom(w, at, in, from, durable)
	if !from.prompt && s.warm(w, at, err) {
		err = s.mergeFrom(w, at, in, from, durable)
	}
	return err
}

// merge is Merge for any record, data or hint, of a sender without a floor.
func (s *Store) merge(w *work, at spot, in object.Object, durable storage.Waiter) error {
	return s.mergeFrom(w, at, in, sender{level: unplanned}, durable)
}

func (s *Store) mergeFrom(w *work, at spot, in object.Object, from sender, durable storage.Waiter) error {
	mu := s.lockOf(at.k)
	mu.Lock()
	defer mu.Unlock()
	if err := at.serves(from.level); err != nil {
		return err
	}
	rec, old, err := s.known(w, at)
	if err != nil {
		return err
	}
	f := at.under()
	outcome := object.Second
	if rec.bare {
		outcome = object.CompareHead(rec.obj, in, f.vector(), from.under(f))
	}
	if rec.bare && outcome != object.Second && (outcome != object.First || durable != nil) {
		if rec, old, err = s.held(w, at); err != nil {
			return err
		}
	}
	w.out = appendRecordHeader(w.out[:0], s.ownAfter(rec, in), 0)
	o := in
	if !rec.bare {
		if o, w.out, outcome, err = object.MergeUnder(w.out, rec.obj, in, f.vector(), from.under(f)); err != nil {
			return err
		}
	}
	if outcome == object.First && durable == nil {
		return nil
	}
	digest := f.digest(o)
	if f != nil && digest == 0 {
		return s.drop(w, at, old, durable)
	}
	if outcome != object.Mixed {
		w.out = append(w.out, o.Bytes()...)
	}
	setDigest(w.out, digest)
	return s.apply(w, at, old, entry{digest: digest, obj: o}, w.out, durable)
}

// drop deletes the record at a spot, if there is one: nothing is left of it. The
// stripe is locked.
func (s *Store) drop(w *work, at spot, old entry, durable storage.Waiter) error {
	if old.size > 0 {
		return s.apply(w, at, old, entry{}, nil, durable)
	}
	if durable != nil {
		durable.Durable(nil)
	}
	return nil
}

// known is held, but where the record's head is kept it returns that in place of
// the record, which is bare then.
func (s *Store) known(w *work, at spot) (record, entry, error) {
	if at.head == nil {
		return s.held(w, at)
	}
	head, size := s.heads.find(at.head, w.old[:0])
	if size == 0 {
		return s.held(w, at)
	}
	w.old = head
	rec, err := parseRecord(head)
	if err != nil {
		return record{}, entry{}, err
	}
	rec.bare = true
	old := entry{size: uint64(size), digest: rec.digest, obj: rec.obj}
	return rec, old, at.admit(old)
}

// held reads the record at a spot, into w.old, and returns it with its entry.
// The stripe is locked.
func (s *Store) held(w *work, at spot) (record, entry, error) {
	rec, buf, err := s.read(at.at, w.old[:0], w.prompt)
	w.old = buf
	if err != nil && kv.KindOf(err) == kv.KindCorrupt {
		err = at.unreadable(err)
		rec = record{}
	}
	old := entry{digest: rec.digest, obj: rec.obj}
	if rec.obj.Bytes() != nil {
		old.size = uint64(len(at.at) + len(w.old))
	}
	if err == nil {
		err = at.admit(old)
	}
	return rec, old, err
}

// apply writes one record, or with a nil value deletes it. The stripe is locked.
func (s *Store) apply(w *work, at spot, old, new entry, value []byte, durable storage.Waiter) error {
	if s.saved.Load() {
		return errStopping("write")
	}
	if value == nil {
		w.batch.Delete(at.at)
		w.batch.UseReserve() // a hint that was delivered makes room as well
	} else {
		new.size = uint64(len(at.at) + len(value))
		w.batch.Set(at.at, value)
	}
	told := durable
	if s.omits(OmitLog) {
		told = nil
	}
	if at.head != nil {
		s.heads.forget(at.head)
	}
	err := s.engine.Apply(&w.batch, told)
	w.batch.Reset()
	if err != nil {
		return err
	}
	if at.head != nil && value != nil {
		s.heads.keep(at.head, value, new.obj, new.size)
	}
	at.changed(at.k, old, new)
	if told != durable {
		durable.Durable(nil)
	}
	return nil
}
