package logstore

import (
	"cmp"
	"math"
	"slices"
)

const (
	// maxInputs bounds the segments that a merge takes at a time.
	maxInputs = 16
	// smallShare: a segment below 1/smallShare of the usual size is small, and
	// fewSmall of them are merged. Each start of an engine leaves one.
	smallShare = 8
	fewSmall   = 4
	// lowGarbage is the share of garbage at which a segment is merged when space
	// is short.
	lowGarbage = 0.02
	// muchGarbage is how many times as much garbage as there may be makes merges
	// take no rest; from once as much on they come nearer to MergeRate.
	muchGarbage = 1.5
	// killShare: deletions that take more than 1/killShare of all are worked off.
	killShare = 16
)

// mergeUrgency is 0 or less while there is no more garbage than there may be, and
// 1 or more when there is far too much, or space is short.
func (e *Engine) mergeUrgency() float64 {
	if e.spaceIsLow() {
		return 1
	}
	var size, live int64
	for _, s := range e.tables.now.Load().segments {
		size += s.size.Load()
		live += s.liveBytes.Load()
	}
	allowed := e.garbageAllowed(size)
	if allowed == 0 {
		return 0
	}
	return (float64(size-live)/allowed - 1) / (muchGarbage - 1)
}

// garbageAllowed returns how much garbage there may be among size bytes.
func (e *Engine) garbageAllowed(size int64) float64 {
	return max(float64(e.cfg.MergeSlack), e.cfg.MergeGarbage*float64(size))
}

// tooMuch returns how much garbage segments have beyond what there may be, and a
// quarter of that: so merges come in runs.
func (e *Engine) tooMuch(segments []*segment) float64 {
	var size int64
	var garbage float64
	for _, s := range segments {
		size += s.size.Load()
		garbage += s.garbage() * float64(s.size.Load())
	}
	allowed := e.garbageAllowed(size)
	if garbage < allowed {
		return 0
	}
	return garbage - allowed*3/4
}

func (e *Engine) spaceIsLow() bool { return e.space.Blocked() || e.space.Low(2*e.cfg.SegmentBytes) }

// pick returns the segments that are to be merged next, or none.
func (e *Engine) pick() []*segment {
	var all []*segment
	for _, s := range e.tables.now.Load().segments {
		if s.sealed.Load() && s.unwilling.Load() != s.live.Load()+1 {
			all = append(all, s)
		}
	}
	// The worst first; the order is that of the numbers among equals, so that the
	// same history makes the same merges.
	slices.SortFunc(all, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(b.garbage(), a.garbage()), cmp.Compare(a.number, b.number))
	})
	share, much := e.cfg.MergeGarbage, e.tooMuch(all)
	if e.spaceIsLow() {
		share, much = lowGarbage, math.Inf(1)
	}
	every := e.mergeAll.Load()
	picked := e.fit(all, func(s *segment) bool {
		if much > 0 && s.garbage() >= share {
			much -= s.garbage() * float64(s.size.Load())
			return true
		}
		return every && (!s.merge || s.dead() > 0)
	})
	if len(picked) == 0 {
		picked = e.fit(all, e.smallOnes(all))
	}
	if len(picked) == 0 {
		picked = e.fit(e.blockers(all), func(*segment) bool { return true })
	}
	return picked
}

// fit returns the first of all that which returns true for, as many as go into
// one segment, at least one if it goes onto the disk.
func (e *Engine) fit(all []*segment, which func(*segment) bool) (picked []*segment) {
	room := e.cfg.SegmentBytes
	if e.spaceIsLow() {
		room = min(room, int64(min(e.space.Free()/2, 1<<40)))
	}
	for _, s := range all {
		need := s.liveBytes.Load() + s.killBytes.Load()
		switch {
		case !which(s):
		case need > room && (len(picked) > 0 || e.spaceIsLow()):
		case len(picked) < maxInputs:
			picked = append(picked, s)
			room -= need
		}
	}
	return picked
}

// smallOnes returns which segments are small, if there are enough of them.
func (e *Engine) smallOnes(all []*segment) func(*segment) bool {
	small := func(s *segment) bool { return s.size.Load() < e.cfg.SegmentBytes/smallShare }
	n := 0
	for _, s := range all {
		if small(s) {
			n++
		}
	}
	if n < fewSmall {
		return func(*segment) bool { return false }
	}
	return small
}

// blockers returns the segment that keeps deletions from being let go of longest,
// or one that has some that nothing keeps, if deletions take much space.
func (e *Engine) blockers(all []*segment) []*segment {
	var size, kills int64
	var oldest, idle *segment
	for _, s := range all {
		size += s.size.Load()
		kills += s.killBytes.Load()
		if s.dead() > 0 && (oldest == nil || s.clean < oldest.clean) {
			oldest = s
		}
		if k := s.killBytes.Load(); k > size/(4*killShare) && k > 0 && !e.hides(s.newestKill.Load(), s) {
			idle = s
		}
	}
	switch {
	case kills <= size/killShare || kills < e.cfg.SegmentBytes/smallShare:
	case idle != nil:
		return []*segment{idle}
	case oldest != nil:
		return []*segment{oldest}
	}
	return nil
}

// hides tells whether a deletion in s with a number may hide something in another
// segment.
func (e *Engine) hides(seq uint64, s *segment) bool {
	if e.dropping.Load() != 0 {
		return true // what it hides is not yet counted
	}
	for _, o := range e.tables.now.Load().segments {
		if o != s && o.clean < seq && o.dead() > 0 {
			return true
		}
	}
	return false
}
