package membership

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/parse"
)

// cursor reads an encoding.
type cursor struct{ parse.Reader }

// text takes a length of two bytes, at most limit, and that many bytes.
func (c *cursor) text(limit int) string {
	n := int(c.U16())
	if n > limit {
		c.Bad = true
		return ""
	}
	return string(c.Take(n))
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
