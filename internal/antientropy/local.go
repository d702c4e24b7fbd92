package antientropy

import (
	"math/bits"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// local is what both sides of an exchange know of their own node. Only the
// Keeper's task uses it.
type local struct {
	Deps
	cfg Config
	// repairs counts the copies that were refilled since the node started.
	repairs uint64
	// lacks tells whether the own copy of a partition lacks about everything and is
	// being filled: then it is closed to all else that would bring it data.
	lacks func(kv.Partition) bool
	// missed is told of one that differs from another owner's, and tells whether it
	// lacks about everything, though nobody knew.
	missed func(kv.Partition) bool
}

// era tells the node's ring, and whether a change of it is under way: 0 without a
// ring, and greater with each change that begins or ends.
func (l *local) era() kv.Level { return eraOf(l.Cluster.Current()) }

func eraOf(c *ring.Current) kv.Level {
	switch {
	case c == nil:
		return 0
	case c.Progress != nil:
		return c.Progress.Level(0, 1)
	}
	return kv.LevelOf(c.Ring.Epoch())
}

func (l *local) standing() standing { return standing{l.Boot(), l.era(), l.repairs} }

// vouches tells whether what a node said when its standing was then still holds,
// now that it is now.
func (l *local) vouches(then, now standing) bool {
	if l.cfg.omits(OmitBoots) {
		then.boot, then.repairs = now.boot, now.repairs
	}
	if l.cfg.omits(OmitEpochs) {
		then.era = now.era
	}
	return then == now
}

// load tells how requests of clients fare at this node.
func (l *local) load() pace.Load {
	if l.Load == nil {
		return pace.Idle
	}
	return l.Load()
}

// built tells whether the tree of p's copy can be compared.
func (l *local) built(p kv.Partition) bool {
	state, _, _ := l.Trees.Tree(p)
	return state == replica.TreeReady
}

// sound tells whether p's copy can be compared and has lost nothing; marked are
// the partitions that Damaged names. Only who exchanged with a sound copy has
// all that it should have.
func (l *local) sound(p kv.Partition, marked []kv.Partition) bool {
	_, damaged := slices.BinarySearch(marked, p)
	return !damaged && l.built(p)
}

// token is what a statement about a copy rests on: its floor at that time, and
// that it has lost nothing since.
type token struct {
	floor   vclock.Floor
	damages uint64
}

func (l *local) token(p kv.Partition) token {
	damages := l.Damage.Damages(p)
	f, _ := l.Floors.Floor(p)
	return token{f, damages}
}

// holds tells whether p's copy still has seen all that it had seen when t was
// taken. A copy that loses data loses its floor first. So whoever takes a token,
// reads data, and then asks this, knows that what was read was as complete as
// the floor says.
func (l *local) holds(p kv.Partition, t token) bool {
	f, _ := l.Floors.Floor(p)
	return f.Includes(t.floor) && l.Damage.Damages(p) == t.damages
}

// shared returns the partitions of which this node and peer both have copies that
// are kept equal, ascending.
func (l *local) shared(c *ring.Current, peer kv.NodeID) []kv.Partition {
	if c.Progress == nil {
		return slices.DeleteFunc(c.Ring.Partitions(l.Self), func(p kv.Partition) bool { return !c.Ring.Owns(p, peer) })
	}
	var out []kv.Partition
	for i := range c.Ring.Params().Q {
		if p := kv.Partition(i); c.View(p).Takes(peer) && l.keeps(c, p) && !filled(c, p, peer) && !filled(c, p, l.Self) && !l.lacks(p) {
			out = append(out, p)
		}
	}
	return out
}

// filled tells whether id is being filled in the step of p under way, as a new
// owner: what it lacks it fetches from one owner, and not from all at once.
func filled(c *ring.Current, p kv.Partition, id kv.NodeID) bool {
	k, phase := c.Progress.At(p)
	if k < 0 || phase > 1 {
		return false
	}
	s := &c.Progress.Steps(p)[k]
	return !slices.Contains(s.Old, id) && !c.Progress.Marks(c.Progress.Index(p, k)).Done(s.Place(id))
}

// shut tells whether the own copy of p takes no part in exchanges of a purpose, or
// in fills whose sources need not be sealed, because it is yet to be filled.
func (l *local) shut(p kv.Partition, why purpose, anyLevel bool) bool {
	return (why != forRefill && why != forFill || anyLevel) && l.lacks(p)
}

// bereft is shut for a partition of which the other owner's copy is another.
func (l *local) bereft(p kv.Partition, why purpose) bool {
	return l.shut(p, why, false) || (why == forCycle || why == forSweep) && l.missed(p)
}

// keeps tells whether this node's copy of p is one that is kept equal with
// others: it is an owner, and not about to give its copy away.
func (l *local) keeps(c *ring.Current, p kv.Partition) bool {
	return c.View(p).Takes(l.Self) && !l.former(c, p)
}

// former tells whether this node is a former owner of p: it was one before the
// step under way, is none after it, and answers no gets of before. Its copy is
// given to the others and dropped, and nothing may be taken from it.
func (l *local) former(c *ring.Current, p kv.Partition) bool {
	if c.Progress == nil {
		return false
	}
	k, _ := c.Progress.At(p)
	if k < 0 {
		return false
	}
	s := &c.Progress.Steps(p)[k]
	if !slices.Contains(s.Old, l.Self) || slices.Contains(s.New, l.Self) {
		return false
	}
	_, gets := l.Stages.Stage(p)
	return gets >= c.Progress.Level(k, 2)
}

// leftOver tells whether this node's copy of p, if it has one, belongs elsewhere.
func (l *local) leftOver(c *ring.Current, p kv.Partition) bool {
	switch {
	case slices.Contains(c.View(p).Owners, l.Self):
		return l.former(c, p)
	case c.Progress != nil:
		// What it will own in a later step it need not drop before.
		return !c.Progress.To().Owns(p, l.Self)
	}
	return true
}

// sum returns one hash of the root and the floor of p: copies of equal sums need
// nothing from each other.
func (l *local) sum(p kv.Partition) uint64 {
	_, root, _ := l.Trees.Tree(p)
	_, version := l.Floors.Floor(p)
	return root ^ mix(version)
}

// sums returns the sum of each of parts.
func (l *local) sums(parts []kv.Partition) []uint64 {
	sums := make([]uint64, len(parts))
	for i, p := range parts {
		sums[i] = l.sum(p)
	}
	return sums
}

// hashOf returns a hash of the list of sums.
func hashOf(sums []uint64) uint64 {
	h := uint64(len(sums)) + 1
	for _, s := range sums {
		h = mix(bits.RotateLeft64(h, 23) ^ s)
	}
	return h
}

// mix spreads the bits of x (the finalizer of splitmix64); mix(0) is 0.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
