package antientropy

import (
	"bytes"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// askKeys shows the keys of the next leaves that differ.
func (x *exchange) askKeys() []byte {
	m := keysAsk{head: x.head()}
	x.askedLeaves = x.askedLeaves[:0]
	for room := x.cfg.MaxMessage / 2; room > 0 && len(x.leaves) > 0 && len(m.leaves) < x.window; {
		l := x.leaves[0]
		x.leaves = x.leaves[1:]
		c := &x.copies[l.at]
		if c.failed || x.lost(c) {
			continue
		}
		keys, err := x.readLeaf(&l, room)
		if err != nil || x.lost(c) {
			c.failed = true
			continue
		}
		m.leaves = append(m.leaves, keys)
		x.askedLeaves = append(x.askedLeaves, l)
		room -= keys.size()
	}
	if len(m.leaves) == 0 {
		return nil
	}
	return m.encode()
}

// readLeaf reads the keys of a range, as many as room allows; then l ends where
// they end. An error means that they cannot be compared now.
func (x *exchange) readLeaf(l *leafRange, room int) (leafKeys, error) {
	c := &x.copies[l.at]
	out := leafKeys{p: c.p, leaf: l.leaf, joined: c.joined, after: l.after}
	if f, _ := x.Floors.Floor(c.p); !c.joined.Includes(f) {
		return out, errFloorMoved
	}
	err := x.Trees.LeafKeys(c.p, l.leaf, c.joined, func(k kv.Key, digest uint64) bool {
		if len(l.after) > 0 && compareKeys(k, l.after) <= 0 {
			return true
		}
		if n := len(out.keys); n > 0 && room <= 0 {
			l.until = out.keys[n-1].key
			return false
		}
		out.keys = append(out.keys, keyDigest{slices.Clone(k), digest})
		room -= keyDigestSize + len(k)
		return true
	})
	out.until = l.until
	return out, err
}

var errFloorMoved = kv.Errorf(kv.KindRefused, "exchange", "the floor has risen meanwhile")

func (x *exchange) takeKeys(m keysAnswer, err error) {
	if !x.takes(m.standing, err) {
		return
	}
	n := len(m.leaves)
	if n == 0 || n > len(x.askedLeaves) {
		x.err = kv.Errorf(kv.KindInvalid, "exchange", "node %v answers for %d leaves, asked for %d", x.peer, n, len(x.askedLeaves))
		return
	}
	var again []leafRange
	for i := range m.leaves {
		l := x.askedLeaves[i]
		x.takeCopies(l.at, &m.leaves[i])
		if x.err != nil {
			return
		}
		end := l.until
		if i == n-1 && len(m.rest) > 0 {
			end = m.rest
		}
		if len(end) == 0 {
			continue
		}
		if len(l.after) > 0 && compareKeys(end, l.after) <= 0 {
			x.err = kv.Errorf(kv.KindInvalid, "exchange", "node %v does not get ahead", x.peer)
			return
		}
		again = append(again, leafRange{at: l.at, leaf: l.leaf, after: end})
	}
	if n < len(x.askedLeaves) {
		x.window = n + n/4 + 1
	} else {
		x.window = min(2*x.window, maxWindow)
	}
	again = append(again, x.askedLeaves[n:]...)
	for i := range again {
		again[i].until = nil
	}
	x.leaves = append(again, x.leaves...)
}

// takeCopies takes in what the peer holds of the keys of one leaf in which the
// copies differ, and notes the keys of which the peer is to have this node's
// object.
func (x *exchange) takeCopies(at int, m *leafCopies) {
	c := &x.copies[at]
	if c.failed || m.closed || !m.floor.Includes(c.floor) {
		// The peer's copy has lost data, or cannot be compared now.
		c.failed = true
		return
	}
	for i := range m.keys {
		k := &m.keys[i]
		x.tally.Found++
		if x.purpose == forLeftover {
			x.push = append(x.push, pushKey{at, k.key})
			continue
		}
		if x.err = x.pull(at, k, m.floor); x.err != nil {
			return
		}
	}
}

// pull merges the peer's object of one key, or that it has none, into the own
// copy. Where the result is not what the peer has, it is to be pushed.
func (x *exchange) pull(at int, k *keyCopy, floor vclock.Floor) error {
	c := &x.copies[at]
	var in object.Object
	var err error
	if len(k.object) > 0 {
		if in, err = object.Parse(k.object); err != nil {
			return err
		}
		x.tally.Received++
	}
	if x.cfg.omits(OmitMerge) && len(k.object) > 0 {
		floor = x.allOf(c.p, k.key)
	}
	if len(k.object)+len(floor) > 0 {
		if err := x.Copies.Merge(c.p, k.key, in, floor, nil); err != nil {
			return err
		}
	}
	if x.takesOnly() {
		return nil
	}
	own, _, err := x.Copies.Read(c.p, k.key, nil)
	if err != nil {
		c.failed = true
		return nil
	}
	if object.Digest(own, c.joined) != object.Digest(in, c.joined) {
		x.push = append(x.push, pushKey{at, k.key})
	}
	return nil
}

// allOf returns a floor that covers all that the own copy holds of k: merged
// under it, the copy becomes what the other one is (OmitMerge).
func (x *exchange) allOf(p kv.Partition, k kv.Key) vclock.Floor {
	own, _, _ := x.Copies.Read(p, k, nil)
	var f vclock.Floor
	for s := own.Siblings(); s.Next(); {
		f = vclock.AppendFloorJoin(nil, f, vclock.AppendFloorEntry(nil, s.Node, s.Seq))
	}
	return f
}

// askObjects hands the next objects over, at least one and up to a message's
// size.
func (x *exchange) askObjects() []byte {
	m := objectsAsk{head: x.head()}
	for room := x.cfg.MaxMessage; room > 0 && len(x.push) > 0; {
		k := x.push[0]
		x.push = x.push[1:]
		c := &x.copies[k.at]
		if c.failed {
			continue
		}
		own, _, err := x.Copies.Read(c.p, k.key, nil)
		if err != nil || handedSize+len(k.key)+len(own.Bytes()) > kv.MaxMessage/2 {
			c.failed = true
			continue
		}
		h := handed{p: c.p, floor: c.own.floor, key: k.key, object: own.Bytes()}
		m.objects = append(m.objects, h)
		room -= handedSize + len(k.key) + len(h.object)
	}
	// What was read is as complete as the floor says only if that holds still.
	m.objects = slices.DeleteFunc(m.objects, func(h handed) bool {
		at, _ := slices.BinarySearch(x.parts, h.p)
		return x.lost(&x.copies[at])
	})
	if len(m.objects) == 0 {
		return nil
	}
	x.tally.Sent += len(m.objects)
	return m.encode()
}

// maxAdopted bounds the partitions of one adoptAsk.
const maxAdopted = 4096

// askAdopt hands over the floors of the partitions that are compared.
func (x *exchange) askAdopt() []byte {
	n := min(len(x.adopt), maxAdopted)
	x.asked, x.adopt = append(x.asked[:0], x.adopt[:n]...), x.adopt[n:]
	m := adoptAsk{head: x.head(), boot: x.theirs.boot, repairs: x.theirs.repairs}
	for _, at := range x.asked {
		c := &x.copies[at]
		a := adoption{p: c.p, floor: c.own.floor}
		if x.cfg.omits(OmitTakeover) {
			a.floor = nil
		}
		m.parts = append(m.parts, a)
	}
	return m.encode()
}

func (x *exchange) takeAdopt(m adoptAnswer, err error) {
	if !x.takes(m.standing, err) || x.purpose != forLeftover {
		return
	}
	for _, at := range x.asked {
		c := &x.copies[at]
		_, taken := slices.BinarySearch(m.taken, c.p)
		c.complete = taken && !x.lost(c)
	}
}

// raise raises the floors of parts, all data first.
func (l *local) raise(parts []adoption) error {
	for len(parts) > 0 {
		f := parts[0].floor
		var same []kv.Partition
		parts = slices.DeleteFunc(parts, func(a adoption) bool {
			if !bytes.Equal(a.floor, f) {
				return false
			}
			same = append(same, a.p)
			return true
		})
		if err := l.Floors.RaiseFloor(same, f); err != nil {
			return err
		}
	}
	return nil
}
