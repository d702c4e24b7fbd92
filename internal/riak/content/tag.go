package content

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// VTag names a version of one value, as Riak's vtags do: every node gives a write
// the same one, and no two writes have the same.
func VTag(d vclock.Dot) string {
	var b [25]byte
	binary.BigEndian.PutUint64(b[:], uint64(d.Node))
	binary.BigEndian.PutUint64(b[8:], d.Birth)
	binary.BigEndian.PutUint64(b[16:], d.Counter)
	var sum [16]byte
	binary.BigEndian.PutUint64(sum[:], xxhash.Sum64(b[:24]))
	b[24] = 1
	binary.BigEndian.PutUint64(sum[8:], xxhash.Sum64(b[:]))
	return base62(sum)
}

// NewKey returns a key that nobody has: 128 random bits, as text.
func NewKey() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base62(b), nil
}

// tagLen is how many digits of base 62 hold 128 bits.
const tagLen = 22

const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// base62 returns b, a number, in tagLen digits.
func base62(b [16]byte) string {
	hi, lo := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	var text [tagLen]byte
	for i := tagLen - 1; i >= 0; i-- {
		var digit uint64
		hi, digit = hi/62, hi%62
		lo, digit = bits.Div64(digit, lo, 62)
		text[i] = digits[digit]
	}
	return string(text[:])
}
