package coordinator

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// slots are the N places at the head of a key's preference list (§4.3), as one
// request fills them. Each slot belongs to an owner, and is served by it, or by a
// node that stands in for it (§4.6): the next healthy one clockwise that was not
// asked yet in this request. A node is known by its place in the preference
// list; the owners' places are their slots.
//
// The flight's mu guards it from the first message on.
type slots struct {
	ring      *ring.Ring
	partition kv.Partition
	owners    []kv.NodeID
	// loose tells that stand-ins count.
	loose bool
	// self is this node's slot, place its place: that of the slot, or, when it is
	// no owner itself, behind the owners.
	self, place int
	at          [kv.MaxReplicas]slot
	// list is the preference list as far as stand-ins were looked for, tried how
	// much of it was.
	list  []kv.NodeID
	tried int
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
}

func (s *slots) begin(p *plan, loose bool) {
	s.ring, s.partition, s.owners, s.loose = p.ring, p.partition, p.owners, loose
	s.self, s.place = p.self, p.self
	if !p.own {
		s.place = len(p.owners)
	}
	s.tried = len(p.owners)
}

func (s *slots) end() {
	clear(s.at[:len(s.owners)])
	s.ring, s.owners, s.list = nil, nil, s.list[:0]
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
	return s.list[place]
}

// nextStandIn returns the place of the next node that may stand in, if there is
// one.
func (s *slots) nextStandIn(c *Coordinator) (place int, ok bool) {
	for {
		for ; s.tried < len(s.list); s.tried++ {
			if id := s.list[s.tried]; id != c.Self && c.Peers.Up(id) {
				s.tried++
				return s.tried - 1, true
			}
		}
		if all := len(s.ring.Nodes()); len(s.list) < all {
			// Usually one stand-in is enough, and it is near.
			s.list = s.ring.PreferencePrefix(s.partition, 2*max(len(s.list), len(s.owners)), s.list[:0])
			continue
		}
		return 0, false
	}
}

// A call's tag names the slot and the place of the node that was asked.
const (
	slotBits  = 8
	placeBits = 16
	// repairTag marks a message that repairs a copy.
	repairTag = 1 << (slotBits + placeBits)
)

func tagOf(slot, place int) uint32 { return uint32(slot | place<<slotBits) }

func ofTag(tag uint32) (slot, place int) {
	return int(tag & (1<<slotBits - 1)), int(tag >> slotBits & (1<<placeBits - 1))
}
