package object

import "github.com/ringtaildb/ringtail/internal/kv"

// Update is a put or delete as a client asks for it.
type Update struct {
	// Context is a sealed context; empty means that the client has seen
	// nothing.
	Context []byte
	// Deleted asks for a delete; then all that follows is empty.
	Deleted     bool
	ContentType []byte
	Value       []byte
	// Meta is kept beside the value for the door, up to kv.MaxMeta bytes.
	Meta []byte
	// Siblings has the write keep what Context has not seen, also in a bucket
	// whose merge is lww: it is then one of the object's causal writes.
	Siblings bool
	// Life says until when the value is to be shown.
	Life kv.Lifetime
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
