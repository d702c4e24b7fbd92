package storage

import "github.com/ringtaildb/ringtail/internal/kv"

// MaxBatch bounds a batch: the sum of its keys and values in bytes. The
// largest message between nodes fits, with as much again for what a write
// stores beside it.
const MaxBatch = 2 * kv.MaxMessage

// Op is one step of a Batch.
type Op struct {
	// Key is the whole key, its prefix included.
	Key []byte
	// Value is what Key is set to. A nil value is an empty one; an Op that
	// deletes has none.
	Value []byte
	// Delete removes Key, whether it exists or not.
	Delete bool
}

// Batch is a list of changes that Engine.Apply carries out as a whole, in
// order: of two changes of one key the later wins. The zero Batch is empty and
// ready for use.
//
// A Batch borrows the slices it is given: they must stay unchanged until Apply
// has returned, and are the caller's again then. A Batch that is used again
// after Reset does not allocate. It is not safe for concurrent use.
type Batch struct {
	ops     []Op
	size    int
	maxKey  int
	reserve bool
}

// Set adds the change of key to value. It panics for a key without a prefix.
func (b *Batch) Set(key, value []byte) { b.add(Op{Key: key, Value: value}) }

// Delete adds the removal of key. It panics for a key without a prefix.
func (b *Batch) Delete(key []byte) { b.add(Op{Key: key, Delete: true}) }

// UseReserve has the batch taken while others are refused with KindDiskFull, as
// long as a Drop is: it is one of the few small ones that it takes to move data
// away, or it only deletes.
func (b *Batch) UseReserve() { b.reserve = true }

// UsesReserve tells whether UseReserve was called, for engines.
func (b *Batch) UsesReserve() bool { return b.reserve }

// Reset empties the batch, keeps its room, and lets go of the slices that it
// borrowed.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops, b.size, b.maxKey, b.reserve = b.ops[:0], 0, 0, false
}

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.ops) }

// Size returns the sum of the keys and values in bytes.
func (b *Batch) Size() int { return b.size }

// Ops returns the changes in order, for engines. The slice and what it points
// to are only for reading, until the batch is changed.
func (b *Batch) Ops() []Op { return b.ops }

// Check returns an error of KindTooLarge for a batch past MaxBatch or a key in
// it past MaxKey. Engines call it before they touch anything.
func (b *Batch) Check() error {
	switch {
	case b.size > MaxBatch:
		return kv.Errorf(kv.KindTooLarge, "apply batch", "the batch has %d bytes, the limit is %d", b.size, MaxBatch)
	case b.maxKey > MaxKey:
		return kv.Errorf(kv.KindTooLarge, "apply batch", "a key has %d bytes, the limit is %d", b.maxKey, MaxKey)
	}
	return nil
}

func (b *Batch) add(op Op) {
	if len(op.Key) < PrefixLen {
		panic("storage: a key is shorter than its prefix")
	}
	b.ops = append(b.ops, op)
	b.size += len(op.Key) + len(op.Value)
	b.maxKey = max(b.maxKey, len(op.Key))
}
