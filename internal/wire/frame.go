// Package wire defines the bytes that travel between nodes, and between a node
// and the Go client: the handshake, frames, and the messages within them.
//
// A connection starts with a Hello and a HelloAck (hello.go). Then frames flow
// both ways. Requests go from the side that dialled to the side that accepted,
// responses the other way. A message that is larger than MaxChunk travels as
// several frames of the same id, so that a large object does not hold up the
// small ones behind it.
//
//	offset  size
//	     0     4  length of all that follows, checksum included
//	     4     1  type
//	     5     1  flags
//	     6     2  stamp: when a request was made, by the sender's clock (Stamp); zero
//	              in responses, and before version 3
//	     8     8  request id
//	    16     4  deadline: milliseconds left when the request was sent
//	    20     8  level: how far the sender knows the ring or the partition to be
//	              (Version.Sent: before version 2, the ring's epoch)
//	    28     n  payload
//	  28+n     4  CRC-32C of the bytes from offset 4 to 28+n
//
// Numbers are big-endian. Decoders check every length before they use it,
// allocate nothing that the input's own length does not justify, and return
// slices of their input.
package wire

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Sizes of a frame, in bytes.
const (
	// HeaderSize is what precedes the payload.
	HeaderSize = 28
	// Overhead is a frame's size without its payload.
	Overhead = HeaderSize + 4
	// MaxChunk bounds the payload of one frame.
	MaxChunk = 32 << 10
	// MaxFrame bounds a whole frame; a reader's buffer must hold that much.
	MaxFrame = MaxChunk + Overhead
)

// Type says what a frame's payload is. Append only.
type Type uint8

const (
	// TypePing asks for an empty response; it carries no payload.
	TypePing Type = 1
	// TypeReplicaRead asks one replica for its object (ReplicaRead).
	TypeReplicaRead Type = 2
	// TypeReplicaPut has one replica merge an object (ReplicaPut).
	TypeReplicaPut Type = 3
	// TypeGet has a node coordinate a get (Get).
	TypeGet Type = 4
	// TypePut has a node coordinate a put or delete (Put).
	TypePut Type = 5
	// TypeState exchanges the cluster state; its payload is membership's own.
	TypeState Type = 6
	// Type 7 was a commit before there was a vote.

	// TypeListKeys lists the keys that one node holds (ListKeys).
	TypeListKeys Type = 8
	// TypeHandoff hands a hint to its owner (Handoff).
	TypeHandoff Type = 9
	// TypeExchange compares copies of partitions; its payload is antientropy's
	// own.
	TypeExchange Type = 10
	// TypeSweep raises the floors of partitions; its payload is antientropy's
	// own.
	TypeSweep Type = 11
	// TypeVote asks a member for its vote on a change of the ring; its payload
	// is membership's own.
	TypeVote Type = 12
	// TypeMarks tells how far such a change has come; its payload is
	// membership's own.
	TypeMarks Type = 13
	// TypeRing asks a node for the ring, so that a client finds a key's owners
	// (RingQuery); from version 2 on.
	TypeRing Type = 14
	// TypeEnd tells, as a response to no request (its id is 0), that the node ends
	// in order: it answers what has reached it, and takes nothing new. The side
	// that dialled closes the connection once it waits for no answer more.
	TypeEnd Type = 15

	// NumTypes bounds the list, for tables.
	NumTypes = 16
)

var typeNames = [NumTypes]string{
	"none", "ping", "replica read", "replica put", "get", "put", "state", "retired", "list keys", "handoff", "exchange", "sweep",
	"vote", "marks", "ring", "end",
}

// String returns the type's name as it stands in errors and metrics.
func (t Type) String() string {
	if t < NumTypes {
		return typeNames[t]
	}
	return "unknown"
}

// Flags qualify a frame.
type Flags uint8

const (
	// FlagResponse marks a response; its id is the request's.
	FlagResponse Flags = 1 << iota
	// FlagError marks a response whose payload is an error (AppendError).
	FlagError
	// FlagMore marks a frame that is continued by the next one of its id.
	FlagMore
	// FlagInterim marks a response that a further one will follow.
	FlagInterim

	knownFlags = FlagResponse | FlagError | FlagMore | FlagInterim
)

// Stamp is a time of the side that dialled: milliseconds since its connection
// began, modulo 2^16. Two that are less than 32 s apart can be compared.
type Stamp uint16

// StampOf returns the stamp of a time since the connection began.
func StampOf(at time.Duration) Stamp { return Stamp(at / time.Millisecond) }

// Since returns how much later s is than t; negative where it is earlier.
func (s Stamp) Since(t Stamp) time.Duration { return time.Duration(int16(s-t)) * time.Millisecond }

// Header is a frame without its payload.
type Header struct {
	Type  Type
	Flags Flags
	// Stamp tells when the sender took Deadline; 0 in responses, and where the
	// connection's version has none (Version.Stamped).
	Stamp Stamp
	// ID ties responses to requests; it is unique among a connection's pending
	// requests.
	ID uint64
	// Deadline is the milliseconds that the sender still waits; 0 in responses.
	Deadline uint32
	// Level says how far the sender knows the ring, or the partition in question,
	// to be; 0 when it has none. In a header it is as the connection's version has
	// it (Version.Sent, Version.Received).
	Level kv.Level
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BeginFrame appends room for a header and returns the offset at which the
// frame begins, for EndFrame. The caller appends the payload in between.
func BeginFrame(b []byte) ([]byte, int) {
	at := len(b)
	var room [HeaderSize]byte
	return append(b, room[:]...), at
}

// EndFrame fills in the header of the frame that begins at offset at and ends
// with b, and appends the checksum. A payload over MaxChunk is a programmer's
// error.
func EndFrame(b []byte, at int, h Header) []byte {
	n := len(b) - at - HeaderSize
	if n < 0 || n > MaxChunk {
		panic("wire: the payload does not fit a frame")
	}
	f := b[at:]
	binary.BigEndian.PutUint32(f, uint32(n+Overhead-4))
	f[4], f[5] = byte(h.Type), byte(h.Flags)
	binary.BigEndian.PutUint16(f[6:], uint16(h.Stamp))
	binary.BigEndian.PutUint64(f[8:], h.ID)
	binary.BigEndian.PutUint32(f[16:], h.Deadline)
	binary.BigEndian.PutUint64(f[20:], uint64(h.Level))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(f[4:], castagnoli))
}

// FrameSize returns the size of the frame whose first four bytes are b, or an
// error of KindInvalid when no frame has that size.
func FrameSize(b []byte) (int, error) {
	n := binary.BigEndian.Uint32(b)
	if n < Overhead-4 || n > MaxFrame-4 {
		return 0, kv.Errorf(kv.KindInvalid, "read frame", "length %d is not within %d to %d", n, Overhead-4, MaxFrame-4)
	}
	return int(n) + 4, nil
}

// ParseFrame reads a whole frame, of the size that FrameSize told. The payload
// is a part of b.
func ParseFrame(b []byte) (Header, []byte, error) {
	if len(b) < Overhead {
		return Header{}, nil, kv.Errorf(kv.KindInvalid, "read frame", "%d bytes are too few", len(b))
	}
	if n, err := FrameSize(b); err != nil {
		return Header{}, nil, err
	} else if n != len(b) {
		return Header{}, nil, kv.Errorf(kv.KindInvalid, "read frame", "%d bytes where the length says %d", len(b), n)
	}
	end := len(b) - 4
	if sum := binary.BigEndian.Uint32(b[end:]); sum != crc32.Checksum(b[4:end], castagnoli) {
		return Header{}, nil, kv.Errorf(kv.KindCorrupt, "read frame", "the checksum does not match")
	}
	h := Header{
		Type:     Type(b[4]),
		Flags:    Flags(b[5]),
		Stamp:    Stamp(binary.BigEndian.Uint16(b[6:])),
		ID:       binary.BigEndian.Uint64(b[8:]),
		Deadline: binary.BigEndian.Uint32(b[16:]),
		Level:    kv.Level(binary.BigEndian.Uint64(b[20:])),
	}
	if h.Type == 0 || h.Type >= NumTypes || h.Flags&^knownFlags != 0 {
		return Header{}, nil, kv.Errorf(kv.KindInvalid, "read frame", "unknown type %d or flags %#x", h.Type, h.Flags)
	}
	if h.Flags&FlagResponse != 0 && h.Stamp != 0 {
		return Header{}, nil, kv.Errorf(kv.KindInvalid, "read frame", "a response has the stamp %d", h.Stamp)
	}
	return h, b[HeaderSize:end], nil
}
