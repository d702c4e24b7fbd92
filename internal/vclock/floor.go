package vclock

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Floor is an encoded vector of node sequences: entries of FloorEntrySize
// bytes, strictly ascending by node; nil is the zero floor. It is read-only.
//
// A copy of a partition whose floor is f has seen every write with a dot of
// node n and a sequence number up to f's for n, save those that were given up
// for ever. So it may forget what such writes left behind: when one of them
// comes late, the floor tells that the copy had it once.
type Floor []byte

// FloorEntrySize is the size of an encoded entry, in bytes: the node and the
// sequence number, both 8, big-endian.
const FloorEntrySize = 16

// ParseFloor checks that b is a floor in canonical form and returns it as one;
// it is not copied. The error is of KindInvalid.
func ParseFloor(b []byte) (Floor, error) {
	if len(b)%FloorEntrySize != 0 {
		return nil, kv.Errorf(kv.KindInvalid, "parse floor", "%d bytes are no whole entries", len(b))
	}
	f := Floor(b)
	var last kv.NodeID
	for i := range f.Len() {
		id, seq := f.At(i)
		if seq == 0 {
			return nil, kv.Errorf(kv.KindInvalid, "parse floor", "entry %d has no sequence", i)
		}
		switch {
		case i > 0 && id <= last:
			return nil, kv.Errorf(kv.KindInvalid, "parse floor", "entry %d is not in order", i)
		case id == expiryMark && seq > uint64(kv.MaxExpiry):
			return nil, kv.Errorf(kv.KindInvalid, "parse floor", "the expiry mark %d is past the year 9999", seq)
		}
		last = id
	}
	return f, nil
}

// AppendFloorEntry appends the encoding of one entry, a floor by itself, to
// dst. A floor has its entries in the order of their nodes, and none of
// sequence 0.
func AppendFloorEntry(dst []byte, id kv.NodeID, seq uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(id))
	return binary.BigEndian.AppendUint64(dst, seq)
}

// expiryMark stands in the place of a node in the entry of the expiry mark: no
// node has this id.
const expiryMark kv.NodeID = 0

// AppendExpiryMark appends a floor with nothing but the expiry mark e to dst, the
// zero floor for 0.
func AppendExpiryMark(dst []byte, e kv.Expiry) []byte {
	if e == 0 {
		return dst
	}
	return AppendFloorEntry(dst, expiryMark, uint64(e))
}

// Expiry returns the expiry mark, 0 for none: what expired by then is past at
// every node, also at those whose clock is slow, so a value that has counts as a
// tombstone where f covers its write. Unlike the sequences it is no claim about
// the copy: it may be joined to the floor of any.
func (f Floor) Expiry() kv.Expiry {
	if len(f) == 0 {
		return 0
	}
	if id, e := f.At(0); id == expiryMark {
		return kv.Expiry(e)
	}
	return 0
}

// Len returns the number of entries.
func (f Floor) Len() int { return len(f) / FloorEntrySize }

// At returns entry i.
func (f Floor) At(i int) (kv.NodeID, uint64) {
	b := f[i*FloorEntrySize:]
	return kv.NodeID(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])
}

// Seq returns the sequence up to which f covers the writes of id, 0 for none.
func (f Floor) Seq(id kv.NodeID) uint64 {
	lo, hi := 0, f.Len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch node, seq := f.At(mid); {
		case node == id:
			return seq
		case node < id:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return 0
}

// Covers tells whether f covers the write of id with sequence seq. None covers
// a write without a sequence, 0.
func (f Floor) Covers(id kv.NodeID, seq uint64) bool { return seq > 0 && f.Seq(id) >= seq }

// Includes tells whether f covers all that o does.
func (f Floor) Includes(o Floor) bool {
	if bytes.Equal(f, o) {
		return true
	}
	for i := range o.Len() {
		if !f.Covers(o.At(i)) {
			return false
		}
	}
	return true
}

// AppendFloorJoin appends the least floor that includes a and b, the greater
// sequence of each node, to dst.
func AppendFloorJoin(dst []byte, a, b Floor) []byte {
	const idSize = FloorEntrySize - 8
	for len(a) > 0 && len(b) > 0 {
		switch bytes.Compare(a[:idSize], b[:idSize]) {
		case -1:
			dst, a = append(dst, a[:FloorEntrySize]...), a[FloorEntrySize:]
		case 1:
			dst, b = append(dst, b[:FloorEntrySize]...), b[FloorEntrySize:]
		default:
			greater := a
			if bytes.Compare(a[:FloorEntrySize], b[:FloorEntrySize]) < 0 {
				greater = b
			}
			dst = append(dst, greater[:FloorEntrySize]...)
			a, b = a[FloorEntrySize:], b[FloorEntrySize:]
		}
	}
	dst = append(dst, a...)
	return append(dst, b...)
}

// Version returns a hash of f, by which two nodes tell that they hold the same
// floor; 0 for the zero floor and for no other. It reads all of f: who asks
// often keeps it.
func (f Floor) Version() uint64 {
	if len(f) == 0 {
		return 0
	}
	if h := xxhash.Sum64(f); h != 0 {
		return h
	}
	return 1
}
