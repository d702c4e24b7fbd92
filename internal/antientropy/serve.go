package antientropy

import (
	"math/bits"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// question is a request of an exchange, at the node that answers it. Nothing of
// it is kept, so requests may come twice, late, or never.
type question struct {
	*local
	from kv.NodeID
	cur  *ring.Current
	why  purpose
}

// serveExchange answers a request of an exchange.
func (l *local) serveExchange(from kv.NodeID, payload []byte) ([]byte, error) {
	r := reader{Reader: parse.Reader{Rest: payload}}
	k, h := r.ask()
	c, err := l.sameEra(from, h.era)
	if err != nil {
		return nil, err
	}
	q := question{l, from, c, h.why}
	switch k {
	case kindRoots:
		return q.roots(parseRootsAsk(r, h))
	case kindBranches:
		return q.branches(parseBranchesAsk(r, h))
	case kindKeys:
		return q.keys(parseKeysAsk(r, h))
	case kindObjects:
		return q.objects(parseObjectsAsk(r, h))
	case kindAdopt:
		return q.adopt(parseAdoptAsk(r, h))
	}
	return nil, kv.Errorf(kv.KindInvalid, "serve exchange", "unknown request %d", k)
}

// sameEra returns where the node believes the ring to be, or an error if the asker
// believes something else.
func (l *local) sameEra(from kv.NodeID, era kv.Level) (*ring.Current, error) {
	c := l.Cluster.Current()
	if c == nil {
		return nil, errNoRing
	}
	if own := eraOf(c); own != era {
		if own < era {
			l.Cluster.Refresh(from)
		}
		return nil, kv.Errorf(kv.KindStaleRing, "serve exchange", "this node's ring is at %v, the request's at %v", own, era)
	}
	return c, nil
}

// owned tells whether p is a partition, and this node's. It is asked for each
// request anew: the copy may have been dropped since the one before.
func (q *question) owned(p kv.Partition) bool {
	return int(p) < q.cur.Ring.Params().Q && q.keeps(q.cur, p)
}

func (q *question) roots(m rootsAsk, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	parts := m.parts
	if parts == nil {
		parts = q.shared(q.cur, q.from)
	}
	for _, p := range parts {
		if int(p) >= q.cur.Ring.Params().Q {
			return nil, kv.Errorf(kv.KindInvalid, "serve exchange", "there is no partition %d", p)
		}
	}
	out := rootsAnswer{standing: q.standing()}
	// Asked first: a copy is compared as it is after it was sealed.
	open := make([]bool, len(parts))
	for i, p := range parts {
		open[i] = q.owned(p) && (m.levels == nil || q.sealed(p, m.levels[i])) && !q.shut(p, q.why, m.levels != nil && m.levels[i] == 0)
		if q.why == forRefill {
			puts, gets := q.Stages.Stage(p)
			out.stages = append(out.stages, stage{puts, gets})
		}
	}
	for _, p := range parts {
		if q.why == forFill {
			_, bytes, _ := q.Floors.Usage(p)
			out.sizes = append(out.sizes, bytes)
		}
	}
	out.sums = q.sums(parts)
	// Asked last: what is sound now was so when its sum was made.
	marked := q.Damage.Damaged()
	for i, p := range parts {
		if !open[i] || !q.sound(p, marked) {
			out.closed = append(out.closed, i)
		}
	}
	out.same = len(out.closed)+len(out.stages) == 0 && hashOf(out.sums) == m.hash
	return out.encode(), nil
}

// sealed tells whether this node's copy takes no puts below level any more.
func (q *question) sealed(p kv.Partition, level kv.Level) bool {
	puts, _ := q.Stages.Stage(p)
	return puts >= level || q.cfg.omits(OmitSealed)
}

func (q *question) branches(m branchesAsk, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	out := branchesAnswer{standing: q.standing()}
	for i, room := 0, q.cfg.MaxMessage; i < len(m.parts) && (room > 0 || i == 0); i++ {
		p := &m.parts[i]
		if !q.owned(p.p) || q.bereft(p.p, q.why) {
			out.parts = append(out.parts, branchLeaves{closed: true})
			continue
		}
		t := q.token(p.p)
		b := branchLeaves{floor: t.floor}
		for branch, h := range q.Trees.Branches(p.p, nil) {
			if h != p.hashes[branch] {
				b.mask |= 1 << branch
			}
		}
		for mask := b.mask; mask != 0; mask &= mask - 1 {
			b.hashes = q.Trees.LeavesOf(p.p, bits.TrailingZeros32(mask), b.hashes)
		}
		if !q.after(p.p, t) {
			b = branchLeaves{closed: true}
		}
		out.parts = append(out.parts, b)
		room -= branchLeavesSize + 8*len(b.hashes)
	}
	return out.encode(), nil
}

// after tells, after a copy was looked at, whether it was sound all the time
// since t was taken.
func (q *question) after(p kv.Partition, t token) bool {
	return q.holds(p, t) && q.sound(p, q.Damage.Damaged())
}

func (q *question) keys(m keysAsk, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	out := keysAnswer{standing: q.standing()}
	room := q.cfg.MaxMessage
	if m.why == forFill {
		room = min(room, fillMessage)
	}
	for i := 0; i < len(m.leaves) && room > 0 && out.rest == nil; i++ {
		a := &m.leaves[i]
		if !q.owned(a.p) {
			out.leaves = append(out.leaves, leafCopies{closed: true})
			continue
		}
		c, rest, err := q.leaf(a, m.why == forLeftover, &room)
		if err != nil {
			// What cannot be read now is not compared now.
			c, rest = leafCopies{closed: true}, nil
		}
		out.leaves, out.rest = append(out.leaves, c), rest
		room -= leafCopiesSize
	}
	return out.encode(), nil
}

// leaf compares the keys of one leaf, and returns what the own copy holds
// where it differs, up to the key rest if room does not allow more.
func (q *question) leaf(a *leafKeys, push bool, room *int) (out leafCopies, rest kv.Key, err error) {
	t := q.token(a.p)
	if !a.joined.Includes(t.floor) {
		return out, nil, errFloorMoved
	}
	differ, err := q.differing(a, push)
	if err != nil {
		return out, nil, err
	}
	out.floor = t.floor
	for i, k := range differ {
		c := keyCopy{key: k}
		if !push {
			o, _, err := q.Copies.Read(a.p, k, nil)
			if err != nil {
				return out, nil, err
			}
			c.object = o.Bytes()
		}
		out.keys = append(out.keys, c)
		*room -= keyCopySize + len(k) + len(c.object)
		if *room <= 0 && i+1 < len(differ) {
			rest = k
			break
		}
	}
	if !q.after(a.p, t) {
		return leafCopies{closed: true}, nil, nil
	}
	return out, rest, nil
}

// differing returns the keys of a range that have another digest here than in a,
// or are only in one of both; after a push none that is only here.
func (q *question) differing(a *leafKeys, push bool) ([]kv.Key, error) {
	var out []kv.Key
	theirs := a.keys
	err := q.Trees.LeafKeys(a.p, a.leaf, a.joined, func(k kv.Key, digest uint64) bool {
		if len(a.after) > 0 && compareKeys(k, a.after) <= 0 {
			return true
		}
		if len(a.until) > 0 && compareKeys(k, a.until) > 0 {
			return false
		}
		for len(theirs) > 0 && compareKeys(theirs[0].key, k) < 0 {
			out, theirs = append(out, theirs[0].key), theirs[1:]
		}
		if len(theirs) > 0 && compareKeys(theirs[0].key, k) == 0 {
			if theirs[0].digest != digest {
				out = append(out, theirs[0].key)
			}
			theirs = theirs[1:]
		} else if !push {
			out = append(out, slices.Clone(k))
		}
		return true
	})
	for _, k := range theirs {
		out = append(out, k.key)
	}
	return out, err
}

// objects merges what another copy holds. An answer means that all of it is
// applied.
func (q *question) objects(m objectsAsk, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	for i := range m.objects {
		h := &m.objects[i]
		if !q.owned(h.p) || q.cur.Ring.PartitionOf(h.key) != h.p {
			return nil, kv.Errorf(kv.KindStaleRing, "serve exchange", "a key of partition %d is not this node's", h.p)
		}
		var in object.Object
		var err error
		if len(h.object) > 0 {
			if in, err = object.Parse(h.object); err != nil {
				return nil, err
			}
		}
		if len(h.object)+len(h.floor) == 0 {
			continue
		}
		if err := q.Copies.Merge(h.p, h.key, in, h.floor, nil); err != nil {
			return nil, err
		}
	}
	out := objectsAnswer{q.standing()}
	return out.encode(), nil
}

// adopt takes floors over. The asker knows that this node's copies have all
// that its own had seen, if they have lost nothing since they took it: they are
// still in memory if the node is still in the same start; they were not dropped
// if the ring is the same; and what was damaged is still marked, or was refilled,
// which shows in the repairs.
func (q *question) adopt(m adoptAsk, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	own := q.standing()
	if !q.vouches(standing{m.boot, m.era, m.repairs}, own) {
		return nil, kv.Errorf(kv.KindRefused, "take floors over", "this node was started anew, or has refilled a copy, meanwhile")
	}
	out := adoptAnswer{standing: own}
	var raise []adoption
	unsynced := false
	marked := q.Damage.Damaged()
	for _, a := range m.parts {
		if !q.owned(a.p) || !q.sound(a.p, marked) {
			continue
		}
		if f, _ := q.Floors.Floor(a.p); f.Includes(a.floor) {
			unsynced = true
		} else {
			raise = append(raise, a)
		}
	}
	if unsynced {
		if err := q.Disk.Sync(); err != nil {
			return nil, err
		}
	}
	if err := q.raise(slices.Clone(raise)); err != nil {
		return nil, err
	}
	// What was damaged meanwhile was left out.
	marked = q.Damage.Damaged()
	for _, a := range m.parts {
		if f, _ := q.Floors.Floor(a.p); q.owned(a.p) && q.sound(a.p, marked) && f.Includes(a.floor) {
			out.taken = append(out.taken, a.p)
		}
	}
	slices.Sort(out.taken)
	return out.encode(), nil
}
