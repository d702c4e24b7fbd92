package wire

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// Magic opens every Hello and HelloAck.
const Magic = "RTL\x01"

// Sizes of the handshake, in bytes.
const (
	// HelloHeader is the magic and the length of the body.
	HelloHeader = len(Magic) + 2
	// MaxHello bounds a whole Hello or HelloAck.
	MaxHello = 2048
)

// Identity is what a node says of itself in a handshake; its sequence is what
// keeps an old copy of a data directory from coming back (DESIGN section 3).
type Identity struct {
	Node kv.NodeID
	// Boot counts the starts of this data directory; Nonce is random in each.
	Boot, Nonce uint64
	// Base is the highest sequence that the directory had reserved when the
	// node started, Limit the highest that it has reserved since.
	Base, Limit uint64
}

// Hello is what the side that dialled sends first.
type Hello struct {
	Versions
	Role Role
	// Cluster is the sender's cluster, 0 for a client that takes any.
	Cluster kv.ClusterID
	Identity
}

// HelloAck answers a Hello. With an error in it the connection is closed.
type HelloAck struct {
	// Version is the one chosen, 0 with an error.
	Version Version
	Cluster kv.ClusterID
	Identity
	// Err refuses the connection; its kinds are KindWrongVersion,
	// KindWrongCluster, KindOldCopy, KindOverloaded and KindRefused.
	Err error
}

// AppendHello appends h, framed.
func AppendHello(b []byte, h Hello) []byte {
	b, at := beginHello(b)
	b = binary.BigEndian.AppendUint16(b, uint16(h.Min))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Max))
	b = append(b, byte(h.Role))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Cluster))
	b = appendIdentity(b, h.Identity)
	return endHello(b, at)
}

// ParseHello reads the body of a Hello, without its frame. Bytes past the
// fields that it knows are a later version's and are left alone.
func ParseHello(b []byte) (Hello, error) {
	r := parse.Reader{Rest: b}
	h := Hello{Versions: Versions{Version(r.U16()), Version(r.U16())}, Role: Role(r.U8()), Cluster: kv.ClusterID(r.U64())}
	h.Identity = parseIdentity(&r)
	if r.Bad {
		return Hello{}, kv.Errorf(kv.KindInvalid, "read hello", "%d bytes are too few", len(b))
	}
	switch {
	case h.Min > h.Max || h.Min == 0:
		return Hello{}, kv.Errorf(kv.KindInvalid, "read hello", "versions %v", h.Versions)
	case h.Role != RoleNode && h.Role != RoleClient:
		return Hello{}, kv.Errorf(kv.KindInvalid, "read hello", "unknown role %d", h.Role)
	case (h.Role == RoleNode) != (h.Node != 0):
		return Hello{}, kv.Errorf(kv.KindInvalid, "read hello", "role %d with node id %v", h.Role, h.Node)
	}
	return h, nil
}

// AppendHelloAck appends a, framed.
func AppendHelloAck(b []byte, a HelloAck) []byte {
	b, at := beginHello(b)
	b = binary.BigEndian.AppendUint16(b, uint16(a.Version))
	b = binary.BigEndian.AppendUint64(b, uint64(a.Cluster))
	b = appendIdentity(b, a.Identity)
	if a.Err != nil {
		b = AppendError(b, a.Err)
	}
	return endHello(b, at)
}

// ParseHelloAck reads the body of a HelloAck, without its frame.
func ParseHelloAck(b []byte) (HelloAck, error) {
	r := parse.Reader{Rest: b}
	a := HelloAck{Version: Version(r.U16()), Cluster: kv.ClusterID(r.U64())}
	a.Identity = parseIdentity(&r)
	switch {
	case r.Bad:
		return HelloAck{}, kv.Errorf(kv.KindInvalid, "read hello answer", "%d bytes are too few", len(b))
	case a.Version == 0:
		a.Err = ParseError(r.Rest)
	case a.Version < MinVersion || a.Version > MaxVersion:
		return HelloAck{}, kv.Errorf(kv.KindWrongVersion, "read hello answer", "version %d was not offered", a.Version)
	}
	return a, nil
}

// HelloSize returns how many bytes follow the HelloHeader bytes b, the body and
// its checksum, or an error of KindInvalid when b opens no handshake.
func HelloSize(b []byte) (int, error) {
	if len(b) < HelloHeader || string(b[:len(Magic)]) != Magic {
		return 0, kv.Errorf(kv.KindInvalid, "read hello", "this is not Ringtail's protocol")
	}
	n := int(binary.BigEndian.Uint16(b[len(Magic):])) + 4
	if n > MaxHello-HelloHeader {
		return 0, kv.Errorf(kv.KindInvalid, "read hello", "%d bytes are too many", n)
	}
	return n, nil
}

// HelloBody checks and strips the checksum of what followed a HelloHeader.
func HelloBody(b []byte) ([]byte, error) {
	if len(b) < 4 || crc32.Checksum(b[:len(b)-4], castagnoli) != binary.BigEndian.Uint32(b[len(b)-4:]) {
		return nil, kv.Errorf(kv.KindCorrupt, "read hello", "the checksum does not match")
	}
	return b[:len(b)-4], nil
}

func beginHello(b []byte) ([]byte, int) {
	at := len(b)
	b = append(b, Magic...)
	return append(b, 0, 0), at
}

func endHello(b []byte, at int) []byte {
	body := b[at+HelloHeader:]
	binary.BigEndian.PutUint16(b[at+len(Magic):], uint16(len(body)))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
}

func appendIdentity(b []byte, i Identity) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(i.Node))
	b = binary.BigEndian.AppendUint64(b, i.Boot)
	b = binary.BigEndian.AppendUint64(b, i.Nonce)
	b = binary.BigEndian.AppendUint64(b, i.Base)
	return binary.BigEndian.AppendUint64(b, i.Limit)
}

func parseIdentity(r *parse.Reader) Identity {
	return Identity{Node: kv.NodeID(r.U64()), Boot: r.U64(), Nonce: r.U64(), Base: r.U64(), Limit: r.U64()}
}
