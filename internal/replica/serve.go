package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Handle serves a coordinator's request (wire.TypeReplicaRead, TypeReplicaPut,
// TypeListKeys) and answers it, a durable put later, everything else before it
// returns.
func (s *Store) Handle(req wire.Request) {
	var err error
	switch req.Type {
	case wire.TypeReplicaRead:
		err = s.serveRead(req)
	case wire.TypeReplicaPut:
		err = s.servePut(req)
	case wire.TypeListKeys:
		err = s.serveListKeys(req)
	default:
		err = kv.Errorf(kv.KindInvalid, "serve", "a replica does not serve %v", req.Type)
	}
	if err != nil {
		req.Reply.Fail(err)
	}
}

// reading is the scratch space of one served read.
type reading struct {
	buf []byte
	msg wire.ReplicaCopy
}

func (s *Store) serveRead(req wire.Request) error {
	m, err := wire.ParseReplicaRead(req.Payload)
	if err != nil {
		return err
	}
	p, err := s.owned(req, m.Key)
	if err != nil {
		return err
	}
	r := s.reads.Get().(*reading)
	defer func() {
		if cap(r.buf) > maxScratch {
			r.buf = nil
		}
		r.msg = wire.ReplicaCopy{}
		s.reads.Put(r)
	}()
	var o object.Object
	o, r.buf, err = s.Read(p, m.Key, r.buf[:0])
	if err != nil {
		return err
	}
	switch {
	case o.Bytes() == nil:
		r.msg = wire.ReplicaCopy{Copy: wire.CopyAbsent}
	case m.Have != 0 && m.Have == object.VersionHash(o):
		r.msg = wire.ReplicaCopy{Copy: wire.CopySame}
	default:
		r.msg = wire.ReplicaCopy{Copy: wire.CopyObject, Object: o.Bytes()}
	}
	req.Reply.Send(&r.msg)
	return nil
}

func (s *Store) servePut(req wire.Request) error {
	m, err := wire.ParseReplicaPut(req.Payload)
	if err != nil {
		return err
	}
	p, err := s.owned(req, m.Key)
	if err != nil {
		return err
	}
	in, err := object.Parse(m.Object)
	if err != nil {
		return err
	}
	if m.Ack == wire.AckApplied {
		if err := s.Merge(p, m.Key, in, nil); err != nil {
			return err
		}
		req.Reply.Send(wire.AckApplied)
		return nil
	}
	w := s.acks.Get().(*durableAck)
	w.store, w.reply = s, req.Reply
	if err := s.Merge(p, m.Key, in, w); err != nil {
		*w = durableAck{}
		s.acks.Put(w)
		return err
	}
	if m.Ack == wire.AckBoth {
		// The durable answer may overtake this one; it says more, and an
		// interim answer after the final one is dropped.
		req.Reply.Interim(wire.AckApplied)
	}
	return nil
}

// durableAck answers a put once it is on stable storage.
type durableAck struct {
	store *Store
	reply wire.Reply
}

// Durable implements storage.Waiter.
func (w *durableAck) Durable(err error) {
	reply, s := w.reply, w.store
	*w = durableAck{}
	s.acks.Put(w)
	if err != nil {
		reply.Fail(err)
		return
	}
	reply.Send(wire.AckDurable)
}

// owned returns k's partition, or an error of KindStaleRing when this node
// knows a newer ring than the sender in which the partition is not its own. A
// node that is behind the sender serves the request: it will learn.
func (s *Store) owned(req wire.Request, k kv.Key) (kv.Partition, error) {
	r := s.rings.Ring()
	if r == nil {
		return 0, kv.Errorf(kv.KindUnavailable, "serve", "this node is not in a ring yet")
	}
	p := r.PartitionOf(k)
	if req.Epoch >= r.Epoch() || r.Owns(p, s.self) {
		return p, nil
	}
	return 0, kv.Errorf(kv.KindStaleRing, "serve", "partition %d is not this node's in epoch %d, the request is of epoch %d", p, r.Epoch(), req.Epoch)
}

// serveListKeys answers one page of the bucket's live keys.
func (s *Store) serveListKeys(req wire.Request) error {
	m, err := wire.ParseListKeys(req.Payload)
	if err != nil {
		return err
	}
	page, err := s.KeysPage(m)
	if err != nil {
		return err
	}
	req.Reply.Send(&page)
	return nil
}

// KeysPage returns the keys of m's bucket that have a value here, up to a page
// of them.
func (s *Store) KeysPage(m wire.ListKeys) (wire.KeysPage, error) {
	var page wire.KeysPage
	r := s.rings.Ring()
	if r == nil {
		return page, kv.Errorf(kv.KindUnavailable, "list keys", "this node is not in a ring yet")
	}
	size, after := 0, m.After
	for _, p := range m.Partitions {
		if int(p) >= r.Params().Q {
			return page, kv.Errorf(kv.KindInvalid, "list keys", "partition %d of %d", p, r.Params().Q)
		}
		full := false
		err := s.scanBucket(p, m.Bucket, after, func(key []byte) bool {
			page.Keys = append(page.Keys, append([]byte(nil), key...))
			size += len(key) + 2
			full = size >= wire.MaxKeysPage
			return !full
		})
		if err != nil {
			return page, err
		}
		if full {
			page.Partial = true
			return page, nil
		}
		page.Done, after = page.Done+1, nil
	}
	return page, nil
}

// scanBucket calls fn with each key of bucket in p that has a value, in the order
// of their hashes, beginning after the key after.
func (s *Store) scanBucket(p kv.Partition, bucket, after []byte, fn func(key []byte) bool) error {
	var from []byte
	if len(after) > 0 {
		from = append(appendDataKey(nil, p, kv.AppendKey(nil, string(bucket), after)), 0)
	}
	var bad error
	err := s.engine.Scan(storage.NewPrefix(storage.SpaceData, p), from, func(key, value []byte) bool {
		k, ok := dataKey(key)
		if !ok || string(k.Bucket()) != string(bucket) {
			return true
		}
		rec, err := parseRecord(value)
		if err != nil {
			bad = err
			return false
		}
		return rec.obj.Live() == 0 || fn(k.User())
	})
	if err == nil {
		err = bad
	}
	return err
}
