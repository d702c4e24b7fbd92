package wire

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// ReplicaRead asks a replica for its object of a key. A replica whose object
// has the digest Have answers that it is the same, without its bytes.
type ReplicaRead struct {
	// Have is the digest of the asker's copy, 0 for none.
	Have uint64
	// Floor is the version of the asker's floor, 0 for the zero floor.
	Floor uint64
	// Hints asks for what the replica holds for others as well: its hints of
	// the key, merged with its own copy if it has one.
	Hints bool
	Key   kv.Key
}

const replicaReadHeader = 17

// Size implements Appender.
func (m *ReplicaRead) Size() int { return replicaReadHeader + len(m.Key) }

// AppendTo implements Appender.
func (m *ReplicaRead) AppendTo(b []byte) []byte {
	b = appendBool(b, m.Hints)
	b = binary.BigEndian.AppendUint64(b, m.Have)
	b = binary.BigEndian.AppendUint64(b, m.Floor)
	return append(b, m.Key...)
}

// ParseReplicaRead reads a ReplicaRead.
func ParseReplicaRead(b []byte) (ReplicaRead, error) {
	r := parse.Reader{Rest: b}
	hints := r.U8()
	m := ReplicaRead{Hints: hints == 1, Have: r.U64(), Floor: r.U64()}
	if r.Bad || hints > 1 {
		return m, cut("replica read")
	}
	var err error
	m.Key, err = kv.ParseKey(r.Rest)
	return m, err
}

// Copy says what a replica holds of a key.
type Copy uint8

const (
	// CopyAbsent: it has no record of the key.
	CopyAbsent Copy = 0
	// CopySame: its object has the digest that was asked about.
	CopySame Copy = 1
	// CopyObject: its object follows.
	CopyObject Copy = 2
)

// ReplicaCopy answers a ReplicaRead.
type ReplicaCopy struct {
	Copy Copy
	// OtherFloor tells that the replica's floor has not the version that was
	// asked about: it is Floor, empty for the zero floor.
	OtherFloor bool
	Floor      []byte
	Object     []byte
}

// otherFloor marks, in the byte of the Copy, that a floor follows.
const otherFloor = 0x80

// Size implements Appender.
func (m *ReplicaCopy) Size() int {
	if m.OtherFloor {
		return 5 + len(m.Floor) + len(m.Object)
	}
	return 1 + len(m.Object)
}

// AppendTo implements Appender.
func (m *ReplicaCopy) AppendTo(b []byte) []byte {
	if m.OtherFloor {
		b = append(b, byte(m.Copy)|otherFloor)
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.Floor)))
		b = append(b, m.Floor...)
	} else {
		b = append(b, byte(m.Copy))
	}
	return append(b, m.Object...)
}

// ParseReplicaCopy reads a ReplicaCopy; floor and object are not parsed.
func ParseReplicaCopy(b []byte) (ReplicaCopy, error) {
	r := parse.Reader{Rest: b}
	first := r.U8()
	m := ReplicaCopy{Copy: Copy(first &^ otherFloor), OtherFloor: first&otherFloor != 0}
	if m.OtherFloor {
		m.Floor = r.Bytes32()
	}
	m.Object = r.Rest
	if r.Bad {
		return ReplicaCopy{}, cut("replica copy")
	}
	if m.Copy > CopyObject || m.Copy != CopyObject && len(m.Object) > 0 {
		return ReplicaCopy{}, kv.Errorf(kv.KindInvalid, "read replica copy", "state %d with %d bytes", m.Copy, len(m.Object))
	}
	return m, nil
}

// Ack says which acknowledgements a ReplicaPut asks for, and which one an
// answer is.
type Ack uint8

const (
	// AckApplied: the object is merged and visible, perhaps only in memory.
	AckApplied Ack = 1
	// AckDurable: it is on stable storage as well.
	AckDurable Ack = 2
	// AckBoth asks for AckApplied as an interim answer, then AckDurable.
	AckBoth Ack = 3
)

// ReplicaPut has a replica merge an object into its own copy, or keep it for the
// owner that it is meant for.
type ReplicaPut struct {
	Ack Ack
	// For is the owner for which the receiver stands in: it stores the object as
	// a hint. 0 means the receiver's own copy.
	For kv.NodeID
	// Floor is the version of the sender's floor, 0 for the zero floor. A
	// receiver whose floor has the same version knows what the sender's covers.
	Floor  uint64
	Key    kv.Key
	Object []byte
}

const replicaPutHeader = 19

// Size implements Appender.
func (m *ReplicaPut) Size() int { return replicaPutHeader + len(m.Key) + len(m.Object) }

// AppendTo implements Appender.
func (m *ReplicaPut) AppendTo(b []byte) []byte {
	b = append(b, byte(m.Ack))
	b = binary.BigEndian.AppendUint64(b, uint64(m.For))
	b = binary.BigEndian.AppendUint64(b, m.Floor)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Key)))
	b = append(b, m.Key...)
	return append(b, m.Object...)
}

// ParseReplicaPut reads a ReplicaPut; the object is not parsed.
func ParseReplicaPut(b []byte) (ReplicaPut, error) {
	r := parse.Reader{Rest: b}
	m := ReplicaPut{Ack: Ack(r.U8()), For: kv.NodeID(r.U64()), Floor: r.U64()}
	key := r.Bytes16()
	m.Object = r.Rest
	if r.Bad || m.Ack < AckApplied || m.Ack > AckBoth {
		return m, cut("replica put")
	}
	var err error
	m.Key, err = kv.ParseKey(key)
	return m, err
}

// Size implements Appender.
func (a Ack) Size() int { return 1 }

// AppendTo implements Appender.
func (a Ack) AppendTo(b []byte) []byte { return append(b, byte(a)) }

// ParseAck reads an answer to a ReplicaPut.
func ParseAck(b []byte) (Ack, error) {
	if len(b) != 1 || Ack(b[0]) != AckApplied && Ack(b[0]) != AckDurable {
		return 0, cut("acknowledgement")
	}
	return Ack(b[0]), nil
}

// RequestFlags qualify a Get or Put.
type RequestFlags uint8

const (
	// FlagStrict lets only owners count.
	FlagStrict RequestFlags = 1 << iota
	// FlagReturnBody asks a put for its object.
	FlagReturnBody
	// FlagForwarded marks a request that a node has passed on: the receiver
	// coordinates it or refuses it, and never passes it on again.
	FlagForwarded
	// FlagDeleted makes a Put a delete.
	FlagDeleted
	// FlagStandIn has the receiver coordinate a request although it is no owner
	// of the key, because none was seen to answer.
	FlagStandIn
	// flagBeside, of a Put, tells that it has a lifetime or meta. Nodes of the
	// first release refuse it.
	flagBeside
	// FlagSiblings has a Put keep what its context has not seen, also in a bucket
	// whose merge is lww. Nodes of the first release refuse it.
	FlagSiblings

	knownRequestFlags = FlagStrict | FlagReturnBody | FlagForwarded | FlagDeleted | FlagStandIn | FlagSiblings
)

// AddFlags sets flags in m, an encoded Get or Put.
func AddFlags(m []byte, f RequestFlags) { m[0] |= byte(f) }

// Get has a node coordinate a get. The deadline is the frame's.
type Get struct {
	Flags RequestFlags
	// R, W and DW are as in kv.Options; a get uses R alone.
	R, W, DW int8
	Key      kv.Key
}

// Size implements Appender.
func (m *Get) Size() int { return 4 + len(m.Key) }

// AppendTo implements Appender.
func (m *Get) AppendTo(b []byte) []byte {
	b = append(b, byte(m.Flags), byte(m.R), byte(m.W), byte(m.DW))
	return append(b, m.Key...)
}

// ParseGet reads a Get. Its quorums are not checked.
func ParseGet(b []byte) (Get, error) {
	r := parse.Reader{Rest: b}
	m := Get{Flags: RequestFlags(r.U8()), R: int8(r.U8()), W: int8(r.U8()), DW: int8(r.U8())}
	if r.Bad || m.Flags&^knownRequestFlags != 0 {
		return m, cut("get")
	}
	var err error
	m.Key, err = kv.ParseKey(r.Rest)
	return m, err
}

// Answer answers a Get or Put: a sealed context and an object, either empty
// when there is none.
type Answer struct {
	Context []byte
	Object  []byte
}

// Size implements Appender.
func (m *Answer) Size() int { return 4 + len(m.Context) + len(m.Object) }

// AppendTo implements Appender.
func (m *Answer) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Context)))
	b = append(b, m.Context...)
	return append(b, m.Object...)
}

// ParseAnswer reads an Answer; the object is not parsed.
func ParseAnswer(b []byte) (Answer, error) {
	r := parse.Reader{Rest: b}
	m := Answer{Context: r.Bytes32()}
	m.Object = r.Rest
	if r.Bad {
		return m, cut("answer")
	}
	return m, nil
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func cut(what string) error {
	return kv.Errorf(kv.KindInvalid, "read "+what, "the message is cut or malformed")
}
