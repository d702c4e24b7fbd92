package pebble

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// pending is a batch that is applied and not yet known to be durable.
type pending struct {
	batch  *pebble.Batch
	waiter storage.Waiter
}

// beforeAll and afterAll are less and greater than every key: the bounds of a
// range that has none.
//
// An empty key would be less as well. But where Pebble copies one it may become
// nil, and a compaction takes a range deletion that begins with nil for the
// last one: it drops the others, and what they hid is back.
var (
	beforeAll = []byte{0}
	afterAll  = bytes.Repeat([]byte{0xff}, storage.MaxKey+1)
)

// Apply implements storage.Engine. It copies b once, into a pooled batch of
// Pebble's. A durable Apply waits when Config.WaitQueue batches await their
// fsync already.
func (e *Engine) Apply(b *storage.Batch, w storage.Waiter) error {
	if err := e.enter("apply batch"); err != nil {
		return err
	}
	defer e.users.Leave()
	if err := b.Check(); err != nil {
		return err
	}
	if err := e.space.Admit(b); err != nil {
		return err
	}
	if b.Len() == 0 && w == nil {
		return nil
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	pb, err := e.fill(b)
	if err != nil {
		return err
	}
	defer e.counts.applied.Add(1)
	if w == nil {
		err := e.db.Apply(pb, pebble.NoSync)
		return e.applied(pb, err)
	}
	if err := e.db.ApplyNoSyncWait(pb, pebble.Sync); err != nil {
		return e.applied(pb, err)
	}
	e.pending <- pending{pb, w}
	return nil
}

// fill returns b as a batch of Pebble's. A batch that changes nothing gets an
// entry that only the log sees, so that it has something to wait for.
func (e *Engine) fill(b *storage.Batch) (*pebble.Batch, error) {
	pb := e.db.NewBatch()
	sets := uint64(0)
	var err error
	for _, op := range b.Ops() {
		if op.Delete {
			err = pb.Delete(op.Key, nil)
		} else {
			err = pb.Set(op.Key, op.Value, nil)
			sets++
		}
		if err != nil {
			return nil, kv.Wrap(kv.KindStorage, "apply batch", err)
		}
	}
	if b.Len() == 0 {
		if err := pb.LogData(nil, nil); err != nil {
			return nil, kv.Wrap(kv.KindStorage, "apply batch", err)
		}
	}
	e.counts.sets.Add(sets)
	return pb, nil
}

// applied ends a batch that nobody waits for. Pebble returns an error only for
// a batch that it has not begun to commit.
func (e *Engine) applied(pb *pebble.Batch, err error) error {
	if err == nil {
		err = pb.Close()
	}
	return kv.Wrap(kv.KindStorage, "apply batch", err)
}

// waitLoop waits for the fsync of each durable batch, in order, and tells its
// Waiter. It is the only goroutine that waits: Pebble's log writer syncs once
// for all batches that came while it was syncing.
func (e *Engine) waitLoop() {
	for p := range e.pending {
		p.waiter.Durable(e.synced(p.batch))
	}
}

// synced waits until pb is on disk and returns its end to the pool. The fence
// keeps all errors of the disk from Pebble, so the engine's health decides.
func (e *Engine) synced(pb *pebble.Batch) error {
	if err := pb.SyncWait(); err != nil {
		e.health.Fail(kv.KindStorage, "sync log", err)
	}
	err := e.health.Outcome()
	if cerr := pb.Close(); cerr != nil {
		e.health.Fail(kv.KindStorage, "close batch", cerr)
	}
	return err
}

// Sync implements storage.Engine. It appends an empty entry to the log and
// waits for that, unless nothing was applied since the last Sync: who calls it
// all the time costs an idle disk nothing.
func (e *Engine) Sync() error {
	if err := e.enter("sync"); err != nil {
		return err
	}
	defer e.users.Leave()
	applied := e.counts.applied.Load()
	if e.counts.synced.Load() == applied {
		return nil
	}
	pb := e.db.NewBatch()
	if err := pb.LogData(nil, nil); err != nil {
		return kv.Wrap(kv.KindStorage, "sync", err)
	}
	if err := e.commit(pb, "sync"); err != nil {
		return err
	}
	// An older number that comes late only has the next Sync look again.
	e.counts.synced.Store(applied)
	return nil
}

// Drop implements storage.Engine. It is one range deletion; the space comes
// back with a flush, dropDelay later at most, and the compaction after it. Where
// damage was met it takes longer, and no changes are made meanwhile.
func (e *Engine) Drop(from, to []byte) error {
	if err := e.enter("drop"); err != nil {
		return err
	}
	defer e.users.Leave()
	if err := e.space.AdmitDrop(); err != nil {
		return err
	}
	s := span{from, to}
	if len(from) == 0 {
		s.from = beforeAll
	}
	if to == nil {
		s.to = afterAll
	}
	if s.empty() {
		return nil
	}
	if e.damages.tables.Load() > 0 {
		if err := e.await(s); err != nil {
			return kv.Wrap(kv.KindStorage, "drop", err)
		}
		e.gate.Lock()
		defer e.gate.Unlock()
		return e.dropDamaged(s)
	}
	e.gate.RLock()
	defer e.gate.RUnlock()
	return e.deleteRange(s)
}

// deleteRange hides the keys in s, durably.
func (e *Engine) deleteRange(s span) error {
	pb := e.db.NewBatch()
	if err := pb.DeleteRange(s.from, s.to, nil); err != nil {
		return kv.Wrap(kv.KindStorage, "drop", err)
	}
	return e.commit(pb, "drop")
}

// commit applies pb and waits until it is durable.
func (e *Engine) commit(pb *pebble.Batch, op string) error {
	if err := e.db.ApplyNoSyncWait(pb, pebble.Sync); err != nil {
		return kv.Wrap(kv.KindStorage, op, err)
	}
	return e.synced(pb)
}
