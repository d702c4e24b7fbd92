package membership

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// verb says what a TypeState request asks for. Append only.
type verb uint8

const (
	// verbExchange: merge the sections, if any, and answer with those of
	// yours that differ.
	verbExchange verb = 1
	// verbAnnounce: the same, from a node that would join; refuse it if its
	// name is taken.
	verbAnnounce verb = 2
)

// message is the payload of a TypeState request and of its response.
type message struct {
	verb    verb
	cluster kv.ClusterID
	// received and sent are wall times of the sender, in nanoseconds since
	// 1970: when it had the request that it answers (0 in a request), and when
	// it sent this.
	received, sent int64
	// hashes tell the sender's state: of those sections that it knows.
	hashes hashes
	knows  section
	// way is the transition that the sender takes part in, and sum the hash of
	// the marks that it has of it; zero for none.
	way way
	sum hash
	// sections are parts of the sender's state; nil where there is none.
	sections encodings
	// marks are the sender's marks of way, nil where they are left out.
	marks []byte
}

// messageVersion opens every message. Its fields up to the hashes of the first
// sections are those of the first release, which leaves alone what stands under
// numbers of sections that it does not know: the rest of a message stands there.
const messageVersion = 1

// Numbers of a message's parts beside the sections.
const (
	// partHashes are the hashes of the sections after the first ones.
	partHashes = 0xf0
	// partWay is way and sum.
	partWay = 0xf1
	// partMarks are the marks.
	partMarks = 0xf2
)

// parts returns what stands behind the hashes, ascending by number.
func (m *message) parts() []part {
	out := m.sections.parts()
	if m.knows > firstSections {
		out = append(out, part{partHashes, m.hashes.append(nil, firstSections, m.knows)})
	}
	if m.way != (way{}) || m.sum != (hash{}) {
		out = append(out, part{partWay, append(m.way.append(nil), m.sum[:]...)})
	}
	if m.marks != nil {
		out = append(out, part{partMarks, m.marks})
	}
	return out
}

// Size implements wire.Appender.
func (m *message) Size() int {
	n := 2 + 8 + 8 + 8 + int(firstSections)*len(hash{}) + 1
	for _, p := range m.parts() {
		n += 1 + 4 + len(p.b)
	}
	return n
}

// AppendTo implements wire.Appender.
func (m *message) AppendTo(b []byte) []byte {
	b = append(b, messageVersion, byte(m.verb))
	b = binary.BigEndian.AppendUint64(b, uint64(m.cluster))
	b = binary.BigEndian.AppendUint64(b, uint64(m.received))
	b = binary.BigEndian.AppendUint64(b, uint64(m.sent))
	b = m.hashes.append(b, 0, firstSections)
	return appendParts(b, m.parts())
}

// parseMessage reads what AppendTo wrote; the sections are parts of b.
func parseMessage(b []byte) (*message, error) {
	c := cursor{parse.Reader{Rest: b}}
	if v := c.U8(); !c.Bad && v != messageVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, "read state message", "version %d, this release reads %d", v, messageVersion)
	}
	m := &message{verb: verb(c.U8()), cluster: kv.ClusterID(c.U64()), received: int64(c.U64()), sent: int64(c.U64()), knows: firstSections}
	c.hashes(&m.hashes, 0, firstSections)
	c.parts(func(number uint8, b []byte) {
		part := cursor{parse.Reader{Rest: b}}
		switch number {
		case partHashes:
			m.knows += section(min(len(b)/len(hash{}), int(numSections-firstSections)))
			part.hashes(&m.hashes, firstSections, m.knows)
		case partWay:
			m.way = part.way()
			copy(m.sum[:], part.Take(len(m.sum)))
		case partMarks:
			m.marks = b
		default:
			m.sections.set(number, b)
		}
		c.Bad = c.Bad || part.Bad
	})
	if c.Bad || len(c.Rest) > 0 || m.verb != verbExchange && m.verb != verbAnnounce {
		return nil, kv.Errorf(kv.KindInvalid, "read state message", "%d bytes are malformed", len(b))
	}
	return m, nil
}

// differ compares the first sections.
func (h hashes) differ(o hashes, knows section) bool {
	for i := range knows {
		if h[i] != o[i] {
			return true
		}
	}
	return false
}

// differing returns those of the first sections of s whose hashes are not h's.
func (s *State) differing(h hashes, knows section) (out encodings) {
	for i := range knows {
		if s.hashes[i] != h[i] {
			out[i] = s.encoded[i]
		}
	}
	return out
}

func (h hashes) append(b []byte, from, to section) []byte {
	for _, one := range h[from:to] {
		b = append(b, one[:]...)
	}
	return b
}

func (c *cursor) hashes(h *hashes, from, to section) {
	for i := from; i < to; i++ {
		copy(h[i][:], c.Take(len(h[i])))
	}
}

// digest is what gossip carries: who has which state, and where to fetch it.
type digest struct {
	node   kv.NodeID
	peer   string
	hashes hashes
	// knows is how many of the hashes the sender knows.
	knows section
	// asked says that the node is to be asked, whatever its hashes. It does not
	// travel.
	asked bool
}

// digestVersion opens every digest. Those of a release that knows the first
// sections alone have version 1 and no count. Such a release ignores others: it
// still compares states now and then.
const digestVersion = 2

func (d digest) append(b []byte) []byte {
	version := byte(digestVersion)
	if d.knows == firstSections {
		version = 1
	}
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(d.node))
	b = appendText(b, d.peer)
	if version > 1 {
		b = append(b, byte(d.knows))
	}
	return d.hashes.append(b, 0, d.knows)
}

func parseDigest(b []byte) (digest, bool) {
	c := cursor{parse.Reader{Rest: b}}
	version := c.U8()
	if version != 1 && version != digestVersion {
		return digest{}, false
	}
	d := digest{node: kv.NodeID(c.U64()), peer: c.text(MaxAddress), knows: firstSections}
	knows := firstSections
	if version > 1 {
		knows = section(c.U8())
		d.knows = min(knows, numSections)
	}
	c.hashes(&d.hashes, 0, d.knows)
	c.Take(int(knows-d.knows) * len(hash{})) // a later release's
	return d, !c.Bad && len(c.Rest) == 0 && d.node != 0 && d.knows >= firstSections
}
