package object

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

const (
	flagsAt     = vclock.DotSize + 8 + 8
	siblingSize = flagsAt + 1 + 1 + 4

	flagDeleted = 1
	flagLWW     = 2
	flagExpires = 4
	flagMeta    = 8

	flagsPlain    = flagDeleted | flagLWW
	flagsExtended = flagExpires | flagMeta
)

// flagsOf returns the flags that siblings may have in a version of the format.
func flagsOf(version byte) byte {
	if version == versionPlain {
		return flagsPlain
	}
	return flagsPlain | flagsExtended
}

// Sibling is one value of an object. Its slices are parts of the object's
// bytes.
type Sibling struct {
	vclock.Dot
	// Seq is the sequence number of the write at the node that coordinated it.
	Seq uint64
	// Time is the write's hybrid time.
	Time kv.Time
	// Deleted marks a tombstone, which has no value, expiry or meta.
	Deleted bool
	// LWW marks a write under the merge rule lww.
	LWW bool
	// Expires is when the value is not shown any more, 0 for never (see Hide).
	Expires     kv.Expiry
	ContentType []byte
	Value       []byte
	// Meta is what the door that took the value keeps beside it. Nobody else
	// looks into it.
	Meta []byte
}

// checked sets s to the sibling with which b, which may be cut, begins, and
// returns its size. Its flags may be those of known. An error is for what no
// write makes.
func (s *Sibling) checked(b []byte, known byte) (int, error) {
	if len(b) < siblingSize {
		return 0, invalid("cut within a sibling")
	}
	flags, size := b[flagsAt], encodedSize(b)
	switch {
	case flags&^known != 0:
		return 0, invalid("unknown sibling flags")
	case len(b) < size:
		return 0, invalid("cut within a value")
	case flags&flagsExtended != 0:
		if err := checkExtension(b, size); err != nil {
			return 0, err
		}
	}
	s.decode(b)
	switch {
	case s.Node == 0 || s.Counter == 0:
		return 0, invalid("a sibling without a dot")
	case flags&flagDeleted != 0 && (flags&flagsExtended != 0 || size > siblingSize):
		return 0, invalid("a tombstone with a value")
	case len(s.Value) > kv.MaxValue:
		return 0, invalid("a value of %d bytes", len(s.Value))
	case len(s.Meta) > kv.MaxMeta:
		return 0, invalid("meta of %d bytes", len(s.Meta))
	case s.Expires > kv.MaxExpiry:
		return 0, invalid("an expiry past the year 9999")
	}
	return size, nil
}

// checkExtension checks expiry and meta, as far as they are encoded, of the
// sibling with which b begins, which has size bytes.
func checkExtension(b []byte, size int) error {
	flags, body := b[flagsAt], size-siblingSize-int(b[siblingSize-5])
	if flags&flagExpires != 0 {
		if body -= 8; body < 0 || decodeExpiry(b) == 0 {
			return invalid("an expiry that is none")
		}
	}
	if flags&flagMeta != 0 {
		if body -= 4; body < 0 || metaLen(b) == 0 || metaLen(b) > body {
			return invalid("meta that is none, or cut")
		}
	}
	return nil
}

// encodedSize returns the size of the sibling with which b begins.
func encodedSize(b []byte) int {
	return siblingSize + int(b[siblingSize-5]) + int(binary.BigEndian.Uint32(b[siblingSize-4:]))
}

// decodeExpiry returns the expiry of an encoded sibling, 0 for none.
func decodeExpiry(b []byte) kv.Expiry {
	if b[flagsAt]&flagExpires == 0 {
		return 0
	}
	return kv.Expiry(binary.BigEndian.Uint64(b[encodedSize(b)-8:]))
}

// metaLen returns the length of the meta of an encoded sibling that has one.
func metaLen(b []byte) int {
	end := encodedSize(b)
	if b[flagsAt]&flagExpires != 0 {
		end -= 8
	}
	return int(binary.BigEndian.Uint32(b[end-4:]))
}

// decodeSeq reads the sequence number of an encoded sibling.
func decodeSeq(b []byte) uint64 { return binary.BigEndian.Uint64(b[vclock.DotSize:]) }

func decodeSibling(b []byte) (s Sibling) {
	s.decode(b)
	return s
}

// decode sets s to the sibling with which b begins. It sets fields in place: a
// cursor's sibling is not copied for each step.
func (s *Sibling) decode(b []byte) {
	s.Dot = vclock.DecodeDot(b)
	s.Seq = decodeSeq(b)
	s.Time = kv.Time(binary.BigEndian.Uint64(b[vclock.DotSize+8:]))
	flags := b[flagsAt]
	s.Deleted, s.LWW = flags&flagDeleted != 0, flags&flagLWW != 0
	ct := siblingSize + int(b[siblingSize-5])
	s.ContentType, s.Value = b[siblingSize:ct], b[ct:encodedSize(b)]
	s.Expires, s.Meta = 0, nil
	if flags&flagsExtended != 0 {
		s.decodeExtension(flags)
	}
}

// decodeExtension takes expiry and meta from what follows the content type.
func (s *Sibling) decodeExtension(flags byte) {
	rest := s.Value
	if flags&flagExpires != 0 {
		at := len(rest) - 8
		s.Expires, rest = kv.Expiry(binary.BigEndian.Uint64(rest[at:])), rest[:at]
	}
	if flags&flagMeta != 0 {
		at := len(rest) - 4
		at -= int(binary.BigEndian.Uint32(rest[at:]))
		s.Meta, rest = rest[at:len(rest)-4], rest[:at]
	}
	s.Value = rest
}

func appendSibling(dst []byte, s *Sibling) []byte {
	flags, body := s.flags(), len(s.Value)
	if flags&flagMeta != 0 {
		body += len(s.Meta) + 4
	}
	if flags&flagExpires != 0 {
		body += 8
	}
	dst = vclock.AppendDot(dst, s.Dot)
	dst = binary.BigEndian.AppendUint64(dst, s.Seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Time))
	dst = append(dst, flags, byte(len(s.ContentType)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(body))
	dst = append(dst, s.ContentType...)
	dst = append(dst, s.Value...)
	if flags&flagMeta != 0 {
		dst = append(dst, s.Meta...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.Meta)))
	}
	if flags&flagExpires != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Expires))
	}
	return dst
}

func (s *Sibling) flags() byte {
	var flags byte
	if s.Deleted {
		flags |= flagDeleted
	}
	if s.LWW {
		flags |= flagLWW
	}
	if s.Expires != 0 {
		flags |= flagExpires
	}
	if len(s.Meta) > 0 {
		flags |= flagMeta
	}
	return flags
}
