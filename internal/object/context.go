package object

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Context is what a client has seen of a key: it comes with a get and goes back
// with the put that supersedes it. The zero Context has seen nothing.
type Context struct {
	// Clock covers every causal sibling that was handed out with it.
	Clock vclock.Clock
	// Time, LWW and Seq are the hybrid time, the dot and the sequence number of
	// the greatest lww write seen, zero for none.
	Time kv.Time
	LWW  vclock.Dot
	Seq  uint64
	// Fastest is the replica that answered the get first, which the next put
	// prefers as its coordinator (§5); 0 for none.
	Fastest kv.NodeID
}

// A sealed context is:
//
//	offset  size
//	     0     1  format version
//	     1     2  clock entries
//	     3     8  fastest replica
//	    11    40  the greatest lww write: time, dot, sequence number
//	    51  40 n  clock
//	           16  HMAC-SHA-256 of all before, cut, under the cluster's key
const (
	contextVersion = 2
	contextHeader  = 11 + tagSize
	contextMAC     = 16
	// MaxContext bounds a sealed context, in bytes.
	MaxContext = contextHeader + maxContextEntries*vclock.EntrySize + contextMAC
	// A merge of capped clocks may exceed the cap; past this a get's context
	// cannot be sealed.
	maxContextEntries = 4096
)

// ContextOf returns the context of a get that answered o. Its clock may share
// o's bytes.
func ContextOf(o Object) Context {
	t := o.register().tag
	return Context{Clock: o.clock, Time: t.time, LWW: t.dot, Seq: t.seq}
}

func (c Context) tag() tag { return tag{time: c.Time, dot: c.LWW, seq: c.Seq} }

// register returns what c says of an object's register: whoever has seen an lww
// write supersedes it. A time without a dot only orders later lww writes.
func (c Context) register() register {
	if c.LWW.Node == 0 {
		return register{}
	}
	return register{tag: c.tag(), fate: dead}
}

// Sealer makes contexts that clients cannot forge and reads them again. It is
// safe for concurrent use.
type Sealer struct {
	macs sync.Pool
}

// mac is a keyed hash with room for its sum, reused so that sealing does not
// allocate.
type mac struct {
	hash.Hash
	sum [sha256.Size]byte
}

// NewSealer returns a Sealer under the cluster's key.
func NewSealer(key []byte) *Sealer {
	k := append([]byte(nil), key...)
	return &Sealer{macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, k)} }}}
}

// AppendSealed appends c, sealed, to dst. The error is of KindTooManySiblings,
// for a clock of more than 4,096 entries.
func (s *Sealer) AppendSealed(dst []byte, c Context) ([]byte, error) {
	n := c.Clock.Len()
	if n > maxContextEntries {
		return dst, kv.Errorf(kv.KindTooManySiblings, "seal context", "%d clock entries, the limit is %d", n, maxContextEntries)
	}
	at := len(dst)
	dst = append(dst, contextVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Fastest))
	dst = appendTag(dst, c.tag())
	dst = append(dst, c.Clock...)
	m := s.macs.Get().(*mac)
	dst = append(dst, m.of(dst[at:])...)
	s.macs.Put(m)
	return dst, nil
}

// Open reads a sealed context; an empty b is the zero Context. The context's
// clock is a part of b. The error is of KindBadContext: cut, forged, damaged or
// of another cluster.
func (s *Sealer) Open(b []byte) (Context, error) {
	if len(b) == 0 {
		return Context{}, nil
	}
	if len(b) < contextHeader+contextMAC || len(b) > MaxContext {
		return Context{}, badContext("%d bytes", len(b))
	}
	end := len(b) - contextMAC
	m := s.macs.Get().(*mac)
	ok := hmac.Equal(m.of(b[:end]), b[end:])
	s.macs.Put(m)
	if !ok {
		return Context{}, badContext("its checksum does not match: cut, changed, or of another cluster")
	}
	if b[0] != contextVersion {
		return Context{}, badContext("format version %d", b[0])
	}
	clock, err := vclock.Parse(b[contextHeader:end], int(binary.BigEndian.Uint16(b[1:])))
	if err != nil {
		return Context{}, badContext("%v", err)
	}
	t := decodeTag(b[11:])
	return Context{
		Clock:   clock,
		Time:    t.time,
		LWW:     t.dot,
		Seq:     t.seq,
		Fastest: kv.NodeID(binary.BigEndian.Uint64(b[3:])),
	}, nil
}

// FastestOf returns the fastest replica that a sealed context names, 0 if it names
// none: for a client, which cannot tell whether the context is whole.
func FastestOf(sealed []byte) kv.NodeID {
	if len(sealed) < contextHeader+contextMAC || sealed[0] != contextVersion {
		return 0
	}
	return kv.NodeID(binary.BigEndian.Uint64(sealed[3:]))
}

func (m *mac) of(b []byte) []byte {
	m.Reset()
	m.Write(b)
	return m.Sum(m.sum[:0])[:contextMAC]
}

// EncodeContext returns a sealed context as text protocols carry it.
func EncodeContext(sealed []byte) string { return base64.RawURLEncoding.EncodeToString(sealed) }

// DecodeContext is the inverse of EncodeContext. The error is of KindBadContext.
func DecodeContext(s string) ([]byte, error) {
	if base64.RawURLEncoding.DecodedLen(len(s)) > MaxContext {
		return nil, badContext("%d characters", len(s))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	// The decoder skips line breaks; a context has none.
	if err != nil || base64.RawURLEncoding.EncodedLen(len(b)) != len(s) {
		return nil, badContext("it is not base64url")
	}
	return b, nil
}

func badContext(format string, args ...any) error {
	return kv.Errorf(kv.KindBadContext, "read context", format, args...)
}

// SameSeen tells whether two sealed contexts have seen the same, whichever
// replicas answered first. It does not check that they are whole.
func SameSeen(a, b []byte) bool {
	const least = contextHeader + contextMAC
	return len(a) == len(b) && len(a) >= least && bytes.Equal(a[:3], b[:3]) &&
		bytes.Equal(a[11:len(a)-contextMAC], b[11:len(b)-contextMAC])
}
