package membership

import (
	"context"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// course is where this node believes the ring to be, and which way it goes.
type course struct {
	ring.Current
	// way tells transitions apart; zero without one.
	way way
}

// way names a change of the ring: marks of one way mean the same everywhere. Its
// amendments go the same way.
type way struct {
	epoch uint64
	to    hash
}

// wayOf returns the way of a transition.
func wayOf(t *Transition) way { return way{epoch: t.Epoch, to: hashOf(t.To.AppendTo(nil))} }

// Current returns the settled ring and the progress of the transition from it,
// nil before the node has a ring. It is a load, and allocates nothing.
func (s *Service) Current() *ring.Current {
	if c := s.course.Load(); c != nil {
		return &c.Current
	}
	return nil
}

// steer makes the state's ring and transition the current ones, and says whether
// anything has changed. Only publish calls it. Marks that are known stay known
// when an amendment follows.
func (s *Service) steer(st *State) bool {
	was := s.course.Load()
	next, err := plotCourse(was, st)
	if err != nil {
		// The members have chosen what this release cannot carry out.
		s.log.Error("the change of the ring makes no sense here; this node takes no part in it", "error", err)
	}
	if next == was {
		return false
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	if was != nil && was.way == next.way && next.Progress != nil {
		// What Progress appends, Join reads.
		_, _ = next.Progress.Join(was.Progress.AppendTo(nil))
	} else {
		clear(s.marks.fresh) // they are of another transition's steps
	}
	s.course.Store(next)
	return true
}

// plotCourse returns the course that st tells of: was, if that is the one.
func plotCourse(was *course, st *State) (*course, error) {
	if st.ring == nil {
		return was, nil
	}
	next := &course{Current: ring.Current{Ring: st.ring}}
	same := was != nil && was.Ring == st.ring
	t := st.transition
	if t == nil || t.Epoch != st.ring.Epoch()+1 {
		if same && was.Progress == nil {
			return was, nil
		}
		return next, nil
	}
	next.way = wayOf(t)
	if same && was.way == next.way && slices.Equal(was.Progress.Lost(), t.Lost) {
		return was, nil
	}
	way, err := ring.NewTransition(st.ring, t.To, t.Lost)
	if err != nil {
		next.way.epoch = 0
		return &course{Current: next.Current}, err
	}
	next.Progress = ring.NewProgress(way)
	return next, nil
}

// moved is told that marks have grown, or that there is another Current.
func (s *Service) moved() {
	c := s.course.Load()
	if c != nil && c.Progress != nil && c.Progress.Over() {
		select {
		case s.over <- struct{}{}:
		default:
		}
	}
	if f := s.deps.Hooks.Moved; f != nil {
		f()
	}
}

// settle ends transitions that are over, until ctx is done. Every node does so
// by itself, with the same result.
func (s *Service) settle(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.over:
		}
		c := s.course.Load()
		before, after, err := s.update(ctx, func(st *State) (*State, error) { return st.Settle(c.Progress), nil })
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Error("the new ring is not stored; trying again", "error", err)
			if pause(ctx, keepRetry) {
				s.moved()
			}
		case err == nil && s.marks.last.CompareAndSwap(true, false):
			// Who has set the last mark tells the others; they may not have it.
			s.spread(ctx, before, after)
		}
	}
}

// Left has this node say that it holds nothing any more, after it left the ring:
// the others let go of it, and it never comes back. When Left returns the node
// should end. It is an error of KindRefused unless the node has left the ring.
func (s *Service) Left(ctx context.Context) error {
	s.leaving.Store(true)
	err := s.change(ctx, func(st *State) (*State, error) {
		if !st.Gone(s.ID()) {
			return nil, kv.Errorf(kv.KindRefused, "leave the cluster", "this node has not left the ring")
		}
		return decide(st, s.ID(), s.ID(), StatusRemoved), nil
	})
	s.leaving.Store(err == nil)
	return err
}

// Gone says whether a node has left the ring and has yet to say that it holds
// nothing any more.
func (s *State) Gone(id kv.NodeID) bool {
	m, _ := s.Member(id)
	return s.ring != nil && m.Status == StatusLeaving && !s.ring.Contains(id) && !s.Latest().Contains(id)
}
