package membership

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Action is what an operator stages for a node. Numbers travel between nodes:
// append only.
type Action uint8

const (
	// NoAction: nothing is staged.
	NoAction Action = iota
	// Join brings a node into the ring.
	Join
	// Leave takes a node out that can still give what it has.
	Leave
	// Remove takes a node out that is dead for good.
	Remove
	// Replace gives a node's places to another, which is not in the ring yet.
	Replace
	// Weight changes a node's weight.
	Weight

	numActions
)

var actionNames = [numActions]string{"none", "join", "leave", "remove", "replace", "weight"}

// String returns the action as it stands in commands and answers.
func (a Action) String() string {
	if a < numActions {
		return actionNames[a]
	}
	return "unknown"
}

// MarshalText lets an action stand as a JSON string.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Change is one thing that an operator wants changed, in names. A name stands
// for the node that is, or for By is not, in the ring; where two have it their
// ids stand for them.
type Change struct {
	Action Action
	Node   string
	// By is the node that replaces Node; empty for the one of the same name.
	By     string
	Weight uint32
}

// Staged is what is staged for one node: a register that operators write, at any
// node. The greatest (Version, Author, …) wins. A join is staged by
// Decision.Status, as in releases that knew nothing else.
type Staged struct {
	Action Action
	// By is the node that replaces it, Weight its weight to be; zero where the
	// action needs none.
	By     kv.NodeID
	Weight uint32
	// Gone says that the node was down when this was staged: it is taken for
	// dead, and once the change is over it is removed at once. A node that was
	// up is let go when it holds nothing any more.
	Gone    bool
	Version uint64
	Author  kv.NodeID
}

func (s Staged) compare(o Staged) int {
	gone := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(s.Version, o.Version), cmp.Compare(s.Author, o.Author), cmp.Compare(s.Action, o.Action),
		cmp.Compare(s.By, o.By), cmp.Compare(s.Weight, o.Weight), cmp.Compare(gone(s.Gone), gone(o.Gone)),
	)
}

// Order is what is to be done, or being done, to one node.
type Order struct {
	Node kv.NodeID
	Staged
}

// same says whether two orders do the same.
func (o Order) same(p Order) bool {
	return o.Node == p.Node && o.Action == p.Action && o.By == p.By && o.Weight == p.Weight
}

// describe says an order in the words of the command that stages it.
func (s *State) describe(o Order) string {
	switch o.Action {
	case Replace:
		return fmt.Sprintf("replace %s %s", s.nameOf(o.Node), s.nameOf(o.By))
	case Weight:
		return fmt.Sprintf("weight %s %d", s.nameOf(o.Node), o.Weight)
	}
	return o.Action.String() + " " + s.nameOf(o.Node)
}

func mergeStaged(a, b map[kv.NodeID]Staged) map[kv.NodeID]Staged {
	out := maps.Clone(a)
	if out == nil {
		out = make(map[kv.NodeID]Staged, len(b))
	}
	for id, theirs := range b {
		if out[id].compare(theirs) < 0 {
			out[id] = theirs
		}
	}
	return out
}

func cmpID(a, b kv.NodeID) int { return cmp.Compare(a, b) }

// orderSize is the size of an encoded order, in bytes.
const orderSize = 8 + 1 + 8 + 4 + 1 + 8 + 8

func appendOrders(b []byte, orders []Order) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(orders)))
	for _, o := range orders {
		b = binary.BigEndian.AppendUint64(b, uint64(o.Node))
		b = append(b, byte(o.Action))
		b = binary.BigEndian.AppendUint64(b, uint64(o.By))
		b = binary.BigEndian.AppendUint32(b, o.Weight)
		b = appendBool(b, o.Gone)
		b = binary.BigEndian.AppendUint64(b, o.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(o.Author))
	}
	return b
}

// orders takes orders that are strictly ascending by node.
func (c *cursor) orders() []Order {
	out := make([]Order, c.Count(maxStateMembers, orderSize))
	for i := range out {
		o := &out[i]
		o.Node = kv.NodeID(c.U64())
		o.Action, o.By, o.Weight, o.Gone = Action(c.U8()), kv.NodeID(c.U64()), c.U32(), c.Flag()
		o.Version, o.Author = c.U64(), kv.NodeID(c.U64())
		c.Need(o.Node != 0 && (i == 0 || o.Node > out[i-1].Node))
		c.Need(o.Action < numActions && o.Weight <= ring.MaxWeight)
	}
	return out
}

// registers returns what is staged, or was, ascending by node.
func (s *State) registers() []Order {
	out := make([]Order, 0, len(s.staged))
	for _, id := range slices.Sorted(maps.Keys(s.staged)) {
		out = append(out, Order{Node: id, Staged: s.staged[id]})
	}
	return out
}
