package object

import (
	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// MaxClock is the default hard cap on a clock's entries, applied by puts: past
// it the entries with the oldest wall time go (§4.4). What that can cost is a
// false sibling and, at worst, a deleted value back, so it stands far above
// what the floors leave (DESIGN section 6).
const MaxClock = 256

// Write is one put or delete, as its coordinator applies it.
type Write struct {
	// Merge is the bucket's rule at the coordinator.
	Merge kv.Merge
	// Context is what the client had seen.
	Context Context
	// Now is the coordinator's wall clock.
	Now kv.Time
	// Own is the actor and counter that vclock.Issue gave for this write, Seq
	// its sequence number.
	Own vclock.Own
	Seq uint64
	// Deleted makes it a delete; then Value and ContentType are empty.
	Deleted     bool
	ContentType []byte
	Value       []byte
	// MaxClock caps the clock's entries; 0 means the default.
	MaxClock int
}

// Put applies w to local, the coordinator's own copy, and appends the new
// object to dst. It drops the siblings that w's context covers (all that are
// older, for lww), adds one with the new dot, and sets the clock to local's,
// the context's and the new dot. It returns the object, dst, and how many clock
// entries the cap dropped. The error is of KindTooManySiblings when the object
// would exceed kv.MaxSiblings or kv.MaxObject; then nothing was written.
func Put(dst []byte, local Object, w Write) (Object, []byte, int, error) {
	s := Sibling{
		Dot: vclock.Dot(w.Own), Seq: w.Seq, Time: w.Now, Deleted: w.Deleted,
		LWW: w.Merge == kv.MergeLWW, ContentType: w.ContentType, Value: w.Value,
	}
	if s.LWW {
		s.Time = clock.Next(w.Now, local.MaxTime(), w.Context.Time)
		return putLWW(dst, local, s)
	}
	return putSibling(dst, local, w, s)
}

func putLWW(dst []byte, local Object, s Sibling) (Object, []byte, int, error) {
	b := begin(dst)
	b.b = append(b.b, local.clock...)
	b.endClock()
	b.sibling(s)
	o, buf := b.end()
	return o, buf, 0, nil
}

func putSibling(dst []byte, local Object, w Write, s Sibling) (Object, []byte, int, error) {
	b := begin(dst)
	dropped := b.putClock(local, w, s)
	if tag := supersededTag(local, w.Context.Clock); len(tag) > 0 {
		b.horizon(tag)
	}
	placed := false
	for c := local.Siblings(); c.Next(); {
		if w.Context.Clock.Covers(c.Dot) {
			continue
		}
		if !placed && less(s.Dot, c.Dot) {
			b.sibling(s)
			placed = true
		}
		b.raw(c.raw)
	}
	if !placed {
		b.sibling(s)
	}
	o, buf := b.end()
	switch {
	case o.n > kv.MaxSiblings:
		return Object{}, dst, 0, kv.Errorf(kv.KindTooManySiblings, "put", "the key would have %d siblings, the limit is %d; get it, and put with the context", o.n, kv.MaxSiblings)
	case len(o.raw) > kv.MaxObject:
		return Object{}, dst, 0, kv.Errorf(kv.KindTooManySiblings, "put", "the key's siblings would take %d bytes, the limit is %d; get it, and put with the context", len(o.raw), kv.MaxObject)
	}
	return o, buf, dropped, nil
}

// putClock appends local's clock, the context's and the new dot, merged and
// capped, and returns how many entries the cap dropped.
func (b *builder) putClock(local Object, w Write, s Sibling) int {
	var room [vclock.EntrySize]byte
	entry := vclock.Clock(vclock.AppendEntry(room[:0], vclock.Entry{Dot: s.Dot, Seq: s.Seq, Wall: s.Time}))
	at := len(b.b)
	if len(w.Context.Clock) == 0 {
		b.b = vclock.AppendMerge(b.b, local.clock, entry)
	} else {
		seen := vclock.AppendMerge(make([]byte, 0, len(local.clock)+len(w.Context.Clock)), local.clock, w.Context.Clock)
		b.b = vclock.AppendMerge(b.b, seen, entry)
	}
	limit := w.MaxClock
	if limit == 0 {
		limit = MaxClock
	}
	c, dropped := vclock.Truncate(vclock.Clock(b.b[at:]), limit, func(a vclock.Actor) bool {
		return a == s.Actor || keeps(local, w.Context.Clock, a)
	})
	b.b = b.b[:at+len(c)]
	b.endClock()
	return dropped
}

// keeps tells whether a sibling of local by actor a outlives a put whose
// context has seen ctx.
func keeps(local Object, ctx vclock.Clock, a vclock.Actor) bool {
	for c := local.Siblings(); c.Next(); {
		if c.Actor == a && !ctx.Covers(c.Dot) {
			return true
		}
	}
	return false
}

// supersededTag returns the horizon that a put leaves: local's, or the tag of
// the lww sibling that the context covers.
func supersededTag(local Object, ctx vclock.Clock) []byte {
	for c := local.Siblings(); c.Next(); {
		if c.LWW {
			if ctx.Covers(c.Dot) {
				return appendTag(nil, c.Time, c.Dot)
			}
			return nil
		}
	}
	return local.horizon
}

func less(a, b vclock.Dot) bool {
	switch {
	case a.Node != b.Node:
		return a.Node < b.Node
	case a.Birth != b.Birth:
		return a.Birth < b.Birth
	}
	return a.Counter < b.Counter
}
