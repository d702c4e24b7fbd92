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
	// Deleted makes it a delete; then all that follows, but for MaxClock, is empty.
	Deleted     bool
	ContentType []byte
	Value       []byte
	// Expires is when the value is not shown any more, 0 for never.
	Expires kv.Expiry
	// Meta is kept beside the value, up to kv.MaxMeta bytes.
	Meta []byte
	// MaxClock caps the clock's entries; 0 means the default.
	MaxClock int
}

// Put applies w to local, the coordinator's own copy, and appends the new
// object to dst. It drops the siblings that the write supersedes (those that its
// context has seen; for lww, all), adds one with the new dot, and sets the clock
// to local's and the context's, and for a causal write the new dot. It returns
// the object, dst, and how many clock entries the cap dropped.
//
// The error is of KindTooManySiblings when the object would exceed
// kv.MaxSiblings or kv.MaxObject; then dst is as it was.
func Put(dst []byte, local Object, w Write) (Object, []byte, int, error) {
	p := newPutting(local, w)
	b := begin(dst)
	dropped := p.clock(&b, w.MaxClock)
	b.horizon(p.reg)
	p.siblings(&b)
	o, buf := b.end()
	switch {
	case o.n > kv.MaxSiblings:
		return Object{}, dst, 0, kv.Errorf(kv.KindTooManySiblings, "put", "the key would have %d siblings, the limit is %d; get it, and put with the context", o.n, kv.MaxSiblings)
	case len(o.raw) > kv.MaxObject:
		return Object{}, dst, 0, kv.Errorf(kv.KindTooManySiblings, "put", "the key's siblings would take %d bytes, the limit is %d; get it, and put with the context", len(o.raw), kv.MaxObject)
	}
	return o, buf, dropped, nil
}

// putting is a put under way: its new sibling, what its client had seen, the
// copy it goes to, and the register of the result.
type putting struct {
	Sibling
	ctx   vclock.Clock
	local Object
	reg   register
}

func newPutting(local Object, w Write) putting {
	s := Sibling{
		Dot: vclock.Dot(w.Own), Seq: w.Seq, Time: w.Now, Deleted: w.Deleted,
		LWW: w.Merge == kv.MergeLWW, ContentType: w.ContentType, Value: w.Value, Expires: w.Expires, Meta: w.Meta,
	}
	reg := local.register().max(w.Context.register())
	p := putting{Sibling: s, ctx: w.Context.Clock, local: local, reg: reg}
	if s.LWW {
		p.Time = clock.Next(w.Now, reg.tag.time, w.Context.Time)
		p.reg = p.register()
	}
	return p
}

// keeps tells whether s, a sibling of the local copy, outlives the put.
func (p *putting) keeps(s *Sibling) bool {
	if s.LWW {
		return p.reg.keeps(s)
	}
	return !p.LWW && !p.ctx.Covers(s.Dot)
}

// siblings appends the siblings of the result.
func (p *putting) siblings(b *builder) {
	placed := false
	for c := p.local.Siblings(); c.Next(); {
		if !p.keeps(&c.Sibling) {
			continue
		}
		if !placed && less(p.Dot, c.Dot) {
			b.sibling(&p.Sibling)
			placed = true
		}
		b.raw(c.raw)
	}
	if !placed {
		b.sibling(&p.Sibling)
	}
}

// clock appends the clock of the result, capped, and returns how many entries
// the cap dropped.
func (p *putting) clock(b *builder, limit int) int {
	var room [vclock.EntrySize]byte
	var entry vclock.Clock
	if !p.LWW {
		// Writes that race for the lock may come to be counted in another order
		// than they drew their sequence numbers.
		seq := max(p.Seq, p.local.clock.Seq(p.Actor))
		entry = vclock.AppendEntry(room[:0], vclock.Entry{Dot: p.Dot, Seq: seq, Wall: p.Time})
	}
	at := len(b.b)
	if len(p.ctx) == 0 {
		b.b = vclock.AppendMerge(b.b, p.local.clock, entry)
	} else {
		seen := vclock.AppendMerge(make([]byte, 0, len(p.local.clock)+len(p.ctx)), p.local.clock, p.ctx)
		b.b = vclock.AppendMerge(b.b, seen, entry)
	}
	if limit == 0 {
		limit = MaxClock
	}
	c, dropped := vclock.Truncate(vclock.Clock(b.b[at:]), limit, p.needs)
	b.b = b.b[:at+len(c)]
	b.endClock()
	return dropped
}

// needs tells whether a sibling of the result is covered by actor a's entry.
func (p *putting) needs(a vclock.Actor) bool {
	if a == p.Actor && !p.LWW {
		return true
	}
	for c := p.local.Siblings(); c.Next(); {
		if c.Actor == a && !c.LWW && p.keeps(&c.Sibling) {
			return true
		}
	}
	return false
}
