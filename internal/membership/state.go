package membership

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Status is what the operators have decided about a node. Numbers travel
// between nodes: append only.
type Status uint8

const (
	// StatusNone: the node announced itself, and nothing is decided.
	StatusNone Status = iota
	// StatusStaged: the next commit brings the node into the ring.
	StatusStaged
	// StatusMember: the node is in the ring.
	StatusMember
	// StatusLeaving: the node is being taken, or was taken, out of the ring, and
	// has yet to say that it holds nothing any more.
	StatusLeaving
	// StatusRemoved: the node is dead for good and never comes back.
	StatusRemoved

	// numStatuses bounds what a Decision may say.
	numStatuses

	// The rest follows from a state, and is not decided for a node alone.

	// StatusWaiting: the node came up under the name of another, which is in
	// the ring and down. It waits to replace that one.
	StatusWaiting = numStatuses
	// StatusJoining: the transition under way brings the node into the ring.
	StatusJoining = numStatuses + 1
	// StatusRemoving: the transition under way takes a dead node out.
	StatusRemoving = numStatuses + 2
)

var statusNames = [...]string{"none", "staged", "member", "leaving", "removed", "awaiting replace", "joining", "removing"}

// String returns the status as it stands in answers.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// MarshalText lets a status stand as a JSON string.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Addresses are where a node can be reached, each "host:port"; empty where the
// node has no such door.
type Addresses struct {
	HTTP   string `json:"http"`
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
	RESP   string `json:"resp,omitempty"`
	Riak   string `json:"riak,omitempty"`
}

// Profile is what a node says of itself: a register that only the node writes.
// The greatest (Boot, Counter) wins.
type Profile struct {
	Name   string
	Addrs  Addresses
	Zone   string
	Weight uint32
	// Speaks is the highest version, of the protocol and of what is written to
	// disk, that the node's release has.
	Speaks wire.Version
	// Aliases are the interim ids under which the node has minted, ascending.
	Aliases []kv.NodeID
	// Boot counts the node's starts, Counter its changes since the last one.
	Boot, Counter uint64
}

// Seen is the highest that anybody has seen of a node's boot and sequence. The
// greatest (Boot, Nonce) wins, and the greatest Limit.
type Seen struct {
	Boot, Nonce uint64
	// Limit is the highest sequence that the node has reserved.
	Limit uint64
}

// Decision is a register that operators write, at any node. The greatest
// (Version, Author, Status) wins.
type Decision struct {
	Status  Status
	Version uint64
	Author  kv.NodeID
}

// Member is all that the cluster knows of one node.
type Member struct {
	ID kv.NodeID
	Profile
	Seen
	Decision
}

// Bucket is a register of one bucket's properties. The greatest (Version,
// Author) wins. R and W may be kv.Unset: the cluster's.
type Bucket struct {
	Props   kv.Props
	Version uint64
	Author  kv.NodeID
}

// SecretSize is the size of a cluster's secret, in bytes.
const SecretSize = 32

// State is what the nodes of a cluster agree on by gossip. It is immutable: a
// change makes a new one. Safe for concurrent use.
//
// Invariants, which check verifies:
//   - members are strictly ascending by id, each within the limits of Profile;
//   - the transition leads to a later epoch than the ring's, and least is not
//     below what it needs;
//   - encoded and hashes are those of the sections that they belong to.
type State struct {
	cluster kv.ClusterID
	members []Member
	ring    *ring.Ring
	buckets map[string]Bucket
	// secret is the key of the cluster, drawn when it is created: SecretSize
	// bytes, or nil.
	secret []byte
	// staged are the registers of what operators have staged.
	staged map[kv.NodeID]Staged
	// transition is nil while the ring does not change.
	transition *Transition
	// least is the least version that members must speak, 0 for any. It only
	// grows.
	least wire.Version
	// contract is the register of the cluster's SLA.
	contract Contract

	// defaults are the properties of a bucket that has none of its own.
	defaults kv.Props
	encoded  encodings
	hashes   hashes
}

// newState takes its arguments over. The members are ascending by id.
func newState(cluster kv.ClusterID, members []Member, r *ring.Ring, buckets map[string]Bucket) *State {
	s := &State{cluster: cluster}
	return s.withMembers(members).withRing(r).withBuckets(buckets).withSecret(nil).withStagings(nil).withTransition(nil).withLeast(0).withContract(Contract{})
}

// NewState returns the state of a cluster with these members, ascending by id,
// and this settled ring. It takes the members over.
func NewState(cluster kv.ClusterID, members []Member, r *ring.Ring) *State {
	return newState(cluster, members, r, nil)
}

// Cluster returns the cluster's id, 0 before the node has joined one.
func (s *State) Cluster() kv.ClusterID { return s.cluster }

// Ring returns the ring, nil before the node has joined a cluster.
func (s *State) Ring() *ring.Ring { return s.ring }

// Epoch returns the ring's epoch, 0 without a ring.
func (s *State) Epoch() uint64 {
	if s.ring == nil {
		return 0
	}
	return s.ring.Epoch()
}

// Members returns every node that was ever announced, ascending by id: shared,
// read-only.
func (s *State) Members() []Member { return s.members }

// Member returns what is known of one node.
func (s *State) Member(id kv.NodeID) (Member, bool) {
	i, ok := s.find(id)
	if !ok {
		return Member{}, false
	}
	return s.members[i], true
}

// Status returns a node's status. To be in the ring is to be a member, whatever
// was decided before, unless the node is on its way out.
func (s *State) Status(id kv.NodeID) Status {
	m, known := s.Member(id)
	is, next := s.ring != nil && s.ring.Contains(id), s.ring != nil && s.Latest().Contains(id)
	switch {
	case m.Status == StatusRemoved || is && m.Status == StatusLeaving:
		return m.Status
	case is && next:
		return StatusMember
	case is && s.transition.order(id).leaves():
		return StatusLeaving
	case is:
		return StatusRemoving
	case next:
		return StatusJoining
	case !known || m.Status == StatusMember:
		return StatusNone
	case m.Status == StatusStaged && s.waits(m):
		return StatusWaiting
	}
	return m.Status
}

// Props returns a bucket's properties: its own, its type's, or the cluster's
// defaults, which but for the merge of kv.BucketRedis are the same for all. So
// every node has them from the start, and setting others needs no bucket to be
// made before. It does not allocate.
func (s *State) Props(bucket []byte) kv.Props {
	b, ok := s.buckets[string(bucket)]
	if !ok {
		if t := kv.TypeOf(bucket); t != nil {
			b, ok = s.buckets[string(t)]
		}
	}
	if !ok {
		p := s.defaults
		if string(bucket) == kv.BucketRedis {
			p.Merge = kv.MergeLWW
		}
		return p
	}
	p := b.Props
	if p.R == kv.Unset {
		p.R = s.defaults.R
	}
	if p.W == kv.Unset {
		p.W = s.defaults.W
	}
	return p
}

// HasBucket tells whether a bucket has properties of its own.
func (s *State) HasBucket(name string) bool {
	_, ok := s.buckets[name]
	return ok
}

// Buckets returns the names of the buckets that have properties of their own,
// ascending.
func (s *State) Buckets() []string { return slices.Sorted(maps.Keys(s.buckets)) }

// Secret returns the key under which the cluster's nodes seal the contexts that
// clients hold; nil before the node has joined a cluster. It is read-only, and
// is never shown.
func (s *State) Secret() []byte { return s.secret }

// find returns where id is, or belongs, among the members.
func (s *State) find(id kv.NodeID) (int, bool) {
	return slices.BinarySearchFunc(s.members, id, func(m Member, id kv.NodeID) int { return cmp.Compare(m.ID, id) })
}

// withMember returns s with m in place of the member of its id.
func (s *State) withMember(m Member) *State {
	members := slices.Clone(s.members)
	if i, ok := s.find(m.ID); ok {
		members[i] = m
	} else {
		members = slices.Insert(members, i, m)
	}
	return s.withMembers(members)
}

// withSecret returns s with this secret, which it takes over.
func (s *State) withSecret(secret []byte) *State {
	next := *s
	next.secret = secret
	next.encode(sectionSecret)
	return &next
}

// withMembers returns s with these members, which it takes over.
func (s *State) withMembers(members []Member) *State {
	next := *s
	next.members = members
	next.encode(sectionMembers)
	return &next
}

// withRing returns s with r, which may be nil.
func (s *State) withRing(r *ring.Ring) *State {
	next := *s
	next.ring = r
	p := ring.DefaultParams()
	if r != nil {
		p = r.Params()
	}
	next.defaults = kv.Props{Quorums: kv.Quorums{R: int8(p.R), W: int8(p.W), DW: kv.Unset}}
	next.encode(sectionRing)
	return &next
}

// withBucket returns s with b as the register of the bucket name.
func (s *State) withBucket(name string, b Bucket) *State {
	buckets := maps.Clone(s.buckets)
	if buckets == nil {
		buckets = make(map[string]Bucket)
	}
	buckets[name] = b
	return s.withBuckets(buckets)
}

// withBuckets returns s with these buckets, which it takes over.
func (s *State) withBuckets(buckets map[string]Bucket) *State {
	next := *s
	next.buckets = buckets
	next.encode(sectionBuckets)
	return &next
}

// withStaged returns s with v as the register of a node.
func (s *State) withStaged(id kv.NodeID, v Staged) *State {
	staged := maps.Clone(s.staged)
	if staged == nil {
		staged = make(map[kv.NodeID]Staged)
	}
	staged[id] = v
	return s.withStagings(staged)
}

// withStagings returns s with these registers, which it takes over.
func (s *State) withStagings(staged map[kv.NodeID]Staged) *State {
	next := *s
	next.staged = staged
	next.encode(sectionStaged)
	return &next
}

// withTransition returns s with t, which may be nil: to have one takes members
// that know of it.
func (s *State) withTransition(t *Transition) *State {
	next := *s
	next.transition = t
	next.encode(sectionTransition)
	if t != nil && s.least < ChangesNeed {
		return next.withLeast(ChangesNeed)
	}
	return &next
}
