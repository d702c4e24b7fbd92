package membership

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// markBook holds own marks between Mark and the moment at which this node uses and
// tells them.
type markBook struct {
	// mu guards the course's marks against its replacement, and fresh: the marks of
	// steps of that course. It is not held while anything is sent.
	mu    sync.Mutex
	fresh map[int]ring.Marks
	wake  chan struct{}
	// last says that an own mark was the last one of the transition.
	last atomic.Bool
}

// Mark tells everybody what this node has to say of steps of a transition, this
// node included, and at the same moment: a node that knew them before the others
// would refuse their requests, and wait with its own. It is durable here already,
// and true for ever; after a restart the caller tells it again. Marks of a
// transition that is over are left out. It does not wait.
func (s *Service) Mark(of *ring.Progress, marks []ring.Mark) error {
	if s.note(of, marks) {
		select {
		case s.marks.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// note keeps own marks of the current transition, and says whether any was news.
func (s *Service) note(of *ring.Progress, marks []ring.Mark) (news bool) {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	c := s.course.Load()
	if c == nil || c.Progress == nil || c.Progress != of && !leadsTo(of.Transition, c.Progress.To()) {
		return false
	}
	for _, m := range marks {
		if m.Step < 0 || m.Step >= c.Progress.Len() || m.Marks&^(c.Progress.Marks(m.Step)|s.marks.fresh[m.Step]) == 0 {
			continue
		}
		if s.marks.fresh == nil {
			s.marks.fresh = make(map[int]ring.Marks)
		}
		s.marks.fresh[m.Step] |= m.Marks
		news = true
	}
	return news
}

// use adds the noted marks to the course, and returns them, ascending by step.
func (b *markBook) use(course *atomic.Pointer[course]) ([]ring.Mark, *course) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := course.Load()
	var fresh []ring.Mark
	for _, step := range slices.Sorted(maps.Keys(b.fresh)) {
		if m := b.fresh[step]; c.Progress.Add(step, m) {
			fresh = append(fresh, ring.Mark{Step: step, Marks: m})
		}
	}
	clear(b.fresh)
	return fresh, c
}

// tellMarks uses own marks and sends them to those whom they concern, until ctx is
// done. Who does not get them, and everybody else, has them by exchanges.
func (s *Service) tellMarks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.marks.wake:
		}
		if !pause(ctx, marksPause) {
			return
		}
		fresh, c := s.marks.use(&s.course)
		if len(fresh) == 0 {
			continue
		}
		if c.Progress.Over() {
			s.marks.last.Store(true)
		}
		s.moved()
		for id, marks := range concerned(c.Progress, fresh, s.ID()) {
			if m, _ := s.State().Member(id); m.Speaks < ChangesNeed {
				continue // an older release ends the connection
			}
			s.send(ctx, id, wire.TypeMarks, &markMessage{way: c.way, marks: appendMarks(nil, marks)})
		}
	}
}

// marksPause is how long own marks are collected before they are used and told, so
// that many go in one message.
const marksPause = 5 * time.Millisecond

// maxTold is up to how many nodes all are told each mark; in larger clusters
// only the owners of its partition are.
const maxTold = 16

// concerned returns what to tell whom.
func concerned(p *ring.Progress, fresh []ring.Mark, self kv.NodeID) map[kv.NodeID][]ring.Mark {
	out := make(map[kv.NodeID][]ring.Mark)
	nodes := make(map[kv.NodeID]bool)
	for _, r := range []*ring.Ring{p.From(), p.To()} {
		for _, n := range r.Nodes() {
			nodes[n.ID] = n.ID != self
		}
	}
	if len(nodes) > maxTold {
		for _, m := range fresh {
			for _, id := range ownersAt(p.Transition, m.Step) {
				if id != self {
					out[id] = append(out[id], m)
				}
			}
		}
		return out
	}
	for id, other := range nodes {
		if other {
			out[id] = fresh
		}
	}
	return out
}

// ownersAt returns those who take part in step i of all steps.
func ownersAt(t *ring.Transition, i int) []kv.NodeID {
	p := kv.Partition(sort.Search(t.From().Params().Q, func(p int) bool { return t.Index(kv.Partition(p+1), 0) > i }))
	return t.Steps(p)[i-t.Index(p, 0)].Union
}

// send sends a request whose answer does not matter.
func (s *Service) send(ctx context.Context, to kv.NodeID, t wire.Type, m wire.Appender) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	s.deps.Peers.Call(to, s.describe(ctx, t), m, unheard{}, 0)
}

// unheard is the Completion of requests whose answer does not matter.
type unheard struct{}

// Complete implements wire.Completion.
func (unheard) Complete(uint32, wire.Response, error) {}

// appendMarks appends marks that are ascending by step: of each the distance
// from the one before, and the two halves of the marks, as varints.
func appendMarks(b []byte, marks []ring.Mark) []byte {
	last := -1
	for i := 0; i < len(marks); {
		at, all := marks[i].Step, ring.Marks(0)
		for ; i < len(marks) && marks[i].Step == at; i++ {
			all |= marks[i].Marks
		}
		b = binary.AppendUvarint(b, uint64(at-last))
		b = binary.AppendUvarint(b, uint64(uint32(all)))
		b = binary.AppendUvarint(b, uint64(all>>32))
		last = at
	}
	return b
}

// addMarks adds to p what appendMarks wrote, from hostile bytes, and says whether
// any was news.
func addMarks(p *ring.Progress, b []byte) (news bool, err error) {
	for at := -1; len(b) > 0; {
		var field [3]uint64
		for i := range field {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return news, kv.Errorf(kv.KindInvalid, "read marks", "cut behind step %d", at)
			}
			field[i], b = v, b[n:]
		}
		if field[0] == 0 || field[0] > uint64(p.Len()-1-at) || field[1] > math.MaxUint32 || field[2] > math.MaxUint32 {
			return news, kv.Errorf(kv.KindInvalid, "read marks", "malformed behind step %d of %d", at, p.Len())
		}
		at += int(field[0])
		news = p.Add(at, ring.Marks(field[1]|field[2]<<32)) || news
	}
	return news, nil
}

// markMessage is the payload of a TypeMarks request.
type markMessage struct {
	way   way
	marks []byte
}

// marksVersion opens every markMessage.
const marksVersion = 1

// Size implements wire.Appender.
func (m *markMessage) Size() int { return 1 + 8 + len(hash{}) + len(m.marks) }

// AppendTo implements wire.Appender.
func (m *markMessage) AppendTo(b []byte) []byte {
	b = append(b, marksVersion)
	b = m.way.append(b)
	return append(b, m.marks...)
}

func (w way) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, w.epoch)
	return append(b, w.to[:]...)
}

func (c *cursor) way() (w way) {
	w.epoch = c.U64()
	copy(w.to[:], c.Take(len(w.to)))
	return w
}

// parseMarks reads what AppendTo wrote; the marks are a part of b.
func parseMarks(b []byte) (*markMessage, error) {
	c := cursor{parse.Reader{Rest: b}}
	if v := c.U8(); !c.Bad && v != marksVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, "read marks", "version %d, this release reads %d", v, marksVersion)
	}
	m := &markMessage{way: c.way()}
	if c.Bad {
		return nil, kv.Errorf(kv.KindInvalid, "read marks", "%d bytes are malformed", len(b))
	}
	m.marks = c.Rest
	return m, nil
}

// serveMarks answers a TypeMarks request. It does not wait.
func (s *Service) serveMarks(req wire.Request) {
	m, err := parseMarks(req.Payload)
	if err == nil {
		err = s.learn(req.From, m.way, m.marks, addMarks)
	}
	if err != nil {
		req.Reply.Fail(err)
		return
	}
	req.Reply.Send(wire.Raw(nil))
}

// learn adds marks of another node. If they are of a transition that this node
// has not heard of, it asks.
func (s *Service) learn(from kv.NodeID, of way, marks []byte, add func(*ring.Progress, []byte) (bool, error)) error {
	s.marks.mu.Lock()
	c, news, err := s.course.Load(), false, error(nil)
	known := c != nil && c.Progress != nil && c.way == of
	if known {
		news, err = add(c.Progress, marks)
	}
	s.marks.mu.Unlock()
	if news {
		s.moved()
	}
	if !known && of.epoch > s.State().Epoch() {
		s.Refresh(from)
	}
	return err
}

// marksSummary returns which marks this node has, in a few bytes.
func (c *course) summary() (w way, sum hash) {
	if c == nil || c.Progress == nil {
		return way{}, hash{}
	}
	return c.way, hashOf(c.Progress.AppendTo(nil))
}

// marksEvery bounds the pause between two exchanges while the ring changes: it
// is how those whom nobody tells of marks come to know them.
const marksEvery = 500 * time.Millisecond
