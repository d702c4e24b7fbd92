package vclock

import "github.com/ringtaildb/ringtail/internal/kv"

// Own is what a record holds beside its object: the actor under which this node
// writes to it, and the counter of that actor's last write here. The zero Own
// has no actor.
//
// Invariants, each of which keeps a dot from being issued twice
// (models/versions shows what each one prevents):
//
//   - Each record has its own: a key's data record and each of its hint
//     records are different records with different actors.
//   - Only a local write sets it. A merge from outside leaves it alone, for
//     the history behind another copy's entry may have been lost here.
//   - None from before this process started is used again: the last writes of
//     an earlier process may have been lost with its write buffer, or the
//     directory may be a restored backup.
//   - None from before a failed local write is used again: the failed write
//     may be in the log, though not in the answer.
//   - The counter stands beside the object, because the clock's entry may have
//     been truncated.
type Own struct {
	Actor
	Counter uint64
}

// OwnSize is the size of an encoded Own, in bytes.
const OwnSize = DotSize

// AppendOwn appends the OwnSize bytes of o to dst.
func AppendOwn(dst []byte, o Own) []byte { return AppendDot(dst, Dot(o)) }

// DecodeOwn reads what AppendOwn wrote; b has at least OwnSize bytes.
func DecodeOwn(b []byte) Own { return Own(DecodeDot(b)) }

// Issue issues the dot of one local write to a record and returns the Own to be
// stored with it; its actor and counter are the dot. The write's id and
// sequence number come from the node's durable sequence; an actor born before
// from is not used again, a new one is born at seq. The caller holds the
// record's lock from reading own and c until the write is applied.
func Issue(own Own, c Clock, node kv.NodeID, seq, from uint64) Own {
	if own.Node != node || own.Birth < from {
		own = Own{Actor: Actor{Node: node, Birth: seq}}
	}
	own.Counter = max(own.Counter, c.Counter(own.Actor)) + 1
	return own
}
