package membership

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Limits of what a decoder accepts. A joiner, and a bucket's first properties,
// are refused at half of what a state may hold: a merge must never refuse what
// several nodes accepted at once.
const (
	maxStateMembers = 2 * kv.MaxMembers
	maxStateBuckets = 2 * kv.MaxBuckets
	// MaxName bounds a node's name, in bytes.
	MaxName = 64
	// MaxAddress bounds an address, in bytes: a host name and a port.
	MaxAddress = 255 + len(":65535")
	// MaxAliases bounds the interim ids of one node.
	MaxAliases = 256
	// maxRing bounds an encoded ring, in bytes.
	maxRing = 8 << 20
	// maxState bounds an encoded state, in bytes; it fits in one message.
	maxState = kv.MaxMessage / 2
)

// section is one part of the state that is encoded, hashed and fetched by
// itself. Numbers travel between nodes: append only.
type section uint8

const (
	sectionMembers section = iota
	sectionRing
	sectionBuckets
	sectionSecret
	sectionStaged
	sectionTransition
	sectionLeast
	sectionSLA
	numSections

	// firstSections are those that every release knows.
	firstSections = sectionStaged
)

var sectionNames = [numSections]string{"members", "ring", "buckets", "secret", "staged changes", "transition", "least version", "sla"}

// sectionVersion opens every section. A section of another version is refused
// by its name, never guessed at.
const sectionVersion = 1

// hash is the first half of a section's SHA-256.
type hash [16]byte

func hashOf(b []byte) hash {
	sum := sha256.Sum256(b)
	return hash(sum[:16])
}

// hashes tells, in a few bytes, which state somebody has.
type hashes [numSections]hash

// encodings are the encoded sections of a state; nil where one is left out.
type encodings [numSections][]byte

func (e encodings) none() bool {
	for _, b := range e {
		if b != nil {
			return false
		}
	}
	return true
}

// encode brings encoded and hashes of one section up to date.
func (s *State) encode(which section) {
	b := binary.BigEndian.AppendUint16(nil, sectionVersion)
	switch which {
	case sectionMembers:
		b = appendMembers(b, s.members)
	case sectionRing:
		if s.ring != nil {
			b = s.ring.AppendTo(b)
		}
	case sectionBuckets:
		b = appendBuckets(b, s)
	case sectionSecret:
		b = append(b, s.secret...)
	case sectionStaged:
		b = appendOrders(b, s.registers())
	case sectionTransition:
		b = appendTransition(b, s.transition)
	case sectionLeast:
		if s.least > 0 {
			b = binary.BigEndian.AppendUint16(b, uint16(s.least))
		}
	case sectionSLA:
		b = appendContract(b, s.contract)
	}
	s.encoded[which], s.hashes[which] = b, hashOf(b)
}

// AppendTo appends the state's canonical encoding: equal states are equal
// bytes.
func (s *State) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.cluster))
	return appendParts(b, s.encoded.parts())
}

// ParseState reads what AppendTo wrote and copies what it keeps. Its errors are
// of KindInvalid, or of KindWrongVersion for a section of another release.
func ParseState(b []byte) (*State, error) {
	c := cursor{parse.Reader{Rest: b}}
	cluster := kv.ClusterID(c.U64())
	var encoded encodings
	c.parts(encoded.set)
	if c.Bad || len(c.Rest) > 0 {
		return nil, kv.Errorf(kv.KindInvalid, "read cluster state", "%d bytes are no cluster state", len(b))
	}
	return parseSections(cluster, encoded)
}

// part is a numbered run of bytes: a section, or what a message holds besides.
type part struct {
	number uint8
	b      []byte
}

// parts returns the sections that are not nil, ascending.
func (e encodings) parts() []part {
	var out []part
	for i, b := range e {
		if b != nil {
			out = append(out, part{uint8(i), b})
		}
	}
	return out
}

// set keeps the section of that number; one of a later release is left out.
func (e *encodings) set(number uint8, b []byte) {
	if section(number) < numSections {
		e[number] = b
	}
}

// appendParts appends parts, which are ascending by number.
func appendParts(b []byte, parts []part) []byte {
	b = append(b, byte(len(parts)))
	for _, p := range parts {
		b = append(b, p.number)
		b = binary.BigEndian.AppendUint32(b, uint32(len(p.b)))
		b = append(b, p.b...)
	}
	return b
}

// parts hands out what appendParts wrote, as parts of the input.
func (c *cursor) parts(take func(number uint8, b []byte)) {
	last := -1
	for range c.U8() {
		number := c.U8()
		c.Need(int(number) > last)
		last = int(number)
		b := c.Take(int(c.U32()))
		if c.Bad {
			return
		}
		take(number, b)
	}
}

// parseSections builds a state of the sections that are not nil; the others are
// empty.
func parseSections(cluster kv.ClusterID, encoded encodings) (*State, error) {
	s := newState(cluster, nil, nil, nil)
	for i, b := range encoded {
		if b == nil {
			continue
		}
		c := cursor{parse.Reader{Rest: b}}
		if v := c.U16(); !c.Bad && v != sectionVersion {
			return nil, kv.Errorf(kv.KindWrongVersion, "read cluster state", "section %s has version %d, this release reads %d", sectionNames[i], v, sectionVersion)
		}
		next, err := s.parseSection(section(i), &c)
		if err != nil {
			return nil, err
		}
		if c.Bad || len(c.Rest) > 0 || next.hashes[i] != hashOf(b) {
			return nil, kv.Errorf(kv.KindInvalid, "read cluster state", "section %s is malformed", sectionNames[i])
		}
		s = next
	}
	return s, nil
}

// parseSection returns s with one section from c, which it uses up.
func (s *State) parseSection(which section, c *cursor) (*State, error) {
	switch which {
	case sectionMembers:
		return s.withMembers(c.members()), nil
	case sectionBuckets:
		return s.withBuckets(c.buckets()), nil
	case sectionSecret:
		return s.withSecret(c.secret()), nil
	case sectionStaged:
		staged := make(map[kv.NodeID]Staged)
		for _, o := range c.orders() {
			staged[o.Node] = o.Staged
		}
		return s.withStagings(staged), nil
	case sectionTransition:
		t, err := c.transition()
		return s.withTransition(t), err
	case sectionLeast:
		return s.withLeast(c.leastVersion()), nil
	case sectionSLA:
		return s.withContract(c.contract()), nil
	}
	b := c.Take(len(c.Rest))
	if len(b) == 0 {
		return s, nil
	}
	if len(b) > maxRing {
		return nil, kv.Errorf(kv.KindTooLarge, "read cluster state", "the ring has %d bytes, the limit is %d", len(b), maxRing)
	}
	r, err := ring.Parse(b)
	if err != nil {
		return nil, kv.Wrap(kv.KindInvalid, "read cluster state", err)
	}
	return s.withRing(r), nil
}

// secret takes all that is left: a secret, or nothing.
func (c *cursor) secret() []byte {
	if len(c.Rest) == 0 {
		return nil
	}
	c.Need(len(c.Rest) == SecretSize)
	return bytes.Clone(c.Take(len(c.Rest)))
}

// minMember is the size of the smallest encoded member, in bytes; it bounds
// what a count may claim.
const minMember = 8 + minProfile + 3*8 + 1 + 8 + 8

func appendMembers(b []byte, members []Member) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(members)))
	for _, m := range members {
		b = binary.BigEndian.AppendUint64(b, uint64(m.ID))
		b = appendProfile(b, m.Profile)
		b = binary.BigEndian.AppendUint64(b, m.Seen.Boot)
		b = binary.BigEndian.AppendUint64(b, m.Seen.Nonce)
		b = binary.BigEndian.AppendUint64(b, m.Seen.Limit)
		b = append(b, byte(m.Status))
		b = binary.BigEndian.AppendUint64(b, m.Decision.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(m.Decision.Author))
	}
	return b
}

func (c *cursor) members() []Member {
	out := make([]Member, c.Count(maxStateMembers, minMember))
	for i := range out {
		m := &out[i]
		m.ID = kv.NodeID(c.U64())
		c.Need(m.ID != 0 && (i == 0 || m.ID > out[i-1].ID))
		m.Profile = c.profile()
		m.Seen = Seen{Boot: c.U64(), Nonce: c.U64(), Limit: c.U64()}
		m.Decision = Decision{Status: Status(c.U8()), Version: c.U64(), Author: kv.NodeID(c.U64())}
		c.Need(m.Status < numStatuses)
		if c.Bad {
			return nil
		}
	}
	return out
}

// minProfile is the size of an empty encoded profile, in bytes.
const minProfile = 7*2 + 4 + 2 + 4 + 8 + 8

func appendProfile(b []byte, p Profile) []byte {
	b = appendText(b, p.Name)
	for _, a := range p.Addrs.list() {
		b = appendText(b, *a)
	}
	b = appendText(b, p.Zone)
	b = binary.BigEndian.AppendUint32(b, p.Weight)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Speaks))
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Aliases)))
	for _, a := range p.Aliases {
		b = binary.BigEndian.AppendUint64(b, uint64(a))
	}
	b = binary.BigEndian.AppendUint64(b, p.Boot)
	return binary.BigEndian.AppendUint64(b, p.Counter)
}

func (c *cursor) profile() Profile {
	var p Profile
	p.Name = c.text(MaxName)
	for _, a := range p.Addrs.list() {
		*a = c.text(MaxAddress)
	}
	p.Zone = c.text(ring.MaxZone)
	p.Weight = c.U32()
	p.Speaks = wire.Version(c.U16())
	p.Aliases = c.aliases()
	p.Boot, p.Counter = c.U64(), c.U64()
	return p
}

// aliases takes the interim ids of one node.
func (c *cursor) aliases() []kv.NodeID { return c.ids(MaxAliases) }

// ids takes ids that are strictly ascending, at most limit.
func (c *cursor) ids(limit int) []kv.NodeID {
	n := c.Count(limit, 8)
	if n == 0 {
		return nil
	}
	out := make([]kv.NodeID, n)
	for i := range out {
		out[i] = kv.NodeID(c.U64())
		c.Need(out[i] != 0 && (i == 0 || out[i] > out[i-1]))
	}
	return out
}

// list returns the addresses in the order in which they are encoded.
func (a *Addresses) list() []*string {
	return []*string{&a.HTTP, &a.Peer, &a.Gossip, &a.RESP, &a.Riak}
}

// check returns an error of KindInternal for the first invariant that does not
// hold.
func (s *State) check() error {
	const op = "check cluster state"
	if !slices.IsSortedFunc(s.members, func(a, b Member) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	}) {
		return kv.Errorf(kv.KindInternal, op, "members are out of order")
	}
	if s.transition != nil && s.least < ChangesNeed {
		return kv.Errorf(kv.KindInternal, op, "members may speak version %d, and the ring changes", s.least)
	}
	if s.transition.void(s.ring) {
		return kv.Errorf(kv.KindInternal, op, "the transition to epoch %d is over", s.transition.Epoch)
	}
	again, err := ParseState(s.AppendTo(nil))
	if err != nil {
		return kv.Wrap(kv.KindInternal, op, err)
	}
	if again.hashes != s.hashes {
		return kv.Errorf(kv.KindInternal, op, "hashes do not belong to the sections")
	}
	return nil
}
