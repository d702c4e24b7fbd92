package object

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A script tells what clients do with one key that nodes a, b and c hold, and d,
// a stand-in:
//
//	get x a b       client x reads from nodes a and b
//	put a           a puts at node a without a context
//	put a x         client x puts at node a with the context of its last get
//	lww a x         the same under the merge rule lww
//	delete a x      client x deletes at node a
//	lwwdelete a x   the same under lww
//	merge a b       node a is sent node b's copy
//	save m a        the message m is node a's copy of now; `merge` sends it
//	meet a b        each of the nodes is sent the copies of the others
//	floor a b       the nodes' floors cover every write up to now
//	prune a b       the nodes drop what their floors allow
//	lose a          node a loses its copy and its floor
//	skew a 50       node a's clock is 50 ahead from now on
//	a: w0 w2†       node a holds these writes, tombstones marked
//	entries a 2     node a's clock has 2 entries
//
// Writes are numbered as they happen: w0, w1, …
func runScript(t *testing.T, script string) {
	t.Helper()
	r := scripted{world: newWorld(4, 3), messages: map[string]seen{}}
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if n, ok := strings.CutSuffix(f[0], ":"); ok {
			if diff := cmp.Diff(f[1:], r.held(r.at(n).Object)); diff != "" {
				t.Errorf("%s(-want +got):\n%s", strings.TrimSpace(line), diff)
			}
			continue
		}
		if f[0] == "entries" {
			if got := strconv.Itoa(r.at(f[1]).Clock().Len()); got != f[2] {
				t.Errorf("%s: it has %s", strings.TrimSpace(line), got)
			}
			continue
		}
		r.do(f[0], f[1:])
	}
}

// scripted is a script under way.
type scripted struct {
	*world
	messages map[string]seen
}

func (r *scripted) at(name string) *node { return r.nodes[strings.Index("abcd", name)] }

// each calls fn for each of the nodes named.
func (r *scripted) each(names []string, fn func(*node)) {
	for _, n := range names {
		fn(r.at(n))
	}
}

// clientOf returns the number of the client that args name, -1 for none.
func clientOf(args []string) int {
	if len(args) == 0 {
		return -1
	}
	return strings.Index("xyz", args[0])
}

func (r *scripted) do(verb string, args []string) {
	switch verb {
	case "put":
		r.put(r.at(args[0]), clientOf(args[1:]), kv.MergeSiblings, false)
	case "lww":
		r.put(r.at(args[0]), clientOf(args[1:]), kv.MergeLWW, false)
	case "delete":
		r.put(r.at(args[0]), clientOf(args[1:]), kv.MergeSiblings, true)
	case "lwwdelete":
		r.put(r.at(args[0]), clientOf(args[1:]), kv.MergeLWW, true)
	case "get":
		var from []*node
		r.each(args[1:], func(n *node) { from = append(from, n) })
		r.get(clientOf(args), from...)
	case "merge":
		from, ok := r.messages[args[1]]
		if !ok {
			from = r.at(args[1]).seen
		}
		r.at(args[0]).seen = r.merge(r.at(args[0]).seen, from)
	case "save":
		r.messages[args[0]] = r.at(args[1]).seen
	case "meet":
		r.each(append(args, args...), func(n *node) {
			r.each(args, func(other *node) { n.seen = r.merge(n.seen, other.seen) })
		})
	case "floor":
		r.each(args, func(n *node) { n.floor = r.floorOfAll() })
	case "prune":
		r.each(args, func(n *node) { n.Object = mustPrune(n.Object, n.floor) })
	case "lose":
		r.each(args, func(n *node) { n.seen, n.own = seen{}, vclock.Own{} })
	case "skew":
		ahead, err := strconv.Atoi(args[1])
		if err != nil {
			panic(err)
		}
		r.at(args[0]).skew = kv.Time(ahead)
	default:
		panic("no such step: " + verb)
	}
}

// floorOfAll covers every write up to now.
func (w *world) floorOfAll() vclock.Floor {
	var f vclock.Floor
	for _, n := range w.nodes {
		f = vclock.AppendFloorEntry(f, n.id, w.seq)
	}
	return f
}

// held names the writes that o holds.
func (w *world) held(o Object) []string {
	names := []string{}
	for e, x := range w.writes {
		if find(o, x.Dot) == nil {
			continue
		}
		mark := ""
		if x.Deleted {
			mark = "†"
		}
		names = append(names, fmt.Sprintf("w%d%s", e, mark))
	}
	slices.Sort(names)
	return names
}

func TestScripts(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"two puts without a context are both kept", `
			put a
			put b
			merge a b
			a: w0 w1`},
		{"also at one node", `
			put a
			put a
			a: w0 w1`},
		{"a context that covers all leaves one", `
			put a
			put b
			merge a b
			get x a
			put a x
			a: w2`},
		{"and the copy that has not heard of it forgets the old ones", `
			put a
			put b
			merge a b
			merge b a
			get x a
			put a x
			merge b a
			b: w2`},
		{"the context may cover what the coordinator never saw", `
			put b
			get x b
			put a x
			a: w1
			merge b a
			b: w1
			merge a b
			a: w1`},
		{"an old context makes a sibling and loses nothing", `
			put a
			get x a
			get y a
			put a y
			put a x
			a: w1 w2`},
		{"a context used twice does not supersede its own first write", `
			put a
			get x a
			put a x
			put a x
			a: w1 w2`},
		{"a delete leaves a tombstone", `
			put a
			get x a
			delete a x
			a: w1†`},
		{"a concurrent put survives a delete", `
			put a
			merge b a
			get x a
			delete a x
			put b
			merge a b
			a: w1† w2`},
		{"a delete does not delete what it has not seen", `
			put a
			get x a
			put a
			delete a x
			a: w1 w2†`},
		{"a put after a delete removes the tombstone", `
			put a
			get x a
			delete a x
			get x a
			put a x
			a: w2`},
		{"an old copy does not bring a deleted value back", `
			put a
			merge c a
			get x a
			delete a x
			merge a c
			a: w1†
			merge c a
			c: w1†`},
		{"lww keeps the last write, also without a context", `
			lww a
			lww b
			merge a b
			a: w1
			merge b a
			b: w1`},
		{"an lww write supersedes all that its coordinator holds", `
			put a
			put a
			lww a
			a: w2`},
		{"but not what neither its coordinator nor its client saw", `
			put b
			lww a
			merge a b
			a: w0 w1`},
		{"it supersedes what its client saw elsewhere", `
			put b
			get x b
			lww a x
			merge a b
			a: w1`},
		{"a causal write supersedes the lww write that its client saw", `
			lww a
			merge b a
			get x a
			put a x
			a: w1
			merge a b
			a: w1`},
		{"and the lesser ones, which its client might have seen", `
			lww b
			lww a
			get x a
			put b x
			b: w2`},
		{"a later lww write is its sibling", `
			lww a
			get x a
			lww b
			put a x
			merge a b
			a: w1 w2`},
		{"an older lww write does not come back past the horizon", `
			lww c
			lww a
			get x a
			put a x
			merge a c
			a: w2`},
	} {
		t.Run(c.name, func(t *testing.T) { runScript(t, c.script) })
	}
}

// TestSiblingsDoNotExplode has clients read and write in turns for long. With a
// vector clock per node alone each such round would leave one sibling more.
func TestSiblingsDoNotExplode(t *testing.T) {
	for clients := 1; clients <= 3; clients++ {
		w := newWorld(2, clients)
		a, b := w.nodes[0], w.nodes[1]
		for round := range maxWrites {
			c := round % clients
			n := w.nodes[round/2%2]
			w.put(n, c, kv.MergeSiblings, false)
			w.get(c, n)
			if got := n.Len(); got > clients {
				t.Fatalf("%d clients, round %d: %d siblings", clients, round, got)
			}
			a.seen, b.seen = w.merge(a.seen, b.seen), w.merge(b.seen, a.seen)
		}
	}
}
