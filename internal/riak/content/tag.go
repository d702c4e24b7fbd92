package content

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/big"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// VTag names a version of one value, as Riak's vtags do: every node gives a write
// the same one, and no two writes have the same.
func VTag(d vclock.Dot) string {
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], uint64(d.Node))
	binary.BigEndian.PutUint64(b[8:], d.Birth)
	binary.BigEndian.PutUint64(b[16:], d.Counter)
	sum := sha256.Sum256(b[:])
	return base62([16]byte(sum[:16]))
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

func base62(b [16]byte) string {
	text := new(big.Int).SetBytes(b[:]).Text(62)
	const zeros = "0000000000000000000000"
	return zeros[:tagLen-len(text)] + text
}
