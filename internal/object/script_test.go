package object

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// A script tells what clients do with one key that nodes a, b and c hold:
//
//	get x a b     client x reads from nodes a and b
//	put a         a puts at node a without a context
//	put a x       client x puts at node a with the context of its last get
//	lww a x       the same under the merge rule lww
//	delete a x    client x deletes at node a
//	merge a b     node a is sent node b's copy
//	a: w0 w2†     node a holds these writes, tombstones marked
//
// Writes are numbered as they happen: w0, w1, …
func runScript(t *testing.T, script string) {
	t.Helper()
	w := newWorld(3, 3)
	at := func(name string) *node { return w.nodes[strings.Index("abc", name)] }
	client := func(args []string) int {
		if len(args) == 0 {
			return -1
		}
		return strings.Index("xyz", args[0])
	}
	for line := range strings.Lines(script) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		args := f[1:]
		switch f[0] {
		case "put":
			w.put(at(args[0]), client(args[1:]), kv.MergeSiblings, false)
		case "lww":
			w.put(at(args[0]), client(args[1:]), kv.MergeLWW, false)
		case "delete":
			w.put(at(args[0]), client(args[1:]), kv.MergeSiblings, true)
		case "get":
			var from []*node
			for _, a := range args[1:] {
				from = append(from, at(a))
			}
			w.get(client(args), from...)
		case "merge":
			n := at(args[0])
			n.seen = w.merge(n.seen, at(args[1]).seen)
		default:
			if diff := cmp.Diff(args, w.held(at(strings.TrimSuffix(f[0], ":")).Object)); diff != "" {
				t.Errorf("%s(-want +got):\n%s", strings.TrimSpace(line), diff)
			}
		}
	}
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
