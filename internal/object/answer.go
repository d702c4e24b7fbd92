package object

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Update is a put or delete as a client asks for it.
type Update struct {
	// Context is a sealed context; empty means that the client has seen
	// nothing.
	Context []byte
	// Deleted asks for a delete; then ContentType and Value are empty.
	Deleted     bool
	ContentType []byte
	Value       []byte
}

// Answer is what a get, or a put that asked for it, hands back. Its bytes belong
// to the receiver.
type Answer struct {
	// Object holds the siblings; the zero Object when the key was never put.
	Object Object
	// Context is the sealed context of all that Object has seen; empty when
	// nothing was ever put, or when the put cannot name one (DESIGN section 3).
	Context []byte
}

// VersionHash returns a hash of what o has seen and keeps, of its clock and
// dots, not of its values: two copies with equal hashes need not be compared.
// Dots are issued by the nodes, so a client cannot make two versions collide.
// The zero Object's hash is 0, no other's is.
func VersionHash(o Object) uint64 {
	if o.raw == nil {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	var room [vclock.DotSize + 1]byte
	binary.BigEndian.PutUint16(room[:], uint16(o.n))
	_, _ = d.Write(room[:2])
	_, _ = d.Write(o.clock)
	_, _ = d.Write(o.horizon)
	for c := o.Siblings(); c.Next(); {
		_, _ = d.Write(c.raw[:vclock.DotSize])
	}
	if h := d.Sum64(); h != 0 {
		return h
	}
	return 1
}
