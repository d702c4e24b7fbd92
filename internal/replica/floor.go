package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Floor returns the floor of p's copy and its version, without allocation. To
// merge an object use the floor that ReadUnder returns with it.
func (s *Store) Floor(p kv.Partition) (vclock.Floor, uint64) {
	part, err := s.part(p)
	if err != nil {
		return nil, 0
	}
	f := part.floor.Load()
	return f.Floor, f.version
}

// RaiseFloor raises the floors of parts to f where it is higher: their copies
// have seen all that f covers. First it makes the copies durable, then the
// floors, and then it merges and reaps under them. A damaged copy is left out:
// it has not seen all that it saw.
//
// After an error no floor is used that is not durable; some may be found raised
// after a restart.
func (s *Store) RaiseFloor(parts []kv.Partition, f vclock.Floor) error {
	sync := s.engine.Sync
	if s.omits(OmitDataBeforeFloor) {
		sync = func() error { return nil }
	}
	if err := sync(); err != nil {
		return err
	}
	raised := make([]raise, 0, len(parts))
	for _, p := range parts {
		part, err := s.part(p)
		if err != nil {
			return err
		}
		r, err := part.write(f)
		if err != nil {
			return err
		}
		if r.part != nil {
			raised = append(raised, r)
		}
	}
	if err := sync(); err != nil {
		return err
	}
	for _, r := range raised {
		r.use()
	}
	return nil
}

// raise is a floor that is written, and not yet used.
type raise struct {
	part   *partition
	floor  vclock.Floor
	resets uint64
}

// write writes the floor that f raises the partition's to; none when f raises
// nothing, or the copy is damaged or being dropped.
func (p *partition) write(f vclock.Floor) (raise, error) {
	p.meta.Lock()
	defer p.meta.Unlock()
	if p.damaged.Load() || p.shut.Load() || p.floor.Load().Includes(f) {
		return raise{}, nil
	}
	// What is written may be above what is used: another call is at it.
	joined := vclock.Floor(vclock.AppendFloorJoin(nil, p.meta.written, f))
	if err := p.set(metaFloor, joined); err != nil {
		return raise{}, err
	}
	p.meta.written = joined
	return raise{p, joined, p.meta.resets}, nil
}

// use takes a floor that is durable into use, unless it was reset since.
func (r raise) use() {
	r.part.meta.Lock()
	defer r.part.meta.Unlock()
	if r.part.meta.resets == r.resets && r.floor.Includes(r.part.floor.Load().Floor) {
		r.part.floor.Store(newFloor(r.floor))
	}
}

// ResetFloor durably resets the floor of p's copy to zero.
func (s *Store) ResetFloor(p kv.Partition) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	if err := part.resetFloor(); err != nil {
		return err
	}
	return s.engine.Sync()
}

// resetFloor is ResetFloor but for the sync. In memory the floor is reset first:
// what is not used does no harm in the engine.
func (p *partition) resetFloor() error {
	p.meta.Lock()
	defer p.meta.Unlock()
	p.floor.Store(&floor{})
	p.meta.resets++
	if err := p.set(metaFloor, nil); err != nil {
		return err
	}
	p.meta.written = nil
	return nil
}

// DropCopy drops the copy of p, one that is left over, if no object of it was
// changed since Tree returned changes; it tells whether it did. The floor is
// reset durably before the first record goes, and so is the fill; the stage stays.
// While the copy is being dropped it takes no writes.
//
// After an error of which kv.AppliedOf says that nobody knows, the copy is there
// in whole, or not at all; the tree is built anew.
func (s *Store) DropCopy(p kv.Partition, changes uint64) (bool, error) {
	part, err := s.part(p)
	if err != nil {
		return false, err
	}
	if s.saved.Load() || part.shut.Swap(true) {
		return false, nil
	}
	defer part.shut.Store(false)
	s.barrier()
	part.mu.Lock()
	same := part.mu.changes == changes
	part.mu.Unlock()
	if !same {
		return false, nil
	}
	if !s.omits(OmitFloorReset) {
		if err := part.resetFloor(); err != nil {
			return false, err
		}
	}
	if err := part.resetFill(); err != nil {
		return false, err
	}
	err = s.engine.Drop(leafRange(p, 0, merkle.Leaves))
	part.drops.Add(1)
	if err != nil {
		part.restart()
		return false, err
	}
	part.mu.Lock()
	part.reset(merkle.Leaves)
	part.mu.changes++
	part.mu.Unlock()
	return true, s.forgetDamage(part)
}

// forgetDamage takes the mark of a copy away of which there is nothing left.
func (s *Store) forgetDamage(part *partition) error {
	part.meta.Lock()
	defer part.meta.Unlock()
	if !part.damaged.Load() {
		return nil
	}
	if err := part.set(metaDamaged, nil); err != nil {
		return err
	}
	part.meta.marked = false
	part.damaged.Store(false)
	return nil
}

// Low draws a sequence number and returns it. By then every write of this node
// with that number or a lower one is applied, or given up for ever.
func (s *Store) Low() (uint64, error) {
	_, seq, err := s.source.Next()
	if err != nil {
		return 0, err
	}
	for i := range s.locks {
		s.locks[i].Lock()
		s.locks[i].low = max(s.locks[i].low, seq)
		s.locks[i].Unlock()
	}
	return seq, nil
}
