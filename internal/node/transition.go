package node

import (
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// course remembers of a change of the ring what the keeper forgets with it: since
// when it is known here, when anything last moved, and what fills took in all.
type course struct {
	mu sync.Mutex
	courseView
	// last is the keeper's status of before.
	last antientropy.StepsStatus
}

// courseView is what a course knows.
type courseView struct {
	// epoch is that of the ring to come, 0 for no change.
	epoch uint64
	// since is when the change was first seen, moved when something last moved.
	since, moved time.Time
}

// look takes in the change that is under way, epoch 0 for none, and what the
// keeper tells of it.
func (c *course) look(now time.Time, epoch uint64, s antientropy.StepsStatus) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		c.epoch, c.since, c.moved = epoch, now, now
	}
	if s.Epoch != epoch {
		return // it has not looked yet, or tells of the change before
	}
	if s.Epoch != c.last.Epoch {
		c.last = antientropy.StepsStatus{Epoch: s.Epoch}
	}
	if s.Phases != c.last.Phases || s.Objects != c.last.Objects || s.Left != c.last.Left {
		c.moved = now
	}
	c.last = s
}

func (c *course) view() courseView {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.courseView
}

// watchChange has the course look, while there is something to see.
func (n *Node) watchChange(now time.Time) {
	epoch := uint64(0)
	if t := n.service.State().Transition(); t != nil {
		epoch = t.Epoch
	}
	if epoch != 0 || n.course.view().epoch != 0 {
		n.course.look(now, epoch, n.keeper.Status().Steps)
	}
}

// transitionView shows the change of the ring that is under way, with what it
// means for this node; nil for none.
func (n *Node) transitionView(now time.Time) *httpapi.TransitionView {
	t := n.service.State().Transition()
	if t == nil {
		return nil
	}
	s, c := n.keeper.Status().Steps, n.course.view()
	v := &httpapi.TransitionView{
		Epoch: t.Epoch, Changes: n.orderViews(t.Changes), Proposer: n.nameOf(t.Proposer), Forced: t.Forced,
		Since: c.since, IdleSeconds: now.Sub(c.moved).Seconds(),
	}
	for _, id := range t.Lost {
		v.Lost = append(v.Lost, n.nameOf(id))
	}
	if s.Epoch != t.Epoch {
		return v
	}
	v.Phases, v.Done = s.Phases, s.Phases[3]
	for _, count := range s.Phases {
		v.Steps += count
	}
	for _, w := range s.Waits {
		v.WaitsFor = append(v.WaitsFor, httpapi.WaitView{
			Node: n.nameOf(w.Node), ID: w.Node, Down: w.Down, Since: w.Since, Fills: w.Fills, StepsBack: w.Stage2,
		})
	}
	v.Nodes = []httpapi.MoveView{n.moveView(s)}
	return v
}

func (n *Node) moveView(s antientropy.StepsStatus) httpapi.MoveView {
	return httpapi.MoveView{
		Node: n.cfg.Name, ID: n.service.ID(), Partitions: s.Gains, PartitionsLeft: s.Left, BytesLeft: s.BytesLeft,
		BytesReceived: s.Received, BytesSent: s.Sent, Rate: s.Rate, Pace: n.fillRate.Load(), EtaSeconds: s.Eta.Seconds(), Former: s.Former,
	}
}

// phaseNames are the phases of a step, as metrics show them.
var phaseNames = [...]string{"waiting", "filling", "stepping back", "over"}

func (n *Node) transitionSamples(emit func(metrics.Sample)) {
	c, s := n.course.view(), n.keeper.Status().Steps
	idle, down := 0.0, 0
	if c.epoch == 0 {
		s = antientropy.StepsStatus{}
	} else {
		idle = time.Since(c.moved).Seconds()
	}
	for _, w := range s.Waits {
		if w.Down {
			down++
		}
	}
	emit(gauge("ringtail_transition_epoch", "Epoch that a change of the ring leads to; 0 while it does not change.", float64(c.epoch)))
	for phase, count := range s.Phases {
		v := gauge("ringtail_transition_steps", "Steps of the change of the ring, of all partitions, by phase.", float64(count))
		v.Labels = []metrics.Label{{Name: "phase", Value: phaseNames[phase]}}
		emit(v)
	}
	emit(gauge("ringtail_transition_partitions_left", "Partitions that this node is yet to get in full.", float64(s.Left)))
	emit(gauge("ringtail_transition_bytes_left", "Bytes that this node is yet to fetch for them, roughly.", float64(s.BytesLeft)))
	emit(gauge("ringtail_transition_former_partitions", "Copies that this node is yet to give away and drop.", float64(s.Former)))
	emit(gauge("ringtail_transition_idle_seconds", "For how long this node has seen nothing move in the change of the ring.", idle))
	emit(gauge("ringtail_transition_waits_down", "Nodes that steps wait for and that do not answer this node.", float64(down)))
	emit(gauge("ringtail_transition_pace_bytes", "Most bytes a second that this node fetches of moving partitions.", float64(n.fillRate.Load())))
	fills := n.keeper.Status().Fills
	emit(gauge("ringtail_transition_late_partitions", "Copies that this node is yet to get though their change is over.", float64(fills.Late)))
	emit(counter("ringtail_transition_received_bytes_total", "Payload that this node received to fill copies.", fills.Received))
	emit(counter("ringtail_transition_sent_bytes_total", "Payload that this node sent to fill copies of others.", fills.Sent))
}
