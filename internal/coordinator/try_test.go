package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// coldLocal has all copies on the disk alone.
type coldLocal struct{ Local }

func (l coldLocal) PeekUnder(_ kv.Level, _ kv.Partition, _ kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	return object.Object{}, nil, 0, buf, storage.ErrWaits
}

func (l coldLocal) TryPut(_ kv.Level, _ kv.Partition, _ kv.Key, _ object.Write, buf []byte, _ storage.Waiter) (object.Object, []byte, int, error) {
	return object.Object{}, buf, 0, storage.ErrWaits
}

// TestTry: what would wait for the disk leaves no trace, and can be handled after.
func TestTry(t *testing.T) {
	c := newCluster(t, 3)
	at, _ := c.ownersOf("a")
	n := c.nodes[at]
	n.coord.Deps.Local = coldLocal{n.coord.Deps.Local}
	key := testKey(t, "a")
	quorums := wire.Get{R: 2, W: 2, DW: 2, Key: key}
	deleted := wire.Put{Get: quorums}
	deleted.Flags |= wire.FlagDeleted
	for _, req := range []struct {
		what string
		typ  wire.Type
		m    wire.Appender
		gets int
		puts int
	}{
		{"put", wire.TypePut, &wire.Put{Get: quorums, Value: []byte("v")}, 0, 1},
		{"get", wire.TypeGet, &quorums, 1, 0},
		{"delete of what is seen", wire.TypePut, &deleted, 1, 1},
		{"get of nothing", wire.TypeGet, &quorums, 1, 0},
	} {
		gets, puts := n.gets, n.puts
		answer := &recorder{}
		r := wire.Request{
			Type: req.typ, Deadline: c.now.Add(time.Second), Payload: req.m.AppendTo(nil),
			Reply: wire.Reply{To: answer, Type: req.typ},
		}
		for range 3 {
			if n.coord.Try(r) || len(c.pending) > 0 || answer.answers != 0 ||
				n.coord.InFlight() != 0 || n.gets != gets || n.puts != puts {
				t.Fatalf("%s: tried: %d messages, %d answers, %d in flight, %d gets and %d puts are counted",
					req.what, len(c.pending), answer.answers, n.coord.InFlight(), n.gets-gets, n.puts-puts)
			}
		}
		n.coord.Handle(r)
		c.run()
		if answer.answers != 1 || answer.err != nil || n.gets-gets != req.gets || n.puts-puts != req.puts {
			t.Errorf("%s: %d answers, %v, %d gets and %d puts are counted", req.what, answer.answers, answer.err, n.gets-gets, n.puts-puts)
		}
	}
	g := c.get(at, "a", opts(3, 3, 3))
	c.run()
	want(t, g, "[<deleted>]")
	c.end()
}

// TestTryElsewhere: what another node coordinates waits for no disk of this one.
func TestTryElsewhere(t *testing.T) {
	c := newCluster(t, 5)
	out := c.prefer("a")[4]
	out.coord.Deps.Local = coldLocal{out.coord.Deps.Local}
	answer := &recorder{}
	m := wire.Put{Get: wire.Get{R: 2, W: 2, DW: 2, Key: testKey(t, "a")}, Value: []byte("v")}
	if !out.coord.Try(wire.Request{
		Type: wire.TypePut, Deadline: c.now.Add(time.Second), Payload: m.AppendTo(nil), Reply: wire.Reply{To: answer, Type: wire.TypePut},
	}) {
		t.Error("it was not begun")
	}
	c.run()
	if answer.answers != 1 || answer.err != nil {
		t.Errorf("%d answers, %v", answer.answers, answer.err)
	}
	g := c.get(out.index(), "a", opts(3, 3, 3))
	c.run()
	want(t, g, "[v]")
	c.end()
}

// TestFetchedAsksFew: a get whose record had to be read from the disk has no more
// disks read than it needs.
func TestFetchedAsksFew(t *testing.T) {
	c := newCluster(t, 3)
	at, _ := c.ownersOf("a")
	n := c.nodes[at]
	cfg := DefaultForTest()
	cfg.ReadAll, cfg.ReadFewAt = 0, 1000
	n.open(cfg, replica.Default())
	for _, fetched := range []bool{false, true} {
		answer := &recorder{}
		m := wire.Get{R: 2, W: 2, DW: 2, Key: testKey(t, "a")}
		r := wire.Request{
			Type: wire.TypeGet, Deadline: c.now.Add(time.Second), Payload: m.AppendTo(nil), Reply: wire.Reply{To: answer, Type: wire.TypeGet},
		}
		want := 2
		if fetched {
			r.Began, want = c.now.Add(-time.Millisecond), 1
		}
		if n.coord.Handle(r); len(c.pending) != want {
			t.Errorf("fetched %v: %d are asked, want %d", fetched, len(c.pending), want)
		}
		if c.run(); answer.answers != 1 || answer.err != nil {
			t.Errorf("fetched %v: %d answers, %v", fetched, answer.answers, answer.err)
		}
	}
	c.end()
}
