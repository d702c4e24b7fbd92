package replica

import (
	"bytes"

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
	size, after := 0, m.After
	for _, p := range m.Partitions {
		if int(p) >= c.Ring.Params().Q {
			return page, kv.Errorf(kv.KindInvalid, "list keys", "partition %d of %d", p, c.Ring.Params().Q)
		}
		full := false
		err := s.scanBucket(p, m.Bucket, after, func(key []byte) bool {
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

// scanBucket calls fn with each key of bucket in p that has a value, in the order
// of their positions, beginning after the key after. Records that cannot be read
// are left out: the copy is damaged then.
func (s *Store) scanBucket(p kv.Partition, bucket, after []byte, fn func(key []byte) bool) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	var from []byte
	var at merkle.Leaf
	if len(after) > 0 {
		k := kv.AppendKey(nil, string(bucket), after)
		from, at = append(appendDataKey(nil, p, k), 0), merkle.LeafOf(merkle.Position(k))
	}
	var bad error
	now := s.wall()
	visit := func(key, value []byte) bool {
		k, ok := dataKey(key)
		if !ok || !bytes.Equal(k.Bucket(), bucket) {
			return true
		}
		at = merkle.LeafOf(merkle.Position(k))
		rec, err := parseRecord(value)
		if err != nil {
			bad = err
			return true
		}
		return rec.obj.LiveAt(now) == 0 || fn(k.User())
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
