package ring

import "github.com/ringtaildb/ringtail/internal/kv"

// View is how a request to one partition is carried out, as a node knows it: who
// counts, and at which level of the partition that is. Its slices are shared and
// read-only.
type View struct {
	Level kv.Level
	// Old and New are the sets of owners of which a put needs a quorum each; New
	// is nil where one set is enough.
	Old, New []kv.NodeID
	// Readers is the set of which a get needs a quorum.
	Readers []kv.NodeID
	// Owners are all that take part: those of Old, then those that only New has.
	Owners []kv.NodeID
}

// View returns how requests to p are carried out while the ring is settled.
func (r *Ring) View(p kv.Partition) View {
	owners := r.Owners(p)
	return View{Level: kv.LevelOf(r.epoch), Old: owners, Readers: owners, Owners: owners}
}

// View returns how requests to p are carried out now.
func (g *Progress) View(p kv.Partition) View {
	k, phase := g.At(p)
	if k < 0 {
		return g.from.View(p)
	}
	s := &g.steps[int(g.first[p])+k]
	v := View{Level: g.Level(k, phase), Old: s.Old, New: s.New, Readers: s.Old, Owners: s.Union}
	switch phase {
	case 2:
		v.Readers = s.New
	case 3:
		v.Old, v.New, v.Readers, v.Owners = s.New, nil, s.New, s.New
	}
	return v
}

// Current is where a node believes the ring to be: the last ring that is settled,
// and the transition from it that is under way, if there is one. The node replaces
// it by another as a whole; only marks are added to one. Safe for concurrent use.
type Current struct {
	// Ring is never nil, Progress is nil while the ring does not change.
	Ring     *Ring
	Progress *Progress
}

// View returns how requests to p are carried out now.
func (c *Current) View(p kv.Partition) View {
	if c.Progress != nil {
		return c.Progress.View(p)
	}
	return c.Ring.View(p)
}

// Latest returns the ring that is settled, or is to be once the transition under
// way is over: whoever is in it is to stay.
func (c *Current) Latest() *Ring {
	if c.Progress != nil {
		return c.Progress.to
	}
	return c.Ring
}
