package sim

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Key is one key, and all that clients did to it.
type Key struct {
	kv.Key
	lww       bool
	partition kv.Partition
	writes    []*Write
	ops       []*Op
}

func (k *Key) String() string { return string(k.User()) }

// Write is one put or delete as it truly happened. Its number stands in its
// value, so that whoever meets the value knows the write.
type Write struct {
	id      int
	key     *Key
	op      *Op
	deleted bool
	value   []byte
	// ttl is how long the value is to live, 0 for ever; born is when it was last
	// applied.
	ttl, born time.Duration
	// after are the writes that it superseded: those that its client had seen,
	// with all that they were after.
	after set
	fate  fate
	// dots are those under which nodes applied it: more than one only when it
	// was tried again after a refusal.
	dots []mint
	// buried is set for an lww write that had lost to a delete when floors were
	// raised above both.
	buried bool
	// reaped is set for a delete that a floor was raised above: its tombstone may
	// be gone.
	reaped bool
	// durable and applied are how many copies the store still owes (see
	// ledger.go), once it is acknowledged.
	durable, applied int
	// held is the number of owners that were once seen to have it all together,
	// lost how many of them have lost it since for good (refills).
	held, lost int
}

// mint is one dot, as a node issued it.
type mint struct {
	vclock.Dot
	seq  uint64
	time kv.Time
}

// fate is what a client was told of its write.
type fate uint8

const (
	// The zero fate: nothing yet.
	_ fate = iota
	// acked: success.
	acked
	// refused: certainly not applied.
	refused
	// unsure: an error that does not say.
	unsure
)

func (f fate) String() string {
	return [...]string{"pending", "acknowledged", "refused", "unknown"}[f]
}

func (w *Write) String() string {
	kind := "put"
	if w.deleted {
		kind = "delete"
	}
	return fmt.Sprintf("%s w%d of %v (%v)", kind, w.id, w.key, w.fate)
}

// newWrite begins a write of a client that had seen after.
func (k *Key) newWrite(op *Op, deleted bool, after set) *Write {
	w := &Write{id: len(k.writes), key: k, op: op, deleted: deleted}
	w.after.addAll(after)
	if !deleted {
		w.value = fmt.Appendf(nil, "%v w%d by %s.%d after %v", k, w.id, op.client.name, op.number, after)
	}
	k.writes = append(k.writes, w)
	return w
}

// closure adds write i and all that it was after to s.
func (k *Key) closure(s *set, i int) {
	s.add(i)
	s.addAll(k.writes[i].after)
}

// find returns the write that a sibling stands for. An error means that the
// store made it up.
func (k *Key) find(s *object.Sibling) (*Write, error) {
	if s.Deleted {
		for _, w := range k.writes {
			if w.deleted && w.minted(s.Node, s.Seq) {
				return w, nil
			}
		}
		return nil, fmt.Errorf("a tombstone %v that nobody wrote", s.Dot)
	}
	_, rest, ok := bytes.Cut(s.Value, []byte(" w"))
	if number, _, found := bytes.Cut(rest, []byte(" ")); ok && found {
		if i, err := strconv.Atoi(string(number)); err == nil && i < len(k.writes) && bytes.Equal(k.writes[i].value, s.Value) {
			return k.writes[i], nil
		}
	}
	return nil, fmt.Errorf("a value that nobody wrote: %.60q", s.Value)
}

func (w *Write) minted(node kv.NodeID, seq uint64) bool {
	for _, m := range w.dots {
		if m.Node == node && m.seq == seq {
			return true
		}
	}
	return false
}

// siblings returns the writes that o's siblings stand for.
func (k *Key) siblings(o object.Object) ([]*Write, error) {
	var out []*Write
	for c := o.Siblings(); c.Next(); {
		w, err := k.find(&c.Sibling)
		if err != nil {
			return out, err
		}
		out = append(out, w)
	}
	return out, nil
}

// seen returns what somebody knows who has seen these siblings.
func (k *Key) seen(siblings []*Write) set {
	var s set
	for _, w := range siblings {
		k.closure(&s, w.id)
	}
	return s
}

// covered returns the writes that a clock covers, with all that they were
// after.
func (k *Key) covered(c vclock.Clock) set {
	var s set
	for _, w := range k.writes {
		for _, m := range w.dots {
			if c.Covers(m.Dot) {
				k.closure(&s, w.id)
			}
		}
	}
	return s
}

// successors calls fn with the writes that were after w.
func (w *Write) successors(fn func(*Write) bool) {
	for _, s := range w.key.writes {
		if s.after.has(w.id) && !fn(s) {
			return
		}
	}
}
