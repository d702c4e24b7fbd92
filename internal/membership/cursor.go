package membership

import "encoding/binary"

// cursor takes fields off the front of b. Past the end it returns zeros and
// sets bad; callers look once, at the end.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.bad, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() uint8 {
	if v := c.take(1); v != nil {
		return v[0]
	}
	return 0
}

// bool takes a byte that is 0 or 1.
func (c *cursor) bool() bool {
	v := c.u8()
	c.need(v <= 1)
	return v == 1
}

func (c *cursor) u16() uint16 {
	if v := c.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if v := c.take(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) u64() uint64 {
	if v := c.take(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}

// text takes a length of two bytes, at most limit, and that many bytes.
func (c *cursor) text(limit int) string {
	n := int(c.u16())
	if n > limit {
		c.bad = true
		return ""
	}
	return string(c.take(n))
}

// count takes a number of items of at least size bytes each, at most limit:
// what it returns is safe to allocate for.
func (c *cursor) count(limit, size int) int {
	n := int(c.u32())
	if n > limit || n > len(c.b)/size {
		c.bad = true
		return 0
	}
	return n
}

// need marks the input as malformed unless ok.
func (c *cursor) need(ok bool) {
	if !ok {
		c.bad = true
	}
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
