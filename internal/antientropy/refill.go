package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// refill fills copies again that have lost data (DESIGN section 5, rule 7). Such
// a copy counts again once it has been exchanged fully with N-W+1 other owners:
// then it has met one of the owners that acknowledged each write, whichever W
// they were, besides itself, whose word no longer counts. Copies that are
// damaged themselves are no sources.
//
// In a step of a change it needs as many of both sets of owners, and it is as far
// in the step afterwards as the furthest of them. If it is to stay, it is also
// filled anew, from owners that are sealed: it may have told that it was done.
type refill struct {
	era kv.Level
	// copies are ascending by partition.
	copies []refilling
}

// refilling is one copy's progress.
type refilling struct {
	p     kv.Partition
	since time.Time
	// damages is how often the copy was damaged when the sources were counted.
	damages uint64
	// losses is the same for the fill; level is that of the view under which they
	// were.
	losses  uint64
	level   kv.Level
	sources []kv.NodeID
	// sealed are the sources that were sealed in the step under way, as owners
	// before it; stage is the furthest of all sources.
	sealed []kv.NodeID
	stage  stage
	// rest is until when a source is not asked again that has not sealed yet.
	rest time.Time
}

// find returns the progress of p, nil when it is not damaged.
func (f *refill) find(p kv.Partition) *refilling {
	for i := range f.copies {
		if f.copies[i].p == p {
			return &f.copies[i]
		}
	}
	return nil
}

// update finds out which copies are damaged.
func (f *refill) update(k *Keeper, cur *ring.Current, now time.Time) {
	fresh := f.era == eraOf(cur)
	f.era = eraOf(cur)
	marked := k.Damage.Damaged()
	var copies []refilling
	for _, p := range marked {
		c := refilling{p: p, since: now}
		if old := f.find(p); old != nil {
			c = *old
		}
		// Damage takes away what was filled in, and other owners may have
		// acknowledged other writes.
		d, level := k.Damage.Damages(p), stepLevel(cur.View(p))
		if !fresh || d != c.damages || level != c.level {
			c = refilling{p: p, since: c.since, damages: d, losses: k.Stages.Fill(p).Losses, level: level}
		}
		copies = append(copies, c)
	}
	f.copies = copies
	if k.cfg.omits(OmitDamage) {
		for _, p := range marked {
			f.end(k, p)
		}
	}
}

// stepLevel returns the level of the first phase of the step that a view is of:
// as long as it is the same, so are the owners.
func stepLevel(v ring.View) kv.Level {
	k, phase := v.Level.Step()
	if phase > 0 {
		phase = 1
	}
	return v.Level.At(k, phase)
}

// wanted returns the partitions for which peer is a source that is still needed.
func (f *refill) wanted(k *Keeper, cur *ring.Current, peer kv.NodeID, now time.Time) []kv.Partition {
	var out []kv.Partition
	for i := range f.copies {
		c := &f.copies[i]
		v := cur.View(c.p)
		if stepLevel(v) != c.level || k.Damage.Damages(c.p) != c.damages {
			k.looked = time.Time{} // it begins anew, and no source would count before
			continue
		}
		if !slices.Contains(v.Owners, peer) || !k.built(c.p) {
			continue
		}
		again := slices.Contains(v.New, k.Self) && slices.Contains(v.Old, peer) && !slices.Contains(c.sealed, peer) && !now.Before(c.rest)
		if again || !slices.Contains(c.sources, peer) {
			out = append(out, c.p)
		}
	}
	return out
}

// needed returns how many of a set of owners, this node left out, a copy of its
// is to be filled from: N-W+1, or all where there are not as many (W=1), and those
// that are lost for good are none.
func needed(cur *ring.Current, self kv.NodeID, set []kv.NodeID) int {
	n, others := len(set), 0
	for _, id := range set {
		if id != self && (cur.Progress == nil || !slices.Contains(cur.Progress.Lost(), id)) {
			others++
		}
	}
	return min(n-min(cur.Ring.Params().W, n)+1, others)
}

// enough tells whether a copy counts again: it has met as many of each set as it
// has to. Of those who are to stay there may be no others.
func (c *refilling) enough(k *Keeper, cur *ring.Current) bool {
	v := cur.View(c.p)
	met := func(set, sources []kv.NodeID) int {
		n := 0
		for _, id := range set {
			if id != k.Self && slices.Contains(sources, id) {
				n++
			}
		}
		return n
	}
	if needed(cur, k.Self, v.Old) == 0 {
		return false // it was the only owner: nobody can tell what it has lost
	}
	for _, set := range [][]kv.NodeID{v.Old, v.New} {
		if len(set) > 0 && met(set, c.sources) < needed(cur, k.Self, set) {
			return false
		}
	}
	if !slices.Contains(v.New, k.Self) {
		return true
	}
	return met(v.Old, c.sealed) >= needed(cur, k.Self, v.Old)
}

// exchanged counts the peer of an exchange as a source.
func (f *refill) exchanged(k *Keeper, x *exchange) {
	cur := k.Cluster.Current()
	if cur == nil || eraOf(cur) != x.era || f.era != x.era {
		return
	}
	for i := range x.copies {
		pair := &x.copies[i]
		c := f.find(pair.p)
		if c == nil || !pair.complete || pair.own.damages != c.damages {
			continue
		}
		v := cur.View(c.p)
		if stepLevel(v) != c.level {
			continue // the next update begins anew
		}
		if !slices.Contains(c.sources, x.peer) {
			c.sources = append(c.sources, x.peer)
		}
		c.stage = stage{max(c.stage.puts, pair.stage.puts), max(c.stage.gets, pair.stage.gets)}
		if v.New != nil && slices.Contains(v.Old, x.peer) && !slices.Contains(c.sealed, x.peer) {
			if pair.stage.puts >= c.level {
				c.sealed = append(c.sealed, x.peer)
			} else {
				c.rest = k.Now().Add(minPause)
			}
		}
		if c.enough(k, cur) {
			f.end(k, c.p)
		}
	}
}

// end takes the mark of a copy away, once it is as far as its sources.
func (f *refill) end(k *Keeper, p kv.Partition) {
	c := f.find(p)
	if c.stage != (stage{}) {
		if k.Stages.Advance([]replica.Advance{{Partition: p, Puts: c.stage.puts, Gets: c.stage.gets, Guessed: true}}) != nil {
			return
		}
	}
	if cur := k.Cluster.Current(); slices.Contains(cur.View(p).New, k.Self) && len(c.sealed) > 0 {
		fill := map[kv.Partition]replica.Fill{p: {Level: c.level, Sources: c.sealed, Done: true, Losses: c.losses}}
		if k.Stages.SetFills(fill) != nil {
			return
		}
	}
	if k.Damage.Repaired(p, c.damages) != nil {
		return // there is new damage, or the disk fails: the next look tells
	}
	k.repairs++
	f.copies = slices.DeleteFunc(f.copies, func(c refilling) bool { return c.p == p })
	k.mover.anew = true
	k.mover.retry = k.Now()
}
