package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// StepsStatus is how far a change of the ring is, as this node knows it, and what
// this node has to do with it. It is brought up to date about once a second, and
// is zero while the ring does not change.
type StepsStatus struct {
	// Epoch is that of the ring to come, 0 while there is none.
	Epoch uint64
	// Phases counts the steps of all partitions by their phase: 0 for those that
	// wait for the one before.
	Phases [4]int
	// Gains are the partitions that this node gets in the change, Left those of
	// them that it has not got in full yet.
	Gains, Left int
	// BytesLeft is what is still to be fetched for them, in bytes of records: what
	// their sources have told, and the mean of that for those not asked yet.
	BytesLeft uint64
	// Received and Sent are bytes of payload that fills took since the change
	// began, or the node was started; Rate is what is received, in bytes a second,
	// over the last seconds, and Eta how long the rest takes at that, 0 for not
	// known.
	Received, Sent uint64
	Rate           uint64
	Eta            time.Duration
	// Objects are the bytes of those messages, of both, that carry what a copy
	// lacked: to ask again and again in vain moves nothing.
	Objects uint64
	// Waits are the nodes that keep steps from going on, ascending.
	Waits []WaitStatus
	// Former are the copies that this node still holds of partitions that it has
	// left in this change.
	Former int
}

// FillsStatus counts what fills took since the node was started.
type FillsStatus struct {
	// Received and Sent are bytes of payload.
	Received, Sent uint64
	// Late are the partitions that this node owns, and is yet to be filled with
	// though their steps are over.
	Late int
}

// WaitStatus is a node that keeps steps from going on.
type WaitStatus struct {
	Node kv.NodeID
	// Since is when it was first seen to.
	Since time.Time
	// Fills of the steps wait for it to be done, Stage2 for it to have seen the
	// evidence for phase 2. Not all of the nodes that a step waits for are needed.
	Fills, Stage2 int
	// Down tells that it does not answer.
	Down bool
}

// moverTally is what a mover tells of itself.
type moverTally struct {
	sent, objects uint64
	status        StepsStatus
}

// lookOver brings the status up to date.
func (m *mover) lookOver(c *ring.Current, now time.Time) {
	was := m.tally.status.Waits
	m.tally.status = StepsStatus{}
	if c.Progress == nil {
		return
	}
	s := &m.tally.status
	s.Epoch = c.Progress.To().Epoch()
	m.count(s, c.Progress)
	m.measure(s, c)
	for i := range s.Waits {
		w := &s.Waits[i]
		w.Since, w.Down = now, w.Node != m.k.Self && !m.k.Peers.Up(w.Node)
		if j := slices.IndexFunc(was, func(o WaitStatus) bool { return o.Node == w.Node }); j >= 0 {
			w.Since = was[j].Since
		}
	}
}

// count counts the steps, and whom they wait for.
func (m *mover) count(s *StepsStatus, g *ring.Progress) {
	for i := range g.From().Params().Q {
		p := kv.Partition(i)
		steps := g.Steps(p)
		now, phase := g.At(p)
		for k := range steps {
			switch {
			case k < now:
				s.Phases[3]++
			case k > now:
				s.Phases[0]++
			default:
				s.Phases[phase]++
				s.wait(&steps[k], phase, g.Marks(g.Index(p, k)))
			}
		}
	}
}

// wait adds those that a step waits for.
func (s *StepsStatus) wait(step *ring.Step, phase int, marks ring.Marks) {
	for place, id := range step.Union {
		fill := phase == 1 && !marks.Done(place) && slices.Contains(step.New, id)
		stage2 := phase == 2 && !marks.Stage2(place) && slices.Contains(step.Old, id)
		if !fill && !stage2 {
			continue
		}
		i, found := slices.BinarySearchFunc(s.Waits, id, func(w WaitStatus, id kv.NodeID) int { return cmpID(w.Node, id) })
		if !found {
			s.Waits = slices.Insert(s.Waits, i, WaitStatus{Node: id})
		}
		if fill {
			s.Waits[i].Fills++
		} else {
			s.Waits[i].Stage2++
		}
	}
}

// sized takes in how large the copies of a source are.
func (m *mover) sized(x *exchange) {
	if m.sizes == nil {
		m.sizes = map[kv.Partition]uint64{}
	}
	for i := range x.copies {
		if c := &x.copies[i]; c.size > 0 {
			m.sizes[c.p] = c.size
		}
	}
}

// measure finds out what this node is still to fetch. As long as no source has told
// how large its copy is, a copy is as large as the mean of those that this node has.
func (m *mover) measure(s *StepsStatus, c *ring.Current) {
	var whole, part, copies, told, known uint64
	for i := range c.Ring.Params().Q {
		p := kv.Partition(i)
		had, has := c.Ring.Owns(p, m.k.Self), c.Latest().Owns(p, m.k.Self)
		if !had && !has {
			continue
		}
		_, bytes, _ := m.k.Floors.Usage(p)
		left := has && !had && !m.got(c.Progress, p)
		switch {
		case left:
			s.Left++
			if size := m.sizes[p]; size > 0 {
				told, known = told+size-min(bytes, size), known+1
			} else {
				part += bytes
			}
		case bytes > 0 || !m.k.leftOver(c, p):
			whole, copies = whole+bytes, copies+1
		}
		if has && !had {
			s.Gains++
		}
		if had && !has && bytes > 0 && m.k.former(c, p) {
			s.Former++
		}
	}
	if len(m.sizes) > 0 {
		whole, copies = 0, uint64(len(m.sizes))
		for _, size := range m.sizes {
			whole += size
		}
	}
	if copies > 0 {
		s.BytesLeft = max(whole/copies*(uint64(s.Left)-known), part) - part
	}
	s.BytesLeft += told
}

// got tells whether this node is done in the step that makes it an owner of p, or
// that is over.
func (m *mover) got(g *ring.Progress, p kv.Partition) bool {
	now, phase := g.At(p)
	for k := range g.Steps(p) {
		if s := &g.Steps(p)[k]; slices.Contains(s.New, m.k.Self) {
			return k < now || k == now && phase == 3 || g.Marks(g.Index(p, k)).Done(s.Place(m.k.Self))
		}
	}
	return true
}

// fillsStatus returns what is counted since the start.
func (m *mover) fillsStatus() FillsStatus {
	s := m.totals
	for _, f := range m.fills {
		if f.k == late && !f.done {
			s.Late++
		}
	}
	return s
}

// status returns what lookOver found, and what is counted.
func (m *mover) status(now time.Time) StepsStatus {
	s := m.tally.status
	if s.Epoch == 0 || m.cur == nil || m.cur.Progress == nil {
		return StepsStatus{}
	}
	s.Objects = m.tally.objects
	s.Sent, s.Received, s.Rate = m.tally.sent, m.received.Total(), m.received.Rate(now)
	if s.Rate > 0 {
		s.Eta = time.Duration(float64(s.BytesLeft) / float64(s.Rate) * float64(time.Second))
	}
	return s
}
