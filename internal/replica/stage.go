package replica

import (
	"encoding/binary"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// While the ring changes, what a copy has served must not be undone by requests
// that were planned before (DESIGN section 5). So each copy has a stage: the
// lowest levels of puts and of gets that it still serves. Sealed in a step it
// takes no put from before, at stage 2 it answers no get from before. Stages only
// grow, are durable before anybody is told of them, and are kept when the copy is
// dropped: a former owner refuses like any other.

// stage is how far a copy is. It is replaced as a whole, never changed.
type stage struct {
	puts, gets kv.Level
	// guessed tells that they may be higher than what has happened, for want of a
	// stage that was lost: they prove nothing.
	guessed bool
	// turn counts the changes in this process.
	turn uint64
}

// unplanned is the level of what was not planned by any view of the ring: it is
// not held against the stage.
const unplanned = ^kv.Level(0)

// Advance is what Store.Advance raises a copy's stage to.
type Advance struct {
	Partition kv.Partition
	// Puts and Gets are the lowest levels to be served from now on. What is
	// lower than the stage changes nothing.
	Puts, Gets kv.Level
	// Guessed tells that nobody knows for certain that the change came that far.
	Guessed bool
}

// Stage returns the lowest levels of puts and of gets that p's copy serves, as
// far as they are durable: what it tells may be told to others. It is zero for a
// copy that never advanced, and does not allocate.
func (s *Store) Stage(p kv.Partition) (puts, gets kv.Level) {
	part, err := s.part(p)
	if err != nil {
		return 0, 0
	}
	st := part.durable.Load()
	return st.puts, st.gets
}

// Guessed tells that the stage of p's copy was lost, or taken over from another
// copy. It may be higher than it ever was by what happened: that a copy is at this
// stage does not prove then that the ring's change has come to it.
func (s *Store) Guessed(p kv.Partition) bool {
	part, err := s.part(p)
	return err != nil || part.durable.Load().guessed
}

// Advance raises stages; it never lowers one. When it returns no write of a lower
// level is under way, no read of a lower level is answered any more with what the
// copy holds from now on, and all that is durable, with every write of before:
// what a copy had when it was sealed it does not lose again, not even what was
// acknowledged as applied only. (The writes that were acknowledged as durable
// would be safe without that. But a copy that was sealed counts as a source, and
// a source that goes back behind what it was when it counted is one the less.)
//
// The stages are raised in memory first, so that what arrives is refused while
// Advance waits for what is under way. It blocks nothing else. All in one call
// cost one barrier, one batch and one sync.
//
// After an error the stages stay as they are in memory, which is safe, and may or
// may not be found after a restart; nothing is to be told to others, and the same
// call may be made again.
func (s *Store) Advance(to []Advance) error {
	parts, err := s.raiseStages(to)
	if err != nil || len(parts) == 0 {
		return err
	}
	s.barrier()
	stages, err := s.writeStages(parts)
	if err != nil {
		return err
	}
	for i, part := range parts {
		part.stageIsDurable(stages[i])
	}
	return nil
}

// raiseStages raises stages in memory, and returns those partitions, ascending,
// of which the stage is not durable yet.
func (s *Store) raiseStages(to []Advance) ([]*partition, error) {
	if s.saved.Load() {
		return nil, errStopping("advance stage")
	}
	parts := make([]*partition, len(to))
	for i, a := range to {
		part, err := s.part(a.Partition)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	var raised []*partition
	for i, part := range parts {
		if part.raiseStage(to[i]) {
			raised = append(raised, part)
		}
	}
	return inOrder(raised), nil
}

// inOrder sorts parts by their numbers, each once.
func inOrder(parts []*partition) []*partition {
	slices.SortFunc(parts, func(a, b *partition) int { return int(a.id) - int(b.id) })
	return slices.Compact(parts)
}

// raiseStage raises the stage in memory. It tells whether the stage is to be made
// durable.
func (p *partition) raiseStage(to Advance) bool {
	p.meta.Lock()
	defer p.meta.Unlock()
	st := p.stage.Load()
	if to.Puts > st.puts || to.Gets > st.gets {
		known := to.Gets > st.gets && to.Gets >= st.puts && !to.Guessed
		st = &stage{
			puts: max(st.puts, to.Puts), gets: max(st.gets, to.Gets),
			guessed: (st.guessed || to.Guessed) && !known, turn: st.turn + 1,
		}
		p.stage.Store(st)
	}
	return st.turn != p.durable.Load().turn
}

// writeStages makes the stages of parts durable and returns them. No other stage
// is written between the look at them and the batch: the last one written is the
// highest.
func (s *Store) writeStages(parts []*partition) ([]*stage, error) {
	stages := make([]*stage, len(parts))
	if s.omits(OmitStageLog) {
		for i, part := range parts {
			stages[i] = part.stage.Load()
		}
		return stages, nil
	}
	err := s.writeMeta(parts, func(b *storage.Batch, i int, part *partition) {
		stages[i] = part.stage.Load()
		b.Set(metaKey(part.id, metaStage), stages[i].appendTo(nil))
	})
	if err != nil {
		return nil, err
	}
	return stages, s.engine.Sync()
}

// writeMeta applies as one batch what put makes of each of parts, which are
// ascending, under the locks of all of them. It is taken though the disk is full:
// else a node whose disk is could give nothing away when the ring grows.
func (s *Store) writeMeta(parts []*partition, put func(b *storage.Batch, i int, part *partition)) error {
	var b storage.Batch
	for i, part := range parts {
		part.meta.Lock()
		defer part.meta.Unlock()
		put(&b, i, part)
	}
	if b.Len() == 0 {
		return nil
	}
	b.UseReserve()
	return s.engine.Apply(&b, nil)
}

// stageIsDurable notes that a stage is durable, unless a later one is.
func (p *partition) stageIsDurable(st *stage) {
	p.meta.Lock()
	defer p.meta.Unlock()
	if st.turn > p.durable.Load().turn {
		p.durable.Store(st)
	}
}

// loseStage has the copy of which nobody knows the stage take the highest that it
// can have had: that at the end of the change of the ring that the node knows of.
// (Other owners cannot tell: one may seal right after it was asked.) So it refuses
// more than it must until that change is over, which is safe; whoever raises
// stages has the node know of the change durably before.
func (p *partition) loseStage() {
	p.meta.Lock()
	defer p.meta.Unlock()
	st := p.stage.Load()
	puts, gets := p.store.highest(p.id)
	p.stage.Store(&stage{puts: max(st.puts, puts), gets: max(st.gets, gets), guessed: true, turn: st.turn + 1})
	p.meta.stageLost = true
}

// highest returns the highest stage that a copy of p can have, as far as the node
// knows the ring.
func (s *Store) highest(p kv.Partition) (puts, gets kv.Level) {
	c := s.rings.Current()
	if c == nil {
		return 0, 0
	}
	if c.Progress != nil {
		if n := len(c.Progress.Steps(p)); n > 0 {
			return c.Progress.Level(n-1, 1), c.Progress.Level(n-1, 2)
		}
	}
	settled := kv.LevelOf(c.Ring.Epoch())
	return settled, settled
}

// serves implements shelf. The stripe is locked: who raised the stage waits for
// it.
func (p *partition) serves(level kv.Level) error {
	if lowest := p.stage.Load().puts; level < lowest || level == 0 {
		return p.refuse("put", level, lowest, OmitSeal)
	}
	return nil
}

// answers tells whether a read that was planned at level may be answered with what
// was read before. A read needs no lock for that: as long as the stage is not
// raised the copy holds at least what it held when it was asked.
func (p *partition) answers(level kv.Level) error {
	if lowest := p.stage.Load().gets; level < lowest || level == 0 {
		return p.refuse("get", level, lowest, OmitStage2)
	}
	return nil
}

// refuse returns the error for a request of too low a level, unless rule, which
// says so, is left out.
func (p *partition) refuse(op string, level, lowest kv.Level, rule Omit) error {
	switch {
	case level == 0:
		return kv.Errorf(kv.KindStaleRing, op, "the request for partition %d was planned without a ring", p.id)
	case p.store.omits(rule):
		return nil
	}
	return kv.Errorf(kv.KindStaleRing, op, "the copy of partition %d serves nothing below level %v, the request was planned at %v", p.id, lowest, level)
}

// A stage is stored under its partition's metaStage.
//
//	offset  size
//	     0     1  format version
//	     1     8  the lowest level of puts
//	     9     8  the lowest level of gets
//	    17     1  1, if they are a guess; else missing
const (
	stageVersion = 1
	stageSize    = 17
)

func (st *stage) appendTo(dst []byte) []byte {
	dst = append(dst, stageVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(st.puts))
	dst = binary.BigEndian.AppendUint64(dst, uint64(st.gets))
	if st.guessed {
		dst = append(dst, 1)
	}
	return dst
}

// parseStage reads what appendTo wrote. The error is of KindCorrupt, or
// KindWrongVersion.
func parseStage(b []byte) (*stage, error) {
	switch {
	case len(b) > 0 && b[0] != stageVersion:
		return nil, kv.Errorf(kv.KindWrongVersion, "read stage", "format version %d, this node knows %d", b[0], stageVersion)
	case len(b) != stageSize && (len(b) != stageSize+1 || b[stageSize] != 1):
		return nil, kv.Errorf(kv.KindCorrupt, "read stage", "%x is none", b)
	}
	return &stage{
		puts: kv.Level(binary.BigEndian.Uint64(b[1:])),
		gets: kv.Level(binary.BigEndian.Uint64(b[9:])), guessed: len(b) > stageSize,
	}, nil
}
