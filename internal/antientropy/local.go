package antientropy

import (
	"math/bits"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
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
}

// epoch returns that of the node's ring, 0 without one.
func (l *local) epoch() uint64 {
	if r := l.Cluster.Ring(); r != nil {
		return r.Epoch()
	}
	return 0
}

func (l *local) standing() standing { return standing{l.Boot(), l.epoch(), l.repairs} }

// vouches tells whether what a node said when its standing was then still holds,
// now that it is now.
func (l *local) vouches(then, now standing) bool {
	if l.cfg.omits(OmitBoots) {
		then.boot, then.repairs = now.boot, now.repairs
	}
	if l.cfg.omits(OmitEpochs) {
		then.epoch = now.epoch
	}
	return then == now
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

// shared returns the partitions that this node and peer own in r, ascending.
func (l *local) shared(r *ring.Ring, peer kv.NodeID) []kv.Partition {
	return slices.DeleteFunc(r.Partitions(l.Self), func(p kv.Partition) bool { return !r.Owns(p, peer) })
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
