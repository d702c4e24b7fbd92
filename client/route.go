package client

import (
	"math"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// nearFactor and nearMargin say which owners are as good as the fastest one:
	// those whose answers take no longer than nearFactor times as long, and
	// nearMargin. Among them the order of the ring decides, which spreads keys
	// evenly and has one node coordinate a key's puts.
	nearFactor = 2
	nearMargin = 200 * time.Microsecond
	// exploreEvery is how often a request goes to an owner whose turn it is,
	// whatever it was seen to take: so that one that was slow is found to be
	// fast again.
	exploreEvery = 64
)

// table is the ring as a node told of it. Immutable, but for its members.
type table struct {
	epoch       uint64
	partitioner ring.Partitioner
	partitions  int
	width       int
	members     []*member
	// up tells of each member whether the node that told finds it to answer.
	up    []bool
	addrs []string
	// owners are width places in members for each partition; moving is what is
	// said of partitions on their way to others.
	owners []uint16
	moving map[kv.Partition]wire.RingMove
}

// newTable returns the table of m. An error is of KindWrongVersion: keys are
// placed by a rule that this client does not know.
func newTable(m *wire.RingInfo, members []*member) (*table, error) {
	f, err := ring.ParsePartitioner(m.Partitioner)
	if err == nil {
		err = ring.Params{N: 1, R: 1, W: 1, Q: m.Partitions, Partitioner: f}.Validate()
	}
	if err != nil {
		return nil, kv.Wrap(kv.KindWrongVersion, "read ring", err)
	}
	t := &table{
		epoch: m.Epoch, partitioner: f, partitions: m.Partitions, width: m.Width,
		members: members, owners: m.Owners, moving: make(map[kv.Partition]wire.RingMove, len(m.Moving)),
	}
	for _, n := range m.Nodes {
		t.up, t.addrs = append(t.up, n.Up), append(t.addrs, n.Peer)
	}
	for _, v := range m.Moving {
		t.moving[v.Partition] = v
	}
	return t, nil
}

// find returns the owners of k that can coordinate a request, as places in
// members, and which of them are meant, as a set of places in that.
func (t *table) find(k kv.Key, reads bool) ([]uint16, uint32) {
	p := t.partitioner.Partition(k.User(), t.partitions)
	if len(t.moving) > 0 {
		if v, ok := t.moving[p]; ok {
			if reads {
				return v.Owners, v.Readers
			}
			return v.Owners, ^uint32(0)
		}
	}
	return t.owners[int(p)*t.width : (int(p)+1)*t.width], ^uint32(0)
}

// search looks for the owner that a request goes to.
type search struct {
	t      *table
	owners []uint16
	among  uint32
	// prefer is the node that a put prefers, 0 for none.
	prefer kv.NodeID
	tried  *tried
	// now is the time since the client's start.
	now time.Duration
	// keeper takes note of an owner that no connection leads to.
	keeper *keeper
}

// grade orders owners by health, the best first.
type grade uint8

const (
	sound   grade = iota // nothing is known against it
	doubted              // it has refused, or others do not reach it
	unfit                // it cannot be asked, or has been
)

func (s *search) grade(i int) grade {
	at := s.owners[i]
	m := s.t.members[at]
	switch {
	case s.among>>i&1 == 0 || s.tried.hasMember(m):
		return unfit
	case !m.lively():
		s.keeper.want(m)
		return unfit
	case !s.t.up[at] || m.shunned.Load() > int64(s.now):
		return doubted
	}
	return sound
}

// near returns the mean of a node up to which it is as good as the fastest one,
// whose mean is given.
func near(fastest int64) int64 {
	if fastest > math.MaxInt64/nearFactor-int64(nearMargin) {
		return math.MaxInt64
	}
	return fastest*nearFactor + int64(nearMargin)
}

// best returns a connection to the owner that is to be asked next, nil if there is
// none; turn counts the requests. When that says that it is time to explore, slow
// is the owner whose turn it is if it is not among the fast ones.
func (s *search) best(turn uint32) (l, slow *lane) {
	health, fastest, count := unfit, int64(0), 0
	for i := range s.owners {
		g := s.grade(i)
		if g == unfit || g > health {
			continue
		}
		mean := s.member(i).pace()
		if g < health {
			health, fastest, count = g, mean, 0
		}
		fastest, count = min(fastest, mean), count+1
	}
	switch {
	case health == unfit:
		return nil, nil
	case turn%exploreEvery == 0:
		l := s.nth(health, int(turn/exploreEvery)%count)
		if l != nil && l.member.pace() <= near(fastest) {
			return l, nil
		}
		slow = l
	}
	return s.near(health, near(fastest)), slow
}

// nth returns a connection to the n-th of the owners of that health.
func (s *search) nth(health grade, n int) *lane {
	for i := range s.owners {
		if s.grade(i) == health {
			if n == 0 {
				return s.member(i).lane()
			}
			n--
		}
	}
	return nil // another was lost meanwhile
}

// near returns a connection to the preferred one of the owners of that health
// whose answers take no longer than limit, or else to the first.
func (s *search) near(health grade, limit int64) *lane {
	first := -1
	for i := range s.owners {
		m := s.member(i)
		if s.grade(i) != health || m.pace() > limit {
			continue
		}
		if m.id == s.prefer {
			first = i
			break
		}
		if first < 0 {
			first = i
		}
	}
	if first < 0 {
		return nil // it was lost meanwhile
	}
	return s.member(first).lane()
}

func (s *search) member(i int) *member { return s.t.members[s.owners[i]] }

// tried is whom the attempts at one request have asked.
type tried struct {
	lanes [maxAttempts + 1]*lane // and a hedge
	n     int
}

func (t *tried) add(l *lane) {
	t.lanes[t.n] = l
	t.n++
}

func (t *tried) has(l *lane) bool {
	for _, o := range t.lanes[:t.n] {
		if o == l {
			return true
		}
	}
	return false
}

func (t *tried) hasMember(m *member) bool {
	for _, o := range t.lanes[:t.n] {
		if o.member == m {
			return true
		}
	}
	return false
}
