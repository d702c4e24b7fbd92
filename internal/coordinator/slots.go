package coordinator

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// maxSlots bounds a request's slots: while the ring changes one more node than
// N takes part.
const maxSlots = kv.MaxReplicas + 1

// slots are the owners of a key that take part in a request, as it fills them:
// the N at the head of its preference list (§4.3), and while the ring changes
// those of a ring.View. Each is served by its owner, or by a node that stands in
// for it (§4.6): the next healthy one clockwise that was not asked yet in this
// request. A node is known by its place: the owners' places are their slots, those
// of the preference list follow.
//
// The flight's mu guards it from the first message on.
type slots struct {
	cur       *ring.Current
	partition kv.Partition
	owners    []kv.NodeID
	// spare are those first asked to stand in, owners among them (standIns).
	spare []kv.NodeID
	// loose tells that stand-ins count.
	loose bool
	// since is when the owners were asked.
	since time.Time
	// self is this node's slot, place its place: that of the slot, or, when it is
	// no owner itself, behind the owners.
	self, place int
	at          [maxSlots]slot
	// list is the preference list as far as stand-ins were looked for, tried how
	// much of it was, and used are those that were asked.
	list, used []kv.NodeID
	tried      int
}

// slot is how far one slot is.
type slot struct {
	// out is how many of those asked have not said their last word.
	out int32
	// heard tells that somebody has answered, if only for the time being, served
	// that somebody has said a last word that was not an error.
	heard, served bool
	// fresh tells that somebody was asked after the flight was last found slow.
	fresh bool
	// reserve tells that the owner was not asked yet, hedge that it was asked
	// because others took too long.
	reserve, hedge bool
	// late is set while the owner owes an answer that took too long.
	late *peerNotes
	// stand is who was last asked to stand in, if anybody was. Asked is when that
	// was, or when the owner was, if later than the others.
	stand kv.NodeID
	asked time.Time
	// by is who has served it, the owner if it did; a put's only.
	by kv.NodeID
}

func (s *slots) begin(p *plan, loose bool, start time.Time) {
	s.cur, s.partition, s.owners, s.loose, s.since = p.cur, p.partition, p.owners, loose, start
	if p.view.New != nil {
		s.spare = p.view.Owners
	}
	s.self, s.place = p.self, p.self
	if !p.own {
		s.place = elsewhere
	}
}

// asksNow notes that what the node itself does is done, and that the owners are
// asked now. The caller holds mu.
func (s *slots) asksNow(f *flight, t *timing) {
	took := f.took()
	t.local = max(took, 1)
	s.since = f.start.Add(took)
}

func (s *slots) end() {
	clear(s.at[:len(s.owners)])
	s.cur, s.owners, s.spare, s.list, s.used, s.tried = nil, nil, nil, s.list[:0], s.used[:0], 0
}

// isOwner tells whether the node at place is an owner.
func (s *slots) isOwner(place int) bool { return place < len(s.owners) }

// counts tells whether what the node at place says counts.
func (s *slots) counts(place int) bool { return s.loose || s.isOwner(place) }

// node returns the node at place, which is an owner's or that of a stand-in that
// was found.
func (s *slots) node(place int) kv.NodeID {
	if s.isOwner(place) {
		return s.owners[place]
	}
	return s.list[place-len(s.owners)]
}

// ask returns the place of the next node that may stand in, which is now asked to
// in slot i, if there is one.
func (s *slots) ask(c *Coordinator, i int) (place int, ok bool) {
	if place, ok = s.nextStandIn(c); ok {
		at := &s.at[i]
		at.out++
		at.fresh, at.stand, at.asked = true, s.node(place), c.Now()
	}
	return place, ok
}

// nextStandIn returns the place of the next node that may stand in, if there is
// one.
func (s *slots) nextStandIn(c *Coordinator) (place int, ok bool) {
	latest := s.cur.Latest()
	for {
		for ; s.tried < len(s.list); s.tried++ {
			id := s.list[s.tried]
			if id == c.Self || slices.Contains(s.owners, id) || slices.Contains(s.used, id) || !c.Peers.Up(id) {
				continue
			}
			s.used = append(s.used, id)
			s.tried++
			return len(s.owners) + s.tried - 1, true
		}
		if len(s.list) == len(s.spare)+len(latest.Nodes()) {
			return 0, false
		}
		// Usually one stand-in is enough, and it is near.
		near := 2 * max(len(s.list)-len(s.spare), len(s.owners))
		s.list = latest.PreferencePrefix(s.partition, near, append(s.list[:0], s.spare...))
	}
}

// A call's tag names the slot and the place of the node that was asked, and of a
// put which of its attempts asked it.
const (
	slotBits  = 5
	placeBits = 13
	// repairTag marks a message that repairs a copy.
	repairTag  = 1 << (slotBits + placeBits)
	attemptBit = slotBits + placeBits + 1
	// maxAttempts bounds the attempts of a put.
	maxAttempts = 1<<(32-attemptBit) - 1

	// elsewhere is a place of no list: that of a node that is no owner.
	elsewhere = 1<<placeBits - 1
)

// Every slot and every place has a number in a tag.
const (
	_ = uint(1<<slotBits - maxSlots)
	_ = uint(elsewhere - 2*maxSlots - kv.MaxMembers)
)

func tagOf(slot, place int) uint32 { return uint32(slot | place<<slotBits) }

func ofTag(tag uint32) (slot, place int) {
	return int(tag & (1<<slotBits - 1)), int(tag >> slotBits & (1<<placeBits - 1))
}
