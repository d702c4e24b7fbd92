package replica

import (
	"bytes"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// serveListKeys answers one page of the bucket's live keys.
func (s *Store) serveListKeys(req wire.Request) error {
	m, err := wire.ParseListKeys(req.Payload)
	if err != nil {
		return err
	}
	page, err := s.KeysPage(req.Level, m)
	if err != nil {
		return err
	}
	req.Reply.Send(&page)
	return nil
}

// KeysPage returns the keys of m's bucket that have a value here, one that has
// not expired, up to a page of them.
//
// Level is that of the view under which the listing was planned. As of a read, the
// error is of KindStaleRing if a copy does not serve it any more, or is not this
// node's: it may have been dropped.
func (s *Store) KeysPage(level kv.Level, m wire.ListKeys) (wire.KeysPage, error) {
	var page wire.KeysPage
	c := s.rings.Current()
	if c == nil {
		return page, kv.Errorf(kv.KindUnavailable, "list keys", "this node is not in a ring yet")
	}
	size, after, scan := 0, m.After, s.scanBucket
	if len(m.Bucket) == 0 {
		scan = s.scanNames
	}
	for _, p := range m.Partitions {
		if int(p) >= c.Ring.Params().Q {
			return page, kv.Errorf(kv.KindInvalid, "list keys", "partition %d of %d", p, c.Ring.Params().Q)
		}
		full := false
		err := scan(p, m.Bucket, after, func(key []byte) bool {
			page.Keys = append(page.Keys, append([]byte(nil), key...))
			size += len(key) + 2
			full = size >= wire.MaxKeysPage
			return !full
		})
		if err == nil {
			err = s.lists(c, level, p)
		}
		if err != nil {
			return wire.KeysPage{}, err
		}
		if full {
			page.Partial = true
			return page, nil
		}
		page.Done, after = page.Done+1, nil
	}
	return page, nil
}

// lists tells whether what was listed of p's copy may stand.
func (s *Store) lists(c *ring.Current, level kv.Level, p kv.Partition) error {
	if err := s.takesPart(c, level, p); err != nil {
		return err
	}
	part, err := s.part(p)
	if err != nil {
		return err
	}
	return part.answers(level)
}

// scanNames calls fn with the name of each bucket that has a key with a value in p,
// ascending, beginning after the name after. The partition is read from end to end,
// as often as there are pages of names.
func (s *Store) scanNames(p kv.Partition, _, after []byte, fn func(name []byte) bool) error {
	found := names{after: string(after)}
	err := s.scanPartition(p, nil, 0, func(k kv.Key) bool { return found.wants(k.Bucket()) }, func(k kv.Key) bool {
		found.add(k.Bucket())
		return true
	})
	if err != nil {
		return err
	}
	for _, name := range found.list {
		if !fn([]byte(name)) {
			break
		}
	}
	return nil
}

// names collects the first names after one, ascending, each once: as many as a
// page of them holds.
type names struct {
	after string
	list  []string
	size  int
}

// wants tells whether name may be new.
func (n *names) wants(name []byte) bool {
	if string(name) <= n.after || n.size >= wire.MaxKeysPage && string(name) > n.list[len(n.list)-1] {
		return false
	}
	_, ok := n.find(string(name))
	return !ok
}

func (n *names) find(name string) (int, bool) { return slices.BinarySearch(n.list, name) }

// add takes in a name that is wanted, and drops what a page has no room for. The
// last name kept may exceed the page.
func (n *names) add(b []byte) {
	name := string(b)
	i, _ := n.find(name)
	n.list = slices.Insert(n.list, i, name)
	n.size += len(name) + 2
	for {
		last := len(n.list[len(n.list)-1]) + 2
		if n.size-last < wire.MaxKeysPage {
			return
		}
		n.list, n.size = n.list[:len(n.list)-1], n.size-last
	}
}

// scanBucket calls fn with each key of bucket in p that has a value, in the order
// of their positions, beginning after the key after.
func (s *Store) scanBucket(p kv.Partition, bucket, after []byte, fn func(key []byte) bool) error {
	var from []byte
	var at merkle.Leaf
	if len(after) > 0 {
		k := kv.AppendKey(nil, string(bucket), after)
		from, at = append(appendDataKey(nil, p, k), 0), merkle.LeafOf(merkle.Position(k))
	}
	return s.scanPartition(p, from, at,
		func(k kv.Key) bool { return bytes.Equal(k.Bucket(), bucket) },
		func(k kv.Key) bool { return fn(k.User()) })
}

// scanPartition calls fn with each key in p that wants wants and that has a value,
// in the order of their positions, beginning at the engine's key from, which is in
// the leaf at. Records that cannot be read are left out: the copy is damaged then.
func (s *Store) scanPartition(p kv.Partition, from []byte, at merkle.Leaf, wants, fn func(k kv.Key) bool) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	var bad error
	now := s.wall()
	visit := func(key, value []byte) bool {
		k, ok := dataKey(key)
		if !ok || !wants(k) {
			return true
		}
		at = merkle.LeafOf(merkle.Position(k))
		rec, err := parseRecord(value)
		if err != nil {
			bad = err
			return true
		}
		return rec.obj.LiveAt(now) == 0 || fn(k)
	}
	for {
		err := s.engine.Scan(storage.NewPrefix(storage.SpaceData, p), from, visit)
		if err == nil {
			if bad != nil {
				_ = s.found(part, bad)
			}
			return nil
		}
		if kv.KindOf(err) != kv.KindCorrupt {
			return err
		}
		_ = s.found(part, err)
		if at == merkle.Leaves-1 {
			return nil
		}
		at++ // the next leaf may be readable
		from, _ = leafRange(p, at, at+1)
	}
}
