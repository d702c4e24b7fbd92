// Package parse takes fields off the front of an encoding, numbers big-endian, so
// that its decoder looks for errors once, at the end.
package parse

import "encoding/binary"

// Reader is what is left of an encoding. Past its end, or once a field is Bad, it
// returns zeros. What it returns are parts of Rest.
type Reader struct {
	Rest []byte
	Bad  bool
}

// Take returns the next n bytes, nil if there are fewer.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.Rest) {
		r.Bad, r.Rest = true, nil
		return nil
	}
	v := r.Rest[:n:n]
	r.Rest = r.Rest[n:]
	return v
}

// U8 takes one byte.
func (r *Reader) U8() uint8 {
	if v := r.Take(1); v != nil {
		return v[0]
	}
	return 0
}

// U16 takes two bytes.
func (r *Reader) U16() uint16 {
	if v := r.Take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

// U32 takes four bytes.
func (r *Reader) U32() uint32 {
	if v := r.Take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

// U64 takes eight bytes.
func (r *Reader) U64() uint64 {
	if v := r.Take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// Flag takes a byte that is 0 or 1.
func (r *Reader) Flag() bool {
	v := r.U8()
	r.Need(v <= 1)
	return v == 1
}

// Bytes16 takes a length of two bytes and that many bytes.
func (r *Reader) Bytes16() []byte { return r.Take(int(r.U16())) }

// Bytes32 takes a length of four bytes and that many bytes.
func (r *Reader) Bytes32() []byte { return r.Take(int(r.U32())) }

// Count takes a number of four bytes, of items of at least size bytes each, which
// follow: what it returns is safe to allocate for. More than limit are Bad.
func (r *Reader) Count(limit, size int) int {
	n := uint64(r.U32())
	if n > uint64(limit) || n > uint64(len(r.Rest)/size) {
		r.Bad, r.Rest = true, nil
		return 0
	}
	return int(n)
}

// Need makes the encoding Bad unless ok.
func (r *Reader) Need(ok bool) { r.Bad = r.Bad || !ok }

// End tells whether all was read, and nothing was Bad.
func (r *Reader) End() bool { return !r.Bad && len(r.Rest) == 0 }
