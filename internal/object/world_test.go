package object

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A world is one key, its copies on some nodes, and clients with contexts of
// any age. Beside every object it keeps the set of writes that the object has
// really seen, so that what an object holds can be held against what it should
// hold.
type world struct {
	rules   []kv.Merge
	writes  []write
	nodes   []*node
	clients []client
	// flying are objects on their way; they arrive late, twice or never.
	flying []seen
	// all are the distinct objects that were ever made.
	all []seen
	now kv.Time
	seq uint64
}

// seen is an object, the writes that it has seen, and the floor of its holder.
type seen struct {
	Object
	set   set
	floor vclock.Floor
}

// node is one copy of the key.
type node struct {
	seen
	id  kv.NodeID
	own vclock.Own
	// skew is how far the node's clock is ahead.
	skew kv.Time
}

// client is what one client got last.
type client struct {
	Context
	set set
}

// write is one put or delete, as it truly happened.
type write struct {
	Sibling
	// after are the writes that this one superseded: those that the client had
	// seen, and under lww also those that the coordinator had.
	after set
}

// set is a set of writes, by their numbers.
type set uint64

const maxWrites = 60

func one(w int) set { return 1 << w }

func (s set) has(w int) bool { return s&one(w) != 0 }

func newWorld(nodes, clients int, rules ...kv.Merge) *world {
	w := &world{rules: rules, clients: make([]client, clients), now: 1000}
	for i := range nodes {
		w.nodes = append(w.nodes, &node{id: kv.NodeID(i + 1)})
	}
	return w
}

// drawWorld draws an execution: a world, and what happened to it.
func drawWorld(rules ...kv.Merge) *rapid.Generator[*world] {
	return rapid.Custom(func(t *rapid.T) *world {
		w := newWorld(rapid.IntRange(2, 4).Draw(t, "nodes"), rapid.IntRange(1, 3).Draw(t, "clients"), rules...)
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			w.step(t)
		}
		return w
	})
}

func (w *world) step(t *rapid.T) {
	n := w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")]
	c := rapid.IntRange(-1, len(w.clients)-1).Draw(t, "client")
	switch rapid.SampledFrom([]string{"put", "put", "get", "send", "arrive", "arrive", "forget", "skew"}).Draw(t, "step") {
	case "put":
		if len(w.writes) < maxWrites {
			w.put(n, c, rapid.SampledFrom(w.rules).Draw(t, "rule"), rapid.IntRange(0, 3).Draw(t, "delete") == 0)
		}
	case "get":
		w.get(max(c, 0), rapid.SliceOfN(rapid.SampledFrom(w.nodes), 1, 3).Draw(t, "from")...)
	case "send":
		w.flying = append(w.flying, n.seen)
	case "arrive":
		if len(w.flying) > 0 {
			n.seen = w.merge(n.seen, rapid.SampledFrom(w.flying).Draw(t, "message"))
		}
	case "forget":
		n.own = vclock.Own{}
	case "skew":
		n.skew = kv.Time(rapid.SampledFrom([]int{0, 0, 7, 300}).Draw(t, "skew"))
	}
}

// put has node n coordinate a put by client c, or by nobody for a negative c.
func (w *world) put(n *node, c int, rule kv.Merge, deleted bool) seen {
	var by client
	if c >= 0 {
		by = w.clients[c]
	}
	w.now, w.seq = w.now+1, w.seq+1
	n.own = vclock.Issue(n.own, n.Clock(), n.id, w.seq, 0)
	op := Write{
		Merge: rule, Context: by.Context, Now: w.now + n.skew,
		Own: n.own, Seq: w.seq, Deleted: deleted,
	}
	if !deleted {
		op.Value, op.ContentType = fmt.Appendf(nil, "w%d", len(w.writes)), []byte("text/plain")
		op.Expires, op.Meta = extras(len(w.writes))
	}
	o, _, _, err := Put(nil, n.Object, op)
	if err != nil {
		panic(err)
	}
	e := write{Sibling: *find(o, vclock.Dot(n.own)), after: by.set}
	if rule == kv.MergeLWW {
		e.after |= n.set
	}
	n.seen = w.keep(seen{o, n.set | by.set | one(len(w.writes)), n.floor})
	w.writes = append(w.writes, e)
	return n.seen
}

// lastMark is the latest expiry of a write, unless it has none.
const lastMark = 6

// extras are the expiry and the meta that write e is made with: some have one of
// them, some both, most none.
func extras(e int) (expires kv.Expiry, meta []byte) {
	if e%3 == 1 {
		expires = kv.Expiry(1 + e%lastMark)
	}
	if e%4 == 1 {
		meta = fmt.Appendf(nil, "meta of %d", e)
	}
	return expires, meta
}

// get has client c read from nodes.
func (w *world) get(c int, from ...*node) {
	var got seen
	for _, n := range from {
		got = w.merge(got, n.seen)
		got.floor = vclock.AppendFloorJoin(nil, got.floor, n.floor)
	}
	w.clients[c] = client{ContextOf(got.Object), got.set}
}

// merge merges b into a, whose holder's floor stays what it is.
func (w *world) merge(a, b seen) seen {
	return w.keep(seen{mustMergeUnder(a.Object, b.Object, a.floor, b.floor), a.set | b.set, a.floor})
}

// keep adds s to all unless it is there.
func (w *world) keep(s seen) seen {
	same := func(o seen) bool {
		return o.set == s.set && bytes.Equal(o.raw, s.raw) && bytes.Equal(o.floor, s.floor)
	}
	if s.raw != nil && !slices.ContainsFunc(w.all, same) {
		w.all = append(w.all, s)
	}
	return s
}

// superseded tells whether some write in by supersedes write e.
func (w *world) superseded(e int, by set) bool {
	for f := range w.writes {
		if f != e && by.has(f) && (w.writes[f].after.has(e) || w.beats(f, e)) {
			return true
		}
	}
	return false
}

// beats tells whether both are lww writes and f is the greater.
func (w *world) beats(f, e int) bool {
	a, b := w.writes[f], w.writes[e]
	if !a.LWW || !b.LWW {
		return false
	}
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Birth, b.Birth), cmp.Compare(a.Counter, b.Counter)) > 0
}

// says is the specification: it describes the object that has seen the writes
// in by. Its clock has each actor's last causal write; it holds the writes that
// no other of them superseded; and if none of those is the greatest lww write,
// then that one is its horizon.
func (w *world) says(by set) []string {
	var lines []string
	last := map[vclock.Actor]Sibling{}
	greatest := -1
	for e, x := range w.writes {
		if !by.has(e) {
			continue
		}
		if !w.superseded(e, by) {
			lines = append(lines, "sibling "+show(x.Sibling))
		}
		if !x.LWW && x.Counter > last[x.Actor].Counter {
			last[x.Actor] = x.Sibling
		}
		if x.LWW && (greatest < 0 || w.beats(e, greatest)) {
			greatest = e
		}
	}
	for _, x := range last {
		lines = append(lines, showEntry(vclock.Entry{Dot: x.Dot, Seq: x.Seq, Wall: x.Time}))
	}
	if greatest >= 0 && w.superseded(greatest, by) {
		x := w.writes[greatest]
		lines = append(lines, showHorizon(x.Time, x.Dot))
	}
	slices.Sort(lines)
	return lines
}

// describe says what o is, in the words of says.
func describe(o Object) []string {
	var lines []string
	for i := range o.clock.Len() {
		lines = append(lines, showEntry(o.clock.At(i)))
	}
	for c := o.Siblings(); c.Next(); {
		lines = append(lines, "sibling "+show(c.Sibling))
	}
	if len(o.horizon) > 0 {
		t := decodeTag(o.horizon)
		lines = append(lines, showHorizon(t.time, t.dot))
	}
	slices.Sort(lines)
	return lines
}

func showEntry(e vclock.Entry) string {
	return fmt.Sprintf("clock %v seq %d at %d", e.Dot, e.Seq, e.Wall)
}

func showHorizon(t kv.Time, d vclock.Dot) string { return fmt.Sprintf("horizon %v at %d", d, t) }

func show(s Sibling) string {
	what := fmt.Sprintf("%v seq %d at %d: %q %q", s.Dot, s.Seq, s.Time, s.ContentType, s.Value)
	if s.Deleted {
		what += " deleted"
	}
	if s.LWW {
		what += " lww"
	}
	if s.Expires != 0 || len(s.Meta) > 0 {
		what += fmt.Sprintf(" until %d, %q", s.Expires, s.Meta)
	}
	return what
}

// String shows the history, for failures.
func (w *world) String() string {
	var b strings.Builder
	for e, x := range w.writes {
		fmt.Fprintf(&b, "write %d after %b: %s\n", e, x.after, show(x.Sibling))
	}
	return b.String()
}

// GoString keeps drawn worlds short in rapid's reports.
func (w *world) GoString() string { return w.String() }

func find(o Object, d vclock.Dot) *Sibling {
	for c := o.Siblings(); c.Next(); {
		if c.Dot == d {
			return &c.Sibling
		}
	}
	return nil
}

func mustMerge(a, b Object) Object { return mustMergeUnder(a, b, nil, nil) }

func mustMergeUnder(a, b Object, fa, fb vclock.Floor) Object {
	o, _, _, err := MergeUnder(nil, a, b, fa, fb)
	if err != nil {
		panic(err)
	}
	return o
}
