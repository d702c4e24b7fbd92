package wire

import "encoding/binary"

// reader takes fields off the front of b. Past the end it returns zeros and
// sets bad; callers look once, at the end.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if v := r.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if v := r.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// bytes16 takes a length of two bytes and that many bytes.
func (r *reader) bytes16() []byte { return r.take(int(r.u16())) }

// bytes32 takes a length of four bytes and that many bytes.
func (r *reader) bytes32() []byte { return r.take(int(r.u32())) }
