package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// A copy of which something cannot be read is damaged (DESIGN section 5, rule
// 7): it has lost what it has seen, so it must not answer for its keys, and its
// floor is no longer true. It takes writes, its unreadable leaves are cut out,
// it is filled again from other owners, and then it counts again. What it was
// filled with in a change of the ring it has no longer, but its stage it keeps.
// Only where the stage itself cannot be read, or with the engine (MarkLost), the
// stage is lost too, and made up for (loseStage).

func errDamaged(p kv.Partition) error {
	return kv.Errorf(kv.KindCorrupt, "read copy", "the copy of partition %d is damaged, and is being filled again", p)
}

// damage marks a copy as damaged, and resets its floor and its fill, in one batch: whatever
// is durable afterwards, the mark is. In memory both come first; when the engine
// refuses the mark, Upkeep tries again. The copy's tree is built anew.
func (s *Store) damage(part *partition, cause error) error {
	first, err := part.damage(cause)
	if first && s.cfg.Hooks.Damaged != nil {
		s.cfg.Hooks.Damaged(part.id, cause)
	}
	return err
}

// damage is Store.damage, and tells whether the copy was sound until now.
func (p *partition) damage(cause error) (first bool, err error) {
	p.meta.Lock()
	defer p.meta.Unlock()
	first = !p.damaged.Swap(true)
	p.floor.Store(&floor{})
	p.loseFill()
	err = p.mark(cause)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.damages++
	if first || p.mu.built == merkle.Leaves {
		p.reset(0)
	} else {
		// What is being built cuts out what it meets, but it may be past this
		// already. It need not begin anew for each record.
		p.mu.again = true
	}
	return first, err
}

// mark brings what damage has changed into the engine, unless it is there. p.meta
// is locked.
func (p *partition) mark(cause error) error {
	if p.isMarked() {
		return nil
	}
	var b storage.Batch
	if !p.meta.marked {
		b.Set(metaKey(p.id, metaDamaged), []byte(cause.Error()))
		b.Delete(metaKey(p.id, metaFloor))
	}
	if p.meta.fillLost {
		b.Delete(metaKey(p.id, metaFill))
	}
	if p.meta.stageLost {
		b.Set(metaKey(p.id, metaStage), p.stage.Load().appendTo(nil))
	}
	b.UseReserve()
	if err := p.store.engine.Apply(&b, nil); err != nil {
		return err
	}
	if !p.meta.marked {
		p.meta.written = nil
		p.meta.resets++
	}
	p.meta.marked, p.meta.stageLost = true, false
	p.meta.filled, p.meta.fillLost = p.meta.filled && !p.meta.fillLost, false
	return nil
}

// isMarked tells whether the engine has all that damage has changed. p.meta is
// locked.
func (p *partition) isMarked() bool {
	return p.meta.marked && !p.meta.fillLost && !p.meta.stageLost
}

// marked has the mark of a damaged copy in the engine, if it is not yet.
func (s *Store) marked(part *partition) error {
	part.meta.Lock()
	marked := part.isMarked() || part.meta.unmarking
	part.meta.Unlock()
	if marked {
		return nil
	}
	return s.damage(part, errDamaged(part.id))
}

// found handles err, which a read of part met, and returns it.
func (s *Store) found(part *partition, err error) error {
	if kv.KindOf(err) == kv.KindCorrupt {
		_ = s.damage(part, err) // Upkeep tries again
	}
	return err
}

// lost handles err as found does, and is done with damage.
func (s *Store) lost(part *partition, err error) error {
	if kv.KindOf(err) != kv.KindCorrupt {
		return err
	}
	return s.damage(part, err)
}

// Damaged returns the partitions whose copies are marked as damaged, ascending.
func (s *Store) Damaged() []kv.Partition {
	_ = s.loadAll() // a copy that is not loaded answers for nothing
	var damaged []kv.Partition
	s.all(func(p *partition) bool {
		if p.damaged.Load() {
			damaged = append(damaged, p.id)
		}
		return true
	})
	return damaged
}

// Damages returns how often damage was found in p in this process.
func (s *Store) Damages(p kv.Partition) uint64 {
	part, err := s.part(p)
	if err != nil {
		return 0
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.mu.damages
}

// MarkDamaged marks the copy of p as damaged, durably, because of cause: it gives
// no answers until it is repaired. Upkeep cuts out what cannot be read.
func (s *Store) MarkDamaged(p kv.Partition, cause error) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	if err := s.damage(part, cause); err != nil {
		return err
	}
	return s.engine.Sync()
}

// MarkLost marks all copies that the node has, by what it knows of the ring, as
// damaged, durably: they were lost with the engine that had them, their stages
// included. That is the way of a node that finds an engine which is not Begun, and
// has had copies. Of copies that it may have dropped the stages were lost as well:
// they were to stay, for the node may own the partition again.
func (s *Store) MarkLost(cause error) error {
	c := s.rings.Current()
	if c == nil {
		return nil
	}
	var former []*partition
	for i := range c.Ring.Params().Q {
		p := kv.Partition(i)
		part, err := s.part(p)
		if err != nil {
			return err
		}
		part.loseStage()
		// An owner in a step between the two rings is one in one of them.
		if !c.Ring.Owns(p, s.self) && !c.Latest().Owns(p, s.self) {
			former = append(former, part)
		} else if err := s.damage(part, cause); err != nil {
			return err
		}
	}
	stages, err := s.writeStages(former)
	if err != nil {
		return err
	}
	for i, part := range former {
		part.stageIsDurable(stages[i])
	}
	return s.engine.Sync()
}

// Repaired makes the copy of p durable and takes its mark away, durably as well,
// before the copy answers again: it has been filled from enough other owners since
// damages was what Damages returned, and, where it was filled in a step of a change
// of the ring that is not over, filled again as SetFills says. The error is of
// KindRefused when more damage was found since, or when what cannot be read is not
// cut out yet; else the engine's.
//
// Were the mark there again after a crash, others would have counted on the copy
// meanwhile. If one of them is damaged then, each would wait for the other.
func (s *Store) Repaired(p kv.Partition, damages uint64) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	if err := s.engine.Sync(); err != nil {
		return err
	}
	if err := part.unmark(damages); err != nil {
		return err
	}
	err = s.engine.Sync()
	part.meta.Lock()
	defer part.meta.Unlock()
	part.meta.unmarking = false
	if err == nil {
		err = part.fit(damages)
	}
	if err == nil {
		part.damaged.Store(false)
	}
	return err
}

// unmark has the engine forget the mark, which the copy itself has still. Damage
// that is found from now on is marked anew.
func (p *partition) unmark(damages uint64) error {
	p.meta.Lock()
	defer p.meta.Unlock()
	if err := p.fit(damages); err != nil {
		return err
	}
	if err := p.set(metaDamaged, nil); err != nil {
		return err
	}
	p.meta.marked, p.meta.unmarking = false, true
	return nil
}

// fit tells why the copy is not whole again, though it was filled since damages
// was its number of damages. The caller holds meta.
func (p *partition) fit(damages uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.damages == damages && p.mu.built == merkle.Leaves {
		return nil
	}
	return kv.Errorf(kv.KindRefused, "end repair", "more damage was found in partition %d: it is to be filled again", p.id)
}

// ScrubSlice reads the records of some leaves of p, from leaf l on, checks them
// and their leaves in the tree, and returns the bytes that it read. Damage marks
// the copy, and a tree that is wrong is built anew; neither is an error. A copy
// whose tree is not ready is left to Upkeep, which reads all of it.
func (s *Store) ScrubSlice(p kv.Partition, l merkle.Leaf, leaves int) (int, error) {
	part, err := s.part(p)
	if err != nil {
		return 0, err
	}
	if state, _, _ := s.Tree(p); state != TreeReady {
		return 0, nil
	}
	end := min(int(l)+leaves, merkle.Leaves)
	sums, size := make([]leafSum, end-int(l)), 0
	err = s.scanRecords(p, l, func(r stored) bool {
		if int(r.leaf) >= end {
			return false
		}
		sums[r.leaf-l].add(r.k, r.entry())
		size += int(r.size)
		return true
	})
	if err != nil {
		return size, s.lost(part, err)
	}
	for i, sum := range sums {
		if err := s.scrubLeaf(part, l+merkle.Leaf(i), sum); err != nil {
			return size, err
		}
	}
	return size, nil
}

// scrubLeaf compares a leaf of the tree with the sum of its records, which is
// read again under the stripe when it differs: it may have been written to.
func (s *Store) scrubLeaf(part *partition, l merkle.Leaf, sum leafSum) error {
	if part.leafIs(l, sum.hash) {
		return nil
	}
	s.locks[l].Lock()
	defer s.locks[l].Unlock()
	sum, err := s.sumOf(part.id, l)
	if err != nil {
		return s.lost(part, err)
	}
	if part.leafIs(l, sum.hash) {
		return nil
	}
	part.restart()
	if s.cfg.Hooks.Wrong != nil {
		s.cfg.Hooks.Wrong(part.id, l)
	}
	return nil
}

// leafIs tells whether leaf l of the tree is hash; a tree that is being built is
// not asked.
func (p *partition) leafIs(l merkle.Leaf, hash uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.built < merkle.Leaves || p.mu.tree.Leaf(l) == hash
}
