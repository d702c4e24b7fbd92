package replica

import (
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// partitions finds the state of a partition by its number. A partition's state
// is made when it is first used.
type partitions struct {
	blocks [256]atomic.Pointer[[256]atomic.Pointer[partition]]
	mu     sync.Mutex // held while a state is made
}

// partition is what the store knows of one partition's data.
type partition struct {
	id kv.Partition
	// floor is never nil.
	floor atomic.Pointer[floor]
}

// floor is a copy's floor, with its version.
type floor struct{}

// part returns the state of p.
func (s *Store) part(p kv.Partition) *partition {
	if b := s.parts.blocks[p>>8].Load(); b != nil {
		if part := b[p&255].Load(); part != nil {
			return part
		}
	}
	return s.makePart(p)
}

func (s *Store) makePart(p kv.Partition) *partition {
	s.parts.mu.Lock()
	defer s.parts.mu.Unlock()
	b := s.parts.blocks[p>>8].Load()
	if b == nil {
		b = new([256]atomic.Pointer[partition])
		s.parts.blocks[p>>8].Store(b)
	}
	part := b[p&255].Load()
	if part == nil {
		part = &partition{id: p}
		part.floor.Store(new(floor))
		b[p&255].Store(part)
	}
	return part
}

// under implements shelf.
func (p *partition) under() *floor { return p.floor.Load() }

// admit implements shelf.
func (p *partition) admit(entry) error { return nil }

// unreadable implements shelf.
func (p *partition) unreadable(cause error) error { return cause }

// changed implements shelf.
func (p *partition) changed(kv.Key, entry, entry) {}
