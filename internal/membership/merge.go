package membership

import (
	"bytes"
	"cmp"
	"maps"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Merge returns the least state that is at or above both a and b; it changes
// neither. It is commutative, associative and idempotent, so that nodes agree
// in whatever order, and however often, they hear of changes.
//
// A merge of states of two clusters is an error of KindWrongCluster, one that
// would pass the limits of a state one of KindTooLarge.
func Merge(a, b *State) (*State, error) {
	if a == b || a.hashes == b.hashes && a.cluster == b.cluster {
		return a, nil
	}
	if a.cluster != b.cluster {
		return nil, kv.Errorf(kv.KindWrongCluster, "merge cluster state", "cluster %v is not %v", b.cluster, a.cluster)
	}
	m := a
	if a.hashes[sectionMembers] != b.hashes[sectionMembers] {
		m = m.withMembers(mergeMembers(a.members, b.members))
	}
	if a.hashes[sectionRing] != b.hashes[sectionRing] {
		m = m.withRing(mergeRings(a.ring, b.ring))
	}
	if a.hashes[sectionBuckets] != b.hashes[sectionBuckets] {
		m = m.withBuckets(mergeBuckets(a.buckets, b.buckets))
	}
	if a.hashes[sectionSecret] != b.hashes[sectionSecret] {
		m = m.withSecret(mergeSecrets(a.secret, b.secret))
	}
	if a.hashes[sectionStaged] != b.hashes[sectionStaged] {
		m = m.withStagings(mergeStaged(a.staged, b.staged))
	}
	if b.least > a.least {
		m = m.withLeast(b.least)
	}
	if a.hashes[sectionSLA] != b.hashes[sectionSLA] {
		m = m.withContract(mergeContracts(a.contract, b.contract))
	}
	t := mergeTransitions(a.transition, b.transition)
	if t.void(m.ring) {
		t = nil
	}
	if t != m.transition {
		m = m.withTransition(t)
	}
	if err := m.checkLimits(); err != nil {
		return nil, err
	}
	return m, nil
}

func (s *State) checkLimits() error {
	const op = "merge cluster state"
	switch {
	case len(s.members) > maxStateMembers:
		return kv.Errorf(kv.KindTooLarge, op, "%d members, the limit is %d", len(s.members), maxStateMembers)
	case len(s.buckets) > maxStateBuckets:
		return kv.Errorf(kv.KindTooLarge, op, "%d buckets, the limit is %d", len(s.buckets), maxStateBuckets)
	case len(s.staged) > maxStateMembers:
		return kv.Errorf(kv.KindTooLarge, op, "changes of %d nodes, the limit is %d", len(s.staged), maxStateMembers)
	}
	return nil
}

// mergeSecrets keeps the one secret that a cluster has. Were there two, every
// node would settle on the same one.
func mergeSecrets(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return b
	}
	return a
}

// mergeMembers joins two lists that are ascending by id.
func mergeMembers(a, b []Member) []Member {
	out := make([]Member, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch cmp.Compare(a[0].ID, b[0].ID) {
		case -1:
			out, a = append(out, a[0]), a[1:]
		case 1:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, mergeMember(a[0], b[0])), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func mergeMember(a, b Member) Member {
	return Member{
		ID:       a.ID,
		Profile:  mergeProfiles(a.Profile, b.Profile),
		Seen:     mergeSeen(a.Seen, b.Seen),
		Decision: mergeDecisions(a.Decision, b.Decision),
	}
}

// mergeProfiles settles a tie, which only two live copies of one data
// directory can bring about, by the bytes.
func mergeProfiles(a, b Profile) Profile {
	by := cmp.Or(cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Counter, b.Counter))
	if by == 0 {
		by = bytes.Compare(appendProfile(nil, a), appendProfile(nil, b))
	}
	if by < 0 {
		return b
	}
	return a
}

func mergeSeen(a, b Seen) Seen {
	if cmp.Or(cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Nonce, b.Nonce)) < 0 {
		a.Boot, a.Nonce = b.Boot, b.Nonce
	}
	a.Limit = max(a.Limit, b.Limit)
	return a
}

func mergeDecisions(a, b Decision) Decision {
	if cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Author, b.Author), cmp.Compare(a.Status, b.Status)) < 0 {
		return b
	}
	return a
}

// mergeRings keeps the greatest epoch. Two rings of one epoch should not be;
// if they are, every node settles on the same one.
func mergeRings(a, b *ring.Ring) *ring.Ring {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	by := cmp.Compare(a.Epoch(), b.Epoch())
	if by == 0 {
		by = bytes.Compare(a.AppendTo(nil), b.AppendTo(nil))
	}
	if by < 0 {
		return b
	}
	return a
}

func mergeBuckets(a, b map[string]Bucket) map[string]Bucket {
	out := maps.Clone(a)
	if out == nil {
		out = make(map[string]Bucket, len(b))
	}
	for name, theirs := range b {
		if ours, ok := out[name]; !ok || compareBuckets(ours, theirs) < 0 {
			out[name] = theirs
		}
	}
	return out
}

func compareBuckets(a, b Bucket) int {
	return cmp.Or(
		cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Author, b.Author),
		bytes.Compare(appendProps(nil, a.Props), appendProps(nil, b.Props)),
	)
}
