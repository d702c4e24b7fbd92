package antientropy

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// filling is how far this node's copy of a partition is in one step: it has to
// have all that some owners had, as they were after they had sealed.
type filling struct {
	mv *moving
	// k is the step's number, late for none; step is who may be a source, and how
	// many it takes.
	k    int
	step *ring.Step
	// level is that at which its sources must be sealed, 0 for any.
	level kv.Level
	// losses is how often the copy had lost data when sources were counted.
	losses uint64
	// sources are the owners that it has all of, beside itself and lost ones.
	sources []kv.NodeID
	// gains tells that the node has had no part in the partition before.
	gains bool
	// short tells that the copy lacks about all that it should have.
	short bool
	// done tells that it has enough of them, durably.
	done bool
	// busy tells that it is part of an exchange.
	busy bool
	// shut are the owners that could not be a source when they were asked; behind
	// counts how often in a row one knew nothing of the step.
	shut   []shutSource
	behind int
}

// shutSource is asked again at a time; pause is how long that was put off.
type shutSource struct {
	id    kv.NodeID
	until time.Time
	pause time.Duration
}

func cmpID(a, b kv.NodeID) int { return cmp.Compare(a, b) }

// open returns the fill of step k, as far as it got in an earlier process.
func (m *mover) open(mv *moving, k int) *filling {
	f := &filling{
		mv: mv, k: k, step: &mv.steps[k], level: m.cur.Progress.Level(k, 1),
		gains: !slices.Contains(mv.steps[k].Old, m.k.Self),
	}
	was := m.k.Stages.Fill(mv.p)
	f.losses, f.short = was.Losses, f.gains || was.Level != f.level && unfilled(was)
	if was.Level == f.level {
		f.sources, f.done = was.Sources, was.Done
	}
	return f
}

// fillOf returns what is to be made durable of a fill.
func (m *mover) fillOf(f *filling) replica.Fill {
	out := replica.Fill{Level: f.level, Sources: f.sources, Done: m.enough(f), Losses: f.losses}
	if f.k == late {
		out.Level = kv.LevelOf(m.cur.Ring.Epoch())
		return out
	}
	if out.Done && !f.gains && !slices.Contains(f.sources, m.k.Self) {
		out.Sources = append(slices.Clip(f.sources), m.k.Self)
	}
	return out
}

// enough tells whether a copy has met as many of the owners as it has to. Itself
// is one once it is sealed. A node that is lost for good is none: what it alone had
// of an acknowledged write, another one has as well, and that one has to be met.
func (m *mover) enough(f *filling) bool {
	s, n := f.step, 0
	for _, id := range s.Old {
		switch {
		case slices.Contains(f.sources, id):
			n++
		case id == m.k.Self:
			if puts, _ := m.k.Stages.Stage(f.mv.p); puts >= f.level {
				n++
			}
		}
	}
	if m.k.cfg.omits(OmitSources) {
		return n >= 1
	}
	return n >= s.Sources
}

func (m *mover) lost(id kv.NodeID) bool {
	if m.cur.Progress == nil {
		return false
	}
	_, found := slices.BinarySearch(m.cur.Progress.Lost(), id)
	return found
}

// source returns the owner that a copy is filled from next, 0 for none at present,
// and when there may be one: first the one that leaves, which has nothing else to
// do, else all of them in turn. One that could not be a source when it was asked
// comes after those that were not asked since.
func (m *mover) source(f *filling, now time.Time) (best kv.NodeID, next time.Time) {
	s := f.step
	var asked time.Time
	consider := func(id kv.NodeID) {
		if id == m.k.Self || slices.Contains(f.sources, id) || m.lost(id) || !m.k.Peers.Up(id) {
			return
		}
		var until time.Time
		if i := slices.IndexFunc(f.shut, func(c shutSource) bool { return c.id == id }); i >= 0 {
			until = f.shut[i].until
		}
		switch {
		case now.Before(until):
			if next.IsZero() || until.Before(next) {
				next = until
			}
		case best == 0 || until.Before(asked):
			best, asked = id, until
		}
	}
	for _, id := range s.Old {
		if !slices.Contains(s.New, id) {
			consider(id)
		}
	}
	for i := range s.Old {
		consider(s.Old[(int(f.mv.p)+i)%len(s.Old)])
	}
	return best, next
}

// jobSize is how many partitions one exchange fills: few where there is much to
// fetch, so that each is done soon, and little is fetched again after a crash; many
// where there is nothing to fetch.
type jobSize int

const (
	maxJob = 256
	// jobBytes is what an exchange should come to.
	jobBytes = 1 << 20
)

func (s jobSize) get() int { return max(int(s), 1) }

func (s *jobSize) learn(bytes int) {
	switch {
	case bytes < jobBytes/4:
		*s = jobSize(min(2*s.get(), maxJob))
	case bytes > jobBytes:
		*s = jobSize(max(s.get()/2, 1))
	}
}

// wanted returns the partitions that are to be filled from a peer next, and the
// levels at which they must be sealed there.
func (m *mover) wanted(p *peer, now time.Time) ([]kv.Partition, []kv.Level) {
	if p.fills.version == m.version && now.Before(p.fills.next) {
		return nil, nil
	}
	next := now.Add(m.k.cfg.Retry) // by then another node may be up
	var job []*filling
	for _, f := range m.fills {
		if f.busy || len(job) > 0 && (f.first() != job[0].first() || f.mv.p == job[len(job)-1].mv.p) {
			continue
		}
		id, at := m.source(f, now)
		if id == p.id && m.k.built(f.mv.p) {
			job = append(job, f)
		}
		if !at.IsZero() && at.Before(next) {
			next = at
		}
		if len(job) > 0 && len(job) >= p.fills.size(job[0]).get() {
			break
		}
	}
	p.fills.version, p.fills.next = m.version, next
	if len(job) == 0 {
		return nil, nil
	}
	m.version++
	var parts []kv.Partition
	var levels []kv.Level
	for _, f := range job {
		f.busy = true
		parts, levels = append(parts, f.mv.p), append(levels, f.level)
	}
	return parts, levels
}

// first tells whether everything is to be fetched: later sources only have to
// confirm, and so have those of a copy that was there before.
func (f *filling) first() bool { return f.short && len(f.sources) == 0 }

// peerFills is what is known of a peer as a source.
type peerFills struct {
	// There is nothing to be had until next, unless fills are at another version.
	version uint64
	next    time.Time
	// fetch and confirm are the sizes of the jobs that are first, and of others.
	fetch, confirm jobSize
}

func (s *peerFills) size(f *filling) *jobSize {
	if f.first() {
		return &s.fetch
	}
	return &s.confirm
}

// exchanged takes the outcome of a fill.
func (m *mover) exchanged(p *peer, x *exchange) {
	now := m.k.Now()
	if m.cur != m.k.Cluster.Current() {
		m.look(now)
	}
	fills := map[kv.Partition]replica.Fill{}
	sized := false
	for i := range x.copies {
		pair := &x.copies[i]
		f := m.find(pair.p, x.levels[i])
		if f == nil {
			continue
		}
		if !sized && x.err == nil {
			p.fills.size(f).learn(x.tally.Bytes)
			sized = true
		}
		f.busy = false
		switch {
		case kv.KindOf(x.err) == kv.KindStaleRing && f.behind < maxBehind:
			f.behind++ // it learns of the step any moment, and is asked again
		case !pair.complete:
			f.behind = 0
			f.putOff(x.peer, now, m.k.cfg.Retry)
		case x.era == m.k.era() && m.k.Stages.Fill(pair.p).Losses == f.losses && !slices.Contains(f.sources, x.peer):
			f.sources = append(slices.Clip(f.sources), x.peer)
			f.mv.again = true
			if f.k == late && m.cur.Progress != nil {
				f.done = true // what is durable of it belongs to the step that is over
			} else {
				fills[pair.p] = m.fillOf(f)
			}
		}
	}
	if err := m.settle(fills); err != nil {
		m.failed(now)
	}
	m.look(now)
}

// find returns the fill of a partition at a level, nil if it is not under way.
func (m *mover) find(p kv.Partition, level kv.Level) *filling {
	i, found := slices.BinarySearchFunc(m.parts, p, comparePart)
	if !found {
		return nil
	}
	for _, f := range m.parts[i].fills {
		if f.level == level {
			return f
		}
	}
	return nil
}

// minPause is how soon an owner is asked again that was no source yet: it learns
// of the step any moment.
const minPause = 50 * time.Millisecond

// maxBehind is how often an owner that knows nothing of the step is asked again at
// once, after minPause: then others are, for it may be that its disk is full, and
// that it does not learn before that is mended.
const maxBehind = 10

// putOff has an owner asked again later.
func (f *filling) putOff(id kv.NodeID, now time.Time, longest time.Duration) {
	i := slices.IndexFunc(f.shut, func(c shutSource) bool { return c.id == id })
	if i < 0 {
		i = len(f.shut)
		f.shut = append(f.shut, shutSource{id: id})
	}
	c := &f.shut[i]
	c.pause = min(max(2*c.pause, minPause), longest)
	c.until = now.Add(c.pause)
}
