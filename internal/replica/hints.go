package replica

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A hint is what this node keeps of a key for an owner that could not be
// reached (§4.6). It is a record of its own, with an actor of its own, beside
// the key's data record and beside the hints for the key's other owners; writes
// for the same owner are merged into it. No floor is applied to it.
//
// In the engine a hint stands under its partition, owner and key.
const ownerLen = 8

// appendHintKey appends the engine's key of the hint for owner of k in
// partition p.
func appendHintKey(dst []byte, owner kv.NodeID, p kv.Partition, k kv.Key) []byte {
	prefix := storage.NewPrefix(storage.SpaceHints, p)
	dst = append(dst, prefix[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(owner))
	return append(dst, k...)
}

// hintKey is the inverse of appendHintKey. It is not ok for a key that
// appendHintKey did not make.
func hintKey(engineKey []byte) (owner kv.NodeID, k kv.Key, ok bool) {
	if len(engineKey) < storage.PrefixLen+ownerLen {
		return 0, nil, false
	}
	owner = kv.NodeID(binary.BigEndian.Uint64(engineKey[storage.PrefixLen:]))
	k, err := kv.ParseKey(engineKey[storage.PrefixLen+ownerLen:])
	return owner, k, err == nil && owner != 0
}

// Hint is one hint as HintPage hands it out; its slices are the caller's.
type Hint struct {
	Key    kv.Key
	Object object.Object
	// Version is the object's version hash, for DeleteHint.
	Version uint64
}

// PutHint is Put for the hint that stands for owner's record of k: who
// coordinates a write without being an owner does so on a hint. Over the budget
// for hints (Config.MaxHintBytes) a new one is declined with KindHintsFull.
func (s *Store) PutHint(level kv.Level, owner kv.NodeID, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	if err := s.loadHints(); err != nil {
		return object.Object{}, buf, 0, err
	}
	shelf := s.hints.enter(owner, p)
	defer s.hints.leave(shelf)
	scratch := s.work.Get().(*work)
	defer s.release(scratch)
	scratch.key = appendHintKey(scratch.key[:0], owner, p, k)
	return s.put(level, p, scratch, spot{shelf: shelf, at: scratch.key, k: k}, w, buf, durable)
}

// ReadHints appends what this node keeps of k for any owner to buf, merged, and
// returns it as Read does; the zero Object when it keeps none. For a partition
// without hints that costs next to nothing. An error of KindCorrupt tells that
// one of the hints cannot be read.
func (s *Store) ReadHints(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error) {
	if err := s.loadHints(); err != nil || !s.hints.holds(p) {
		return object.Object{}, buf, err
	}
	var merged object.Object
	w := s.work.Get().(*work)
	defer s.release(w)
	for _, shelf := range s.hints.shelvesOf(p) {
		w.key = appendHintKey(w.key[:0], shelf.owner, p, k)
		var rec record
		var err error
		if rec, buf, err = s.read(w.key, buf, false); err != nil {
			if kv.KindOf(err) == kv.KindCorrupt {
				err = shelf.damage(err)
			}
			return object.Object{}, buf, err
		}
		if merged, buf, _, err = object.Merge(buf, merged, rec.obj); err != nil {
			return object.Object{}, buf, err
		}
	}
	return merged, buf, nil
}

// withHints returns own, the copy of k under floor f, merged with the hints for
// k, as ReadHints does.
func (s *Store) withHints(p kv.Partition, k kv.Key, own object.Object, f vclock.Floor, buf []byte) (object.Object, []byte, error) {
	hints, buf, err := s.ReadHints(p, k, buf)
	if err != nil || hints.Bytes() == nil {
		return own, buf, err
	}
	o, buf, _, err := object.MergeUnder(buf, own, hints, f, nil)
	return o, buf, err
}

// HintPage returns hints for owner in partition p in the order of their keys,
// those after the key after (nil for the first), at most maxKeys, and no more
// once they have maxBytes of keys and objects. Done tells that there are none
// after them. Hints that cannot be read are set aside first (mendHints).
func (s *Store) HintPage(owner kv.NodeID, p kv.Partition, after kv.Key, maxKeys, maxBytes int) (page []Hint, done bool, err error) {
	shelf := s.hints.find(owner, p)
	if shelf == nil {
		return nil, true, nil
	}
	sound := !s.hints.isDamaged(shelf)
	if sound {
		page, done, err = s.hintPage(shelf, after, maxKeys, maxBytes)
		// An engine that met damage by itself may have cut hints out.
		gone := err == nil && len(page) == 0 && len(after) == 0 && s.hints.counts(shelf)
		sound = !gone && (err == nil || kv.KindOf(err) != kv.KindCorrupt)
	}
	if sound {
		return page, done, err
	}
	if err := s.mendHints(p); err != nil {
		return nil, false, err
	}
	return s.hintPage(shelf, after, maxKeys, maxBytes)
}

func (s *Store) hintPage(shelf *hintShelf, after kv.Key, maxKeys, maxBytes int) (page []Hint, done bool, err error) {
	from := appendHintKey(nil, shelf.owner, shelf.p, after)
	if len(after) > 0 {
		from = append(from, 0)
	}
	done, size := true, 0
	var bad error
	err = s.engine.Scan(storage.NewPrefix(storage.SpaceHints, shelf.p), from, func(key, value []byte) bool {
		owner, k, ok := hintKey(key)
		if ok && owner != shelf.owner {
			return false
		}
		if len(page) == maxKeys || size >= maxBytes {
			done = false
			return false
		}
		var hint Hint
		if hint, bad = copyHint(k, value, ok); bad != nil {
			return false
		}
		page = append(page, hint)
		size += len(hint.Key) + len(hint.Object.Bytes())
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return nil, false, err
	}
	return page, done, nil
}

// copyHint parses a stored hint and copies it.
func copyHint(k kv.Key, value []byte, ok bool) (Hint, error) {
	if !ok {
		return Hint{}, errHintKey
	}
	rec, err := parseRecord(value)
	if err != nil {
		return Hint{}, err
	}
	raw := rec.obj.Bytes()
	b := append(append(make([]byte, 0, len(k)+len(raw)), k...), raw...)
	hint := Hint{Key: kv.Key(b[:len(k):len(k)]), Version: object.VersionHash(rec.obj)}
	hint.Object, err = object.Parse(b[len(k):])
	return hint, err
}

var errHintKey = kv.Errorf(kv.KindCorrupt, "read hint", "its key names no owner and no key")

// DeleteHint deletes the hint for owner of k if its object still has the version
// that HintPage told, and tells whether it did. The deletion need not be on
// stable storage: after a crash the hint may be there again, and is delivered
// once more.
func (s *Store) DeleteHint(owner kv.NodeID, p kv.Partition, k kv.Key, version uint64) (deleted bool, err error) {
	if err := s.loadHints(); err != nil {
		return false, err
	}
	shelf := s.hints.enter(owner, p)
	defer s.hints.leave(shelf)
	w := s.work.Get().(*work)
	defer s.release(w)
	w.key = appendHintKey(w.key[:0], owner, p, k)
	mu := s.lockOf(k)
	mu.Lock()
	defer mu.Unlock()
	var rec record
	if rec, w.old, err = s.read(w.key, w.old[:0], false); err != nil {
		if kv.KindOf(err) == kv.KindCorrupt {
			err = shelf.damage(err)
		}
		return false, err
	}
	if rec.obj.Bytes() == nil || object.VersionHash(rec.obj) != version {
		return false, nil
	}
	old := entry{size: uint64(len(w.key) + len(w.old)), obj: rec.obj}
	if err := s.apply(w, spot{shelf: shelf, at: w.key, k: k}, old, entry{}, nil, nil); err != nil {
		return false, err
	}
	return true, nil
}

// MergeHint is Merge into the hint for owner of k. It declines as PutHint does.
func (s *Store) MergeHint(owner kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error {
	return s.mergeHint(owner, p, k, in, durable, false)
}

// ReaddressHint is MergeHint for what this node keeps as a hint for another node,
// which owns the partition no more. The copies that it makes may take as much
// space again as MaxHintBytes: else a store full of such hints would never empty.
func (s *Store) ReaddressHint(to kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error {
	return s.mergeHint(to, p, k, in, durable, true)
}

func (s *Store) mergeHint(owner kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter, again bool) error {
	if err := s.loadHints(); err != nil {
		return err
	}
	here := s.hints.enter(owner, p)
	defer s.hints.leave(here)
	w := s.work.Get().(*work)
	defer s.release(w)
	w.key = appendHintKey(w.key[:0], owner, p, k)
	at := spot{shelf: here, at: w.key, k: k}
	if again {
		at.shelf = readdressed{here}
	}
	return s.merge(w, at, in, durable)
}
