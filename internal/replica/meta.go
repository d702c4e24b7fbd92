package replica

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// What the engine has of a partition beside its records, by name.
const (
	// metaFloor is the copy's floor; none is the zero floor.
	metaFloor = "floor"
	// metaDamaged is there while the copy is damaged.
	metaDamaged = "damaged"
	// metaStage is how far the copy is (stage); none is the zero stage.
	metaStage = "stage"
	// metaFill is what the copy has been filled from (Fill), if anything.
	metaFill = "fill"
	// metaTree is the tree as it was at a clean stop (kept).
	metaTree = "tree"
	// metaTrees, of partition 0, tells which kept trees are valid: those of the
	// stop with that number. It is there from a clean stop until the next Open.
	metaTrees = "trees"
)

func metaKey(p kv.Partition, name string) []byte {
	prefix := storage.NewPrefix(storage.SpaceMeta, p)
	return append(prefix[:], name...)
}

// loadMeta reads all that the engine has of the partition but its tree. The error
// is the engine's; of KindCorrupt, when something is lost that leaves the copy
// damaged: the rest is read then.
func (p *partition) loadMeta() error {
	var lost error
	for _, load := range []func() error{p.loadMark, p.loadStage, p.loadFill, p.loadFloor} {
		err := load()
		if err != nil && kv.KindOf(err) != kv.KindCorrupt {
			return err
		}
		if lost == nil {
			lost = err
		}
	}
	return lost
}

func (p *partition) loadMark() error {
	_, marked, err := p.store.engine.Get(metaKey(p.id, metaDamaged), nil)
	p.meta.marked = marked
	p.damaged.Store(marked)
	return err
}

func (p *partition) loadFloor() error {
	b, _, err := p.store.engine.Get(metaKey(p.id, metaFloor), nil)
	if err != nil {
		return err
	}
	f, err := vclock.ParseFloor(b)
	if err != nil {
		return kv.Wrap(kv.KindCorrupt, "read floor", err)
	}
	p.meta.written = f
	p.floor.Store(newFloor(f))
	return nil
}

// loadStage reads the stage.
func (p *partition) loadStage() error {
	b, found, err := p.store.engine.Get(metaKey(p.id, metaStage), nil)
	var st *stage
	if err == nil && found {
		st, err = parseStage(b)
	}
	switch {
	case err == nil && found:
		p.stage.Store(st)
		p.durable.Store(st)
	case kv.KindOf(err) == kv.KindCorrupt:
		p.loseStage()
	}
	return err
}

// loadFill reads the fill. One that cannot be read is no loss but of time: the
// copy is filled again.
func (p *partition) loadFill() error {
	b, found, err := p.store.engine.Get(metaKey(p.id, metaFill), nil)
	var f *Fill
	if err == nil && found {
		f, err = parseFill(b)
	}
	p.meta.filled = found || err != nil
	switch {
	case err == nil && found:
		p.fill.Store(f)
	case kv.KindOf(err) == kv.KindCorrupt:
		p.loseFill()
		return nil
	}
	return err
}

// set applies one change of the partition's meta keys; it is durable after a
// Sync, or with whatever is applied later. p.meta is locked. A nil value deletes.
func (p *partition) set(name string, value []byte) error {
	var b storage.Batch
	if value == nil {
		b.Delete(metaKey(p.id, name))
	} else {
		b.Set(metaKey(p.id, name), value)
	}
	b.UseReserve() // as in writeMeta
	return p.store.engine.Apply(&b, nil)
}

// kept is a partition's tree and counters as they are kept at a clean stop.
//
//	offset  size
//	     0     8  the number of the stop
//	     8    24  keys, bytes, reapable
//	           8  the soonest expiry, if the first bit of reapable is set
//	              the tree (package merkle)
type kept struct {
	stop uint64
	sum  leafSum
	tree *merkle.Tree
}

const (
	keptHeader = 32
	// keptSoonest marks in reapable that the soonest expiry follows. Nodes of the
	// first release build such a tree anew.
	keptSoonest = 1 << 63
)

func (k kept) appendTo(dst []byte) []byte {
	words := []uint64{k.stop, k.sum.keys, k.sum.bytes, k.sum.reapable}
	if k.sum.soonest != 0 {
		words[3] |= keptSoonest
		words = append(words, uint64(k.sum.soonest))
	}
	for _, v := range words {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return k.tree.AppendTo(dst)
}

// parseKept reads what appendTo wrote. The error is of KindInvalid, or
// KindWrongVersion.
func parseKept(b []byte) (kept, error) {
	if len(b) < keptHeader {
		return kept{}, kv.Errorf(kv.KindInvalid, "read kept tree", "%d bytes are too few", len(b))
	}
	k := kept{stop: binary.BigEndian.Uint64(b), sum: leafSum{
		keys: binary.BigEndian.Uint64(b[8:]), bytes: binary.BigEndian.Uint64(b[16:]), reapable: binary.BigEndian.Uint64(b[24:]),
	}}
	rest := b[keptHeader:]
	if k.sum.reapable&keptSoonest != 0 {
		if len(rest) < 8 || binary.BigEndian.Uint64(rest) == 0 {
			return kept{}, kv.Errorf(kv.KindInvalid, "read kept tree", "no expiry where one is said to be")
		}
		k.sum.reapable &^= keptSoonest
		k.sum.soonest, rest = kv.Expiry(binary.BigEndian.Uint64(rest)), rest[8:]
	}
	t, err := merkle.Parse(rest)
	if err != nil {
		return kept{}, err
	}
	k.sum.hash, k.tree = t.Root(), t
	return k, nil
}

// loadTree takes the kept tree over, if there is one of the last stop. Else the
// tree is to be built: what cannot be read is no loss.
func (p *partition) loadTree() {
	if p.store.keptBy == 0 {
		return
	}
	b, found, err := p.store.engine.Get(metaKey(p.id, metaTree), nil)
	if err != nil || !found {
		return
	}
	k, err := parseKept(b)
	if err != nil || k.stop != p.store.keptBy {
		return
	}
	p.mu.tree, p.mu.sum, p.mu.built = *k.tree, k.sum, merkle.Leaves
}

// openKept notes which kept trees are valid, and makes that durably invalid: a
// crash from here on leaves none.
func (s *Store) openKept() error {
	key := metaKey(0, metaTrees)
	b, found, err := s.engine.Get(key, nil)
	if err != nil && kv.KindOf(err) != kv.KindCorrupt {
		return err
	}
	if err == nil && !found {
		return nil
	}
	if len(b) == 8 {
		s.keptBy = binary.BigEndian.Uint64(b)
	}
	// A Drop is durable, and is taken even while the disk is full.
	return s.engine.Drop(key, append(key[:len(key):len(key)], 0))
}

// keepBatch bounds a batch of kept trees, in bytes.
const keepBatch = 1 << 20

// Save keeps the trees durably, for the next Open to find, and ends the Store:
// from then on every write is refused with KindClosed. A Store that is not saved,
// as after a crash, has its trees built anew. Nothing else may run while Save
// does.
func (s *Store) Save() error {
	s.saved.Store(true)
	s.barrier()
	if err := s.loadAll(); err != nil {
		return err
	}
	var batch storage.Batch
	var err error
	s.all(func(p *partition) bool {
		p.mu.Lock()
		if p.mu.built == merkle.Leaves {
			k := kept{stop: s.first, sum: p.mu.sum, tree: &p.mu.tree}
			batch.Set(metaKey(p.id, metaTree), k.appendTo(nil))
		} else {
			// One of an earlier stop, whose number may be the same if nothing
			// was written since.
			batch.Delete(metaKey(p.id, metaTree))
		}
		p.mu.Unlock()
		if batch.Size() >= keepBatch {
			err = s.engine.Apply(&batch, nil)
			batch.Reset()
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	batch.Set(metaKey(0, metaTrees), binary.BigEndian.AppendUint64(nil, s.first))
	if err := s.engine.Apply(&batch, nil); err != nil {
		return err
	}
	return s.engine.Sync()
}
