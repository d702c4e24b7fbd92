package replica

import (
	"errors"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Handle serves a coordinator's request (wire.TypeReplicaRead, TypeReplicaPut,
// TypeListKeys) and answers it, a durable put later, everything else before it
// returns.
func (s *Store) Handle(req wire.Request) { s.handle(req, false) }

// Try is Handle for a caller that must not wait for the disk. Where the request
// would have to it does nothing, and returns false: then it is to be handled
// elsewhere. What the node keeps for others as hints may be waited for.
func (s *Store) Try(req wire.Request) (done bool) { return s.handle(req, true) }

func (s *Store) handle(req wire.Request, prompt bool) (done bool) {
	var err error
	switch req.Type {
	case wire.TypeReplicaRead:
		err = s.serveRead(req, prompt)
	case wire.TypeReplicaPut:
		err = s.servePut(req, prompt)
	case wire.TypeListKeys:
		err = s.serveListKeys(req)
	default:
		err = kv.Errorf(kv.KindInvalid, "serve", "a replica does not serve %v", req.Type)
	}
	switch {
	case err == nil:
	case errors.Is(err, storage.ErrWaits):
		return false
	default:
		req.Reply.Fail(err)
	}
	return true
}

// reading is the scratch space of one served read.
type reading struct {
	buf  []byte
	head headSpot
	msg  wire.ReplicaCopy
}

func (s *Store) serveRead(req wire.Request, prompt bool) error {
	m, err := wire.ParseReplicaRead(req.Payload)
	if err != nil {
		return err
	}
	p, err := s.served(req, m.Key, m.Hints)
	if err != nil {
		return err
	}
	r := s.reads.Get().(*reading)
	defer func() {
		if cap(r.buf) > maxScratch {
			r.buf = nil
		}
		r.msg, r.head = wire.ReplicaCopy{}, headSpot{}
		s.reads.Put(r)
	}()
	if err := s.answerRead(r, p, req.Level, &m, prompt); err != nil {
		return err
	}
	req.Reply.Send(&r.msg)
	return nil
}

// answerRead sets r.msg to the answer to m.
func (s *Store) answerRead(r *reading, p kv.Partition, level kv.Level, m *wire.ReplicaRead, prompt bool) error {
	f, same, err := s.same(r, p, level, m)
	if err != nil {
		return err
	}
	r.msg.Copy = wire.CopySame
	if !same {
		if f, err = s.readFor(r, p, level, m, prompt); err != nil {
			return err
		}
	}
	if f.version != m.Floor {
		r.msg.OtherFloor, r.msg.Floor = true, f.Floor
	}
	return nil
}

// same tells whether the copy is known to be what the asker has, without reading
// it, and under which floor.
func (s *Store) same(r *reading, p kv.Partition, level kv.Level, m *wire.ReplicaRead) (floor, bool, error) {
	if m.Have == 0 || m.Hints {
		return floor{}, false, nil
	}
	part, err := s.part(p)
	if err != nil {
		return floor{}, false, err
	}
	f := part.floor.Load()
	if part.damaged.Load() {
		return floor{}, false, errDamaged(p)
	}
	r.head = headOf(part, m.Key)
	var size uint32
	if r.buf, size = s.heads.find(&r.head, r.buf[:0]); size == 0 {
		return floor{}, false, nil
	}
	rec, err := parseRecord(r.buf)
	if err != nil {
		return floor{}, false, err
	}
	// As in ReadUnder, only now.
	if err := part.answers(level); err != nil {
		return floor{}, false, err
	}
	return *f, m.Have == object.Digest(rec.obj, f.Floor) && part.floor.Load() == f, nil
}

// readFor reads what m asks for into r.
func (s *Store) readFor(r *reading, p kv.Partition, level kv.Level, m *wire.ReplicaRead, prompt bool) (f floor, err error) {
	if m.Hints {
		level = unplanned // what a stand-in adds is not counted
	}
	var o object.Object
	o, f.Floor, f.version, r.buf, err = s.readUnder(level, p, m.Key, r.buf[:0], prompt)
	switch {
	case m.Hints && (err == nil || kv.KindOf(err) == kv.KindCorrupt):
		// A stand-in answers with its hints, whatever became of a copy of its own.
		o, r.buf, err = s.withHints(p, m.Key, o, f.Floor, r.buf)
	case err == nil && m.Have != 0 && o.Bytes() != nil:
		s.heads.keep(&r.head, r.buf, o, sizeOf(m.Key, r.buf))
	}
	if err != nil {
		return f, err
	}
	r.msg.Copy, r.msg.Object = wire.CopyObject, o.Bytes()
	switch {
	case o.Bytes() == nil:
		r.msg.Copy = wire.CopyAbsent
	case m.Have != 0 && m.Have == object.Digest(o, f.Floor):
		r.msg.Copy, r.msg.Object = wire.CopySame, nil
	}
	return f, nil
}

func (s *Store) servePut(req wire.Request, prompt bool) error {
	m, err := wire.ParseReplicaPut(req.Payload)
	if err != nil {
		return err
	}
	p, err := s.served(req, m.Key, m.For != 0)
	if err != nil {
		return err
	}
	in, err := object.Parse(m.Object)
	if err != nil {
		return err
	}
	if m.Ack == wire.AckApplied {
		if err := s.mergePut(req.Level, p, &m, in, nil, prompt); err != nil {
			return err
		}
		req.Reply.Send(wire.AckApplied)
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	w := s.acks.Get().(*durableAck)
	w.store, w.reply = s, req.Reply
	if err := s.mergePut(req.Level, p, &m, in, w, prompt); err != nil {
		*w = durableAck{}
		s.acks.Put(w)
		s.syncing.Add(-1)
		return err
	}
	if m.Ack == wire.AckBoth {
		// The durable answer may overtake this one; it says more, and an
		// interim answer after the final one is dropped.
		req.Reply.Interim(wire.AckApplied)
	}
	return nil
}

// mergePut merges in where m wants it.
func (s *Store) mergePut(level kv.Level, p kv.Partition, m *wire.ReplicaPut, in object.Object, durable storage.Waiter, prompt bool) error {
	if m.For != 0 {
		return s.MergeHint(m.For, p, m.Key, in, durable)
	}
	return s.mergeData(p, m.Key, in, sender{level: level, version: m.Floor, prompt: prompt}, durable)
}

// enter lets a write in that waits for the disk, unless too many do.
func (s *Store) enter() error {
	if s.syncing.Add(1) > int64(s.cfg.MaxSyncing) {
		s.syncing.Add(-1)
		return kv.Errorf(kv.KindOverloaded, "serve", "%d writes wait for the disk, the limit", s.cfg.MaxSyncing)
	}
	return nil
}

// Syncing returns how many writes that other nodes asked for wait for the disk.
func (s *Store) Syncing() int { return int(s.syncing.Load()) }

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
	s.syncing.Add(-1)
	if err != nil {
		reply.Fail(err)
		return
	}
	reply.Send(wire.AckDurable)
}

// served returns k's partition, or an error of KindStaleRing when this node is
// none of those that take part in it, and knows at least as much of the ring as
// the sender. A node that is behind the sender serves the request: it will learn.
// So does one that stands in for an owner, at whatever level.
func (s *Store) served(req wire.Request, k kv.Key, standIn bool) (kv.Partition, error) {
	c := s.rings.Current()
	if c == nil {
		return 0, kv.Errorf(kv.KindUnavailable, "serve", "this node is not in a ring yet")
	}
	p := c.Ring.PartitionOf(k)
	if standIn {
		return p, nil
	}
	return p, s.takesPart(c, req.Level, p)
}

// takesPart returns an error of KindStaleRing for a request of some level, if this
// node takes no part in p and is not behind.
func (s *Store) takesPart(c *ring.Current, level kv.Level, p kv.Partition) error {
	if c.Progress == nil && c.Ring.Owns(p, s.self) {
		return nil
	}
	if v := c.View(p); level <= v.Level && !slices.Contains(v.Owners, s.self) {
		return kv.Errorf(kv.KindStaleRing, "serve", "partition %d is not this node's at %v, the request was planned at %v", p, v.Level, level)
	}
	return nil
}
