package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// mover walks the steps of a change of the ring, for the partitions in which this
// node takes part (DESIGN section 5). As an owner before a step it seals its copy,
// so that it takes no puts of before any more, and later it answers no gets of
// before; as an owner after it, it has all that N-W+1 of the sealed owners had, and
// tells that it is done. What it tells is durable first. Everything follows from
// the marks, which only grow, and from the stages and fills of the copies: a mover
// that is started anew finds out where it was.
type mover struct {
	k *Keeper
	// cur is what the rest is about; nil, or without a transition, before and
	// after one.
	cur *ring.Current
	// parts are the partitions in whose steps this node still has a part, ascending.
	parts []*moving
	// anew has the next look go over all of parts; retry is when there is one
	// after a failure.
	anew  bool
	retry time.Time
	// fills are those of parts that are under way, version counts their changes.
	fills   []*filling
	version uint64
	// gainers are the nodes for whose sake marks are held back, ascending.
	gainers []gainer

	pace     yielding
	received pace.Meter
	tally    moverTally
	totals   FillsStatus
	// sizes are what sources told of their copies, in bytes, in this change.
	sizes map[kv.Partition]uint64
}

// moving is this node's part in the steps of one partition.
type moving struct {
	p     kv.Partition
	steps []ring.Step
	// seen is the sum of the marks when it was last looked at: as marks only grow,
	// nothing has changed while it is the same.
	seen uint64
	// again has it looked at in any case.
	again bool
	// fills are under way: that of the present step, if there is one.
	fills []*filling
}

// gainer is a node that is to be filled, and keeps this node's marks back.
type gainer struct {
	id kv.NodeID
	// down is since when it does not answer, zero if it does; given that it was
	// waited for long enough.
	down  time.Time
	given bool
}

// tick looks whether there is something to do, which is seldom so.
func (m *mover) tick(c *ring.Current, now time.Time) {
	if m.cur != c || m.waited(now) || !m.retry.IsZero() && !now.Before(m.retry) {
		m.look(now)
	}
}

// look does what marks, stages and fills ask for.
func (m *mover) look(now time.Time) {
	c := m.k.Cluster.Current()
	if c != m.cur {
		m.begin(c)
	}
	m.retry = time.Time{}
	if c == nil || c.Progress == nil {
		return
	}
	marked := m.k.Damage.Damaged()
	due := m.due()
	if err := m.advance(due); err != nil {
		m.failed(now)
		return
	}
	fills := map[kv.Partition]replica.Fill{}
	for _, mv := range due {
		_, damaged := slices.BinarySearch(marked, mv.p)
		m.refresh(mv, damaged, fills)
	}
	if err := m.settle(fills); err != nil {
		m.failed(now)
		return
	}
	m.publish(due, now)
	m.forget()
}

// begin takes another ring, or another transition, for what is so.
func (m *mover) begin(c *ring.Current) {
	was := m.cur
	m.cur, m.parts, m.fills, m.gainers = c, nil, nil, nil
	m.version++
	if c == nil {
		return
	}
	if c.Progress == nil {
		m.openAllLate()
		return
	}
	if was == nil || was.Progress == nil || was.Progress.To().Epoch() != c.Progress.To().Epoch() {
		m.tally, m.received, m.sizes = moverTally{}, pace.Meter{}, map[kv.Partition]uint64{}
	}
	for i := range c.Ring.Params().Q {
		p := kv.Partition(i)
		steps := c.Progress.Steps(p)
		part := slices.ContainsFunc(steps, func(s ring.Step) bool { return s.Place(m.k.Self) >= 0 })
		if part || m.isLate(p) {
			m.parts = append(m.parts, &moving{p: p, steps: steps, again: true})
		}
	}
}

// failed has the look repeated after a while: a disk that is full may be so no
// more.
func (m *mover) failed(now time.Time) {
	m.retry, m.anew = now.Add(m.k.cfg.Retry), true
}

// due returns the partitions of which marks are new, or that are to be looked at
// for another reason.
func (m *mover) due() []*moving {
	var out []*moving
	for _, mv := range m.parts {
		sum := uint64(0)
		for k := range mv.steps {
			sum += uint64(m.cur.Progress.Marks(m.cur.Progress.Index(mv.p, k)))
		}
		if mv.again || m.anew || sum != mv.seen {
			mv.seen, mv.again = sum, false
			out = append(out, mv)
		}
	}
	m.anew = false
	return out
}

// advance raises the stages of the copies, all at once.
func (m *mover) advance(parts []*moving) error {
	var to []replica.Advance
	for _, mv := range parts {
		want := m.target(mv)
		puts, gets := m.k.Stages.Stage(mv.p)
		if puts < want.puts || gets < want.gets {
			to = append(to, replica.Advance{Partition: mv.p, Puts: want.puts, Gets: want.gets})
		}
	}
	if len(to) == 0 {
		return nil
	}
	if err := m.k.Stages.Advance(to); err != nil {
		return err
	}
	for _, a := range to {
		if !m.k.former(m.cur, a.Partition) {
			continue
		}
		m.k.looked = time.Time{} // the copy is left over from now on
		if m.k.cfg.omits(OmitFormer) {
			_, _, changes := m.k.Trees.Tree(a.Partition)
			_, _ = m.k.Copies.DropCopy(a.Partition, changes)
		}
	}
	return nil
}

// target returns how far this node's copy has to be, by the marks: sealed in the
// step that is under way, if it was an owner before that, and at stage 2 in those
// that have the evidence for it. A node that left in an earlier step has missed
// that perhaps, and makes up for it.
func (m *mover) target(mv *moving) stage {
	g := m.cur.Progress
	now, phase := g.At(mv.p)
	var to stage
	for k := range mv.steps {
		if k > now && !m.k.cfg.omits(OmitWait) {
			break
		}
		if !slices.Contains(mv.steps[k].Old, m.k.Self) {
			continue
		}
		to.puts = g.Level(k, 1)
		if k < now || k == now && phase >= 2 {
			to.gets = g.Level(k, 2)
		}
	}
	return to
}

// refresh opens and closes the fills of a partition, and adds to fills those that
// are complete and not yet durable.
func (m *mover) refresh(mv *moving, damaged bool, fills map[kv.Partition]replica.Fill) {
	g := m.cur.Progress
	now, phase := g.At(mv.p)
	was := mv.fills
	mv.fills = nil
	for k := range mv.steps {
		begun := k == now && phase < 3 || k > now && m.k.cfg.omits(OmitWait)
		if !begun || damaged || !slices.Contains(mv.steps[k].New, m.k.Self) {
			continue
		}
		i := slices.IndexFunc(was, func(f *filling) bool { return f.k == k })
		if i < 0 {
			f := m.open(mv, k)
			mv.fills = append(mv.fills, f)
			if f.gains && m.k.Stages.Fill(mv.p).Level != f.level {
				fills[mv.p] = m.fillOf(f) // so that it is known to be late if the step ends without it
			}
		} else {
			mv.fills = append(mv.fills, was[i])
		}
		f := mv.fills[len(mv.fills)-1]
		if losses := m.k.Stages.Fill(mv.p).Losses; losses != f.losses {
			f.losses, f.sources, f.done = losses, nil, false
		}
		if f.done || !m.enough(f) {
			continue
		}
		if set, other := fills[mv.p]; other && set.Level != f.level {
			mv.again = true
		} else {
			fills[mv.p] = m.fillOf(f)
		}
	}
	if len(mv.fills) == 0 && !damaged {
		mv.fills = m.stillLate(mv, was)
	}
}

// settle makes fills durable that are complete.
func (m *mover) settle(fills map[kv.Partition]replica.Fill) error {
	if len(fills) > 0 && !m.k.cfg.omits(OmitFillLog) {
		// One of a copy that has lost data meanwhile is refused, the others are set.
		if err := m.k.Stages.SetFills(fills); err != nil && kv.KindOf(err) != kv.KindRefused {
			return err
		}
	}
	m.version++
	m.fills = m.fills[:0]
	for _, mv := range m.parts {
		for _, f := range mv.fills {
			if d := fills[mv.p]; d.Done && (d.Level == f.level || f.k == late) {
				set := m.k.Stages.Fill(mv.p)
				f.done = set.Done && set.Level == d.Level || m.k.cfg.omits(OmitFillLog)
			}
			if !f.done {
				m.fills = append(m.fills, f)
			}
		}
	}
	return nil
}

// publish tells the marks that this node has grounds for and that are not known.
func (m *mover) publish(parts []*moving, now time.Time) {
	g := m.cur.Progress
	var marks []ring.Mark
	for _, mv := range parts {
		first, _ := g.At(mv.p)
		for k := max(first, 0); k < len(mv.steps); k++ {
			i := g.Index(mv.p, k)
			if own := m.grounds(mv, k); own&^g.Marks(i) != 0 {
				marks = append(marks, ring.Mark{Step: i, Marks: own})
			}
		}
	}
	if len(marks) == 0 {
		return
	}
	if err := m.k.Cluster.Mark(g, marks); err != nil {
		m.failed(now)
	}
}

// grounds returns the marks of this node in step k of a partition, and those of
// others that it has witnessed. A node that stays holds its mark back while another
// one is being filled, so that gets are not answered by owners of which one is
// empty, and so that the data moves in the step, and once.
func (m *mover) grounds(mv *moving, k int) ring.Marks {
	g, s := m.cur.Progress, &mv.steps[k]
	marks := m.witnessed(mv, k)
	place := s.Place(m.k.Self)
	if place < 0 {
		return marks
	}
	_, gets := m.k.Stages.Stage(mv.p)
	if slices.Contains(s.Old, m.k.Self) && gets >= g.Level(k, 2) {
		marks |= ring.MarkStage2(place)
	}
	i := slices.IndexFunc(mv.fills, func(f *filling) bool { return f.k == k })
	if i >= 0 && mv.fills[i].done && !m.holdsBack(s, g.Marks(g.Index(mv.p, k)), mv) {
		marks |= ring.MarkDone(place)
	}
	return marks
}

// witnessed returns the marks of step k of which this node knows from what is
// durable here that there were enough of them: a fill of a later step was begun when
// this one was over, and so was a later seal; stage 2 had phase 2's evidence. It
// says them for all who may have said them, for nobody knows a mark any more when
// all nodes were started anew, and by then those who did may be dead, or have
// dropped the copy that proved theirs, which gives nobody a second chance: what is
// left would be an owner of before that refuses to be read, and none after it.
func (m *mover) witnessed(mv *moving, k int) ring.Marks {
	g, s := m.cur.Progress, &mv.steps[k]
	if m.k.cfg.omits(OmitWait) {
		return 0
	}
	puts, gets := m.k.Stages.Stage(mv.p)
	if m.k.Stages.Guessed(mv.p) {
		puts, gets = 0, 0
	}
	switch {
	case max(m.k.Stages.Fill(mv.p).Level, puts, gets) >= g.Level(k, 3):
		return s.Evidence(3)
	case gets >= g.Level(k, 2):
		return s.Evidence(2)
	}
	return 0
}

// holdsBack tells whether a node that stays waits with its mark for one that is
// being filled.
func (m *mover) holdsBack(s *ring.Step, marks ring.Marks, mv *moving) bool {
	if !slices.Contains(s.Old, m.k.Self) {
		return false
	}
	for place, id := range s.Union {
		if place < len(s.Old) || marks.Done(place) {
			continue
		}
		i, found := slices.BinarySearchFunc(m.gainers, id, func(w gainer, id kv.NodeID) int { return cmpID(w.id, id) })
		if !found {
			m.gainers = slices.Insert(m.gainers, i, gainer{id: id})
		}
		if !m.gainers[i].given {
			return true
		}
	}
	return false
}

// waited tells whether another one was waited for long enough, or is back.
func (m *mover) waited(now time.Time) bool {
	news := false
	for i := range m.gainers {
		w := &m.gainers[i]
		switch {
		case m.k.Peers.Up(w.id):
			w.down, w.given = time.Time{}, false
		case w.down.IsZero():
			w.down = now
		case !w.given && now.Sub(w.down) >= m.k.cfg.FillPatience:
			w.given, news = true, true
		}
	}
	m.anew = m.anew || news
	return news
}

// forget drops the partitions of which the last step is over, and this node's part
// in it as well.
func (m *mover) forget() {
	m.parts = slices.DeleteFunc(m.parts, func(mv *moving) bool {
		k, phase := m.cur.Progress.At(mv.p)
		puts, gets := m.k.Stages.Stage(mv.p)
		want := m.target(mv)
		return k == len(mv.steps)-1 && phase == 3 && puts >= want.puts && gets >= want.gets && !m.lacksAny(mv)
	})
}
