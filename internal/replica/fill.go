package replica

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Fill is what a copy has been filled from in a step of a change of the ring.
type Fill struct {
	// Level is that of phase 1 of the step.
	Level kv.Level
	// Sources are the owners all of whose objects the copy has, as they were after
	// they had sealed; the node itself is one when it stays an owner, as long as
	// its copy is not damaged. Read-only once it was given to SetFills, or came from Fill.
	Sources []kv.NodeID
	// Done tells that these are enough.
	Done bool
	// Losses counts how often, in this process, the copy has lost what it was
	// filled with: it was damaged, or dropped. SetFills takes a Fill only with the
	// Losses that Fill told before the first of its exchanges began.
	Losses uint64
}

// Fill returns what p's copy has been filled from, as far as that is durable; but
// for Losses the zero Fill if nothing is known. It does not allocate.
func (s *Store) Fill(p kv.Partition) Fill {
	part, err := s.part(p)
	if err != nil {
		return Fill{}
	}
	return *part.fill.Load()
}

// SetFills makes what the copies hold durable, and with it what they have been
// filled from, in one batch and one sync: a Fill is never found after a crash
// without the data that it speaks of. One goroutine calls it at a time.
//
// A Fill of a copy that has lost something since Fill told its Losses is left out,
// as is one that has the node itself as a source while its copy is damaged. The
// others are set; the error is of KindRefused then. After any other error
// nothing is set, though it may be found set after a restart.
//
// A done mark that was told to others is not taken back when the copy loses what
// it was filled with: marks only grow. The copy is damaged then, and gives no
// answer; it must be Done anew, besides what else Repaired wants, before it counts
// again.
func (s *Store) SetFills(fills map[kv.Partition]Fill) error {
	parts := make([]*partition, 0, len(fills))
	for _, p := range slices.Sorted(maps.Keys(fills)) {
		part, err := s.part(p)
		if err == nil && part.damaged.Load() {
			err = s.marked(part) // what is lost is gone from the engine first
		}
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	if s.saved.Load() {
		return errStopping("set fills")
	}
	var refused error
	set := parts[:0:0]
	err := s.writeMeta(parts, func(b *storage.Batch, _ int, part *partition) {
		f := fills[part.id]
		if f.Losses != part.fill.Load().Losses || part.damaged.Load() && slices.Contains(f.Sources, s.self) {
			refused = kv.Errorf(kv.KindRefused, "set fills", "the copy of partition %d has lost what it was filled with", part.id)
			return
		}
		b.Set(metaKey(part.id, metaFill), f.appendTo(nil))
		part.meta.filled, part.meta.fillLost = true, false
		set = append(set, part)
	})
	if err != nil {
		return err
	}
	// Engines keep the order of their batches: what was merged before is as
	// durable.
	if err := s.engine.Sync(); err != nil {
		return err
	}
	for _, part := range set {
		part.useFill(fills[part.id])
	}
	return refused
}

// useFill takes a durable Fill into use, unless it was lost since.
func (p *partition) useFill(f Fill) {
	p.meta.Lock()
	defer p.meta.Unlock()
	if f.Losses == p.fill.Load().Losses {
		f.Sources = slices.Clone(f.Sources)
		p.fill.Store(&f)
	}
}

// loseFill forgets the fill, in memory. p.meta is locked.
func (p *partition) loseFill() {
	p.fill.Store(&Fill{Losses: p.fill.Load().Losses + 1})
	p.meta.fillLost = p.meta.filled
}

// resetFill forgets the fill, but for the sync.
func (p *partition) resetFill() error {
	p.meta.Lock()
	defer p.meta.Unlock()
	p.loseFill()
	if !p.meta.filled {
		return nil
	}
	if err := p.set(metaFill, nil); err != nil {
		return err
	}
	p.meta.filled, p.meta.fillLost = false, false
	return nil
}

// A fill is stored under its partition's metaFill.
//
//	offset  size
//	     0     1  format version
//	     1     1  1 if it is done, else 0
//	     2     8  the level
//	    10    8n  the sources
const (
	fillVersion = 1
	fillHeader  = 10
)

func (f *Fill) appendTo(dst []byte) []byte {
	done := byte(0)
	if f.Done {
		done = 1
	}
	dst = append(dst, fillVersion, done)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.Level))
	for _, id := range f.Sources {
		dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	}
	return dst
}

// parseFill reads what appendTo wrote. The error is of KindCorrupt, or
// KindWrongVersion.
func parseFill(b []byte) (*Fill, error) {
	switch {
	case len(b) > 0 && b[0] != fillVersion:
		return nil, kv.Errorf(kv.KindWrongVersion, "read fill", "format version %d, this node knows %d", b[0], fillVersion)
	case len(b) < fillHeader || (len(b)-fillHeader)%8 != 0 || b[1] > 1:
		return nil, kv.Errorf(kv.KindCorrupt, "read fill", "%x is none", b)
	}
	f := &Fill{Done: b[1] == 1, Level: kv.Level(binary.BigEndian.Uint64(b[2:]))}
	for b = b[fillHeader:]; len(b) > 0; b = b[8:] {
		f.Sources = append(f.Sources, kv.NodeID(binary.BigEndian.Uint64(b)))
	}
	return f, nil
}
