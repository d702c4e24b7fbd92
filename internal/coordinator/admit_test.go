package coordinator

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// refusals takes answers that are errors.
type refusals struct {
	n   int
	err error
}

// Respond implements wire.Responder.
func (r *refusals) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	r.n++
	if f&wire.FlagError != 0 {
		r.err = wire.ParseError(m.AppendTo(nil))
	}
}

// TestLateIsRefused: what is late is answered at once, whatever it is, as
// overloaded and not applied; nothing is done for it.
func TestLateIsRefused(t *testing.T) {
	c, _ := newInstant(t, 3, false)
	for _, typ := range []wire.Type{wire.TypeGet, wire.TypePut} {
		r := &refusals{}
		c.Handle(wire.Request{Type: typ, Late: true, Reply: wire.Reply{To: r, Type: typ}})
		if r.n != 1 || kv.KindOf(r.err) != kv.KindOverloaded || kv.AppliedOf(r.err) != kv.AppliedNo {
			t.Errorf("%v: %d answers, %v", typ, r.n, r.err)
		}
	}
}

// TestAdmit: a request of a door that does not know how long it has waited begins if
// the node says so; one that came in time, or is part of one that began, is not asked
// about.
func TestAdmit(t *testing.T) {
	c, key := newInstant(t, 3, false)
	asked, open := 0, false
	c.Admit = func() bool { asked++; return open }
	for _, tc := range []struct {
		req   Request
		open  bool
		late  bool
		asked int
	}{
		{Request{Key: key}, true, false, 1},
		{Request{Key: key}, false, true, 1},
		{Request{Key: key, timed: true}, false, false, 0},
		{Request{Key: key, admitted: true}, false, false, 0},
	} {
		asked, open = 0, tc.open
		tc.req.Options = kv.Defaults()
		err := c.plan(&plan{}, wire.TypeGet, &tc.req, c.Now())
		if late := kv.KindOf(err) == kv.KindOverloaded && err != nil; late != tc.late || !late && err != nil || asked != tc.asked {
			t.Errorf("%+v: asked %d times, %v", tc, asked, err)
		}
	}
}

// BenchmarkRefusal is what a put costs that is refused, to be held against
// BenchmarkPut, which is without its messages.
func BenchmarkRefusal(b *testing.B) {
	c, _ := newInstant(b, 3, false)
	r := &refusals{}
	b.ReportAllocs()
	for b.Loop() {
		c.Handle(wire.Request{Type: wire.TypePut, Late: true, Reply: wire.Reply{To: silent{r}, Type: wire.TypePut}})
	}
}

// silent counts answers.
type silent struct{ *refusals }

// Respond implements wire.Responder.
func (s silent) Respond(uint64, wire.Type, wire.Flags, wire.Appender) { s.n++ }
