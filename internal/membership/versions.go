package membership

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Releases mix: each node announces the highest version that it speaks
// (Profile.Speaks), and as long as the ring stays as it is any of them may be
// upgraded, and taken back. What only a later version knows begins with a change
// of the ring that is chosen under it. From then on members must speak it: the
// state says so (State.Least), and each node's cluster file, by its format, so
// that an older release does not start on it (docs/adr/0013-versions.md).

// ChangesNeed is the version that takes part in changes of the ring: it, and not the
// last, is what all members have to speak before one.
const ChangesNeed = wire.VersionLevels

// writesNeed is the version that reads all that this release writes. It is the last
// that has changed anything of that, not the last one.
const writesNeed = wire.VersionLevels

// Least returns the least version that members must speak.
func (s *State) Least() wire.Version { return max(s.least, wire.MinVersion) }

// withLeast returns s with least, unless it says more.
func (s *State) withLeast(least wire.Version) *State {
	next := *s
	next.least = max(s.least, least)
	next.encode(sectionLeast)
	return &next
}

// leastVersion takes all that is left: a version, or nothing.
func (c *cursor) leastVersion() wire.Version {
	if len(c.Rest) == 0 {
		return 0
	}
	v := wire.Version(c.U16())
	c.Need(v > wire.MinVersion)
	return v
}

// sectionsOf returns how many sections a release knows.
func sectionsOf(speaks wire.Version) section {
	if speaks < ChangesNeed {
		return firstSections
	}
	return numSections
}

// first returns the first of the sections: those that a release knows.
func (e encodings) first(knows section) encodings {
	clear(e[knows:])
	return e
}

// checkVersions returns an error of KindRefused for the first node of the
// present ring, or of the next one, that is not known to take part in changes.
// Those that orders take for dead are not asked for: when they come back they
// are refused.
func (s *State) checkVersions(orders []Order, next *ring.Ring) error {
	for _, r := range []*ring.Ring{s.ring, next} {
		for _, n := range r.Nodes() {
			gone := slices.ContainsFunc(orders, func(o Order) bool { return o.Node == n.ID && o.Gone })
			if m, _ := s.Member(n.ID); m.Speaks < ChangesNeed && !gone {
				return kv.Errorf(kv.KindRefused, "commit ring", "node %s speaks protocol version %d, a change of the ring takes %d: upgrade it first",
					s.nameOf(n.ID), m.Speaks, ChangesNeed)
			}
		}
	}
	return nil
}

// Outdated returns an error of KindWrongVersion for the first node of the present
// ring, or of the next one, that is not known to read what this release writes;
// nil if all do. Nothing new may be written until then.
func (s *State) Outdated() *kv.Error {
	for _, r := range []*ring.Ring{s.ring, s.Latest()} {
		if r == nil {
			continue
		}
		for _, n := range r.Nodes() {
			if m, _ := s.Member(n.ID); m.Speaks < writesNeed {
				return kv.Errorf(kv.KindWrongVersion, "write", "node %s speaks protocol version %d, this takes %d: upgrade it first", s.nameOf(n.ID), m.Speaks, writesNeed)
			}
		}
	}
	return nil
}

// Versions returns those that this node speaks with others: those of its release
// that members may have.
func (s *Service) Versions() wire.Versions {
	v := s.cfg.Versions
	v.Min = min(max(v.Min, s.State().Least()), v.Max)
	return v
}

// outgrown returns an error of KindOldCopy when members must speak more than
// this node does: the cluster has changed without it.
func (s *Service) outgrown(st *State) error {
	if own := s.cfg.Versions.Max; st.Least() > own {
		return kv.Errorf(kv.KindOldCopy, "take part in the cluster", "members must speak protocol version %d, this node speaks up to %d: upgrade it", st.Least(), own)
	}
	return nil
}

// knows returns how many sections this node keeps.
func (s *Service) knows() section { return sectionsOf(s.cfg.Versions.Max) }

// mayChange returns an error of KindRefused unless this node's release takes
// part in changes of the ring.
func (s *Service) mayChange(op string) error {
	if s.cfg.Versions.Max >= ChangesNeed {
		return nil
	}
	return kv.Errorf(kv.KindRefused, op, "node %s speaks protocol version %d, a change of the ring takes %d: upgrade it first", s.cfg.Name, s.cfg.Versions.Max, ChangesNeed)
}

// differs says whether somebody has another state than this node, as far as both
// know such states.
func (s *Service) differs(h hashes, knows section) bool {
	return s.State().hashes.differ(h, min(knows, s.knows()))
}
