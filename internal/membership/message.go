package membership

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
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
	// hashes tell the sender's state.
	hashes hashes
	// sections are parts of the sender's state; nil where there is none.
	sections encodings
}

// messageVersion opens every message.
const messageVersion = 1

// Size implements wire.Appender.
func (m *message) Size() int {
	n := 2 + 8 + 8 + 8 + len(m.hashes)*len(hash{}) + 1
	for _, s := range m.sections {
		if s != nil {
			n += 1 + 4 + len(s)
		}
	}
	return n
}

// AppendTo implements wire.Appender.
func (m *message) AppendTo(b []byte) []byte {
	b = append(b, messageVersion, byte(m.verb))
	b = binary.BigEndian.AppendUint64(b, uint64(m.cluster))
	b = binary.BigEndian.AppendUint64(b, uint64(m.received))
	b = binary.BigEndian.AppendUint64(b, uint64(m.sent))
	b = m.hashes.append(b)
	return appendSections(b, m.sections)
}

// parseMessage reads what AppendTo wrote; the sections are parts of b.
func parseMessage(b []byte) (*message, error) {
	c := cursor{b: b}
	if v := c.u8(); !c.bad && v != messageVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, "read state message", "version %d, this release reads %d", v, messageVersion)
	}
	m := &message{verb: verb(c.u8()), cluster: kv.ClusterID(c.u64()), received: int64(c.u64()), sent: int64(c.u64())}
	m.hashes = c.hashes()
	m.sections = c.sections()
	if c.bad || len(c.b) > 0 || m.verb != verbExchange && m.verb != verbAnnounce {
		return nil, kv.Errorf(kv.KindInvalid, "read state message", "%d bytes are malformed", len(b))
	}
	return m, nil
}

// differing returns the sections of s whose hashes are not h's.
func (s *State) differing(h hashes) (out encodings) {
	for i := range out {
		if s.hashes[i] != h[i] {
			out[i] = s.encoded[i]
		}
	}
	return out
}

func (h hashes) append(b []byte) []byte {
	for _, one := range h {
		b = append(b, one[:]...)
	}
	return b
}

func (c *cursor) hashes() (h hashes) {
	for i := range h {
		copy(h[i][:], c.take(len(h[i])))
	}
	return h
}

// digest is what gossip carries: who has which state, and where to fetch it.
type digest struct {
	node   kv.NodeID
	peer   string
	hashes hashes
}

// digestVersion opens every digest. Nodes ignore a digest of another version:
// they still compare states now and then.
const digestVersion = 1

func (d digest) append(b []byte) []byte {
	b = append(b, digestVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(d.node))
	b = appendText(b, d.peer)
	return d.hashes.append(b)
}

func parseDigest(b []byte) (digest, bool) {
	c := cursor{b: b}
	if c.u8() != digestVersion {
		return digest{}, false
	}
	d := digest{node: kv.NodeID(c.u64()), peer: c.text(MaxAddress)}
	d.hashes = c.hashes()
	return d, !c.bad && len(c.b) == 0 && d.node != 0
}
