package object

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// swept is a world whose nodes are the key's owners and, the last, a stand-in
// that keeps what it holds until it is drained. Sweeps collect how far the
// nodes' sequences are, drain the stand-in, let the owners exchange fully, and
// give each owner a floor to take over when it likes.
type swept struct {
	*world
	// may are the floors that the owners may take over.
	may []vclock.Floor
	// new are owners that came to the key after the last sweep: they hold what
	// the others told, and do not know yet what those had forgotten.
	new []bool
	// prunes tells whether owners drop what their floors allow.
	prunes bool
	// mark is the latest expiry mark of a sweep: what expired by then may be gone.
	mark kv.Expiry
}

// happening is one step of a swept world, drawn ahead, so that two worlds can go
// through the same.
type happening struct {
	kind    string
	a, b    int
	rule    kv.Merge
	deleted bool
}

func happenings(rules ...kv.Merge) *rapid.Generator[[]happening] {
	one := rapid.Custom(func(t *rapid.T) happening {
		return happening{
			kind: rapid.SampledFrom([]string{
				"put", "put", "put", "put", "get", "get", "send", "arrive", "arrive", "forget", "skew",
				"sweep", "raise", "raise", "prune", "prune", "deliver", "move",
			}).Draw(t, "kind"),
			a: rapid.IntRange(0, 11).Draw(t, "a"), b: rapid.IntRange(0, 59).Draw(t, "b"),
			rule: rapid.SampledFrom(rules).Draw(t, "rule"), deleted: rapid.Bool().Draw(t, "deleted"),
		}
	})
	return rapid.SliceOfN(one, 5, 60)
}

func newSwept(prunes bool) *swept {
	return &swept{world: newWorld(4, 2), may: make([]vclock.Floor, 3), new: make([]bool, 3), prunes: prunes}
}

func (w *swept) owners() []*node { return w.nodes[:len(w.may)] }

func (w *swept) standIn() *node { return w.nodes[len(w.may)] }

func (w *swept) do(h happening) {
	n := w.nodes[h.a%len(w.nodes)]
	o := h.a % len(w.may)
	switch h.kind {
	case "put":
		if len(w.writes) < maxWrites {
			w.put(n, h.b%(len(w.clients)+1)-1, h.rule, h.deleted)
		}
	case "get":
		w.get(h.b%len(w.clients), n, w.nodes[h.b%len(w.nodes)])
	case "send":
		w.flying = append(w.flying, n.seen)
	case "arrive":
		if len(w.flying) > 0 {
			n.seen = w.merge(n.seen, w.flying[h.b%len(w.flying)])
		}
	case "forget":
		n.own = vclock.Own{}
	case "skew":
		n.skew = kv.Time(h.b)
	case "deliver":
		w.owners()[o].seen = w.merge(w.owners()[o].seen, w.standIn().seen)
	case "sweep":
		w.mark = max(w.mark, kv.Expiry(h.b%(lastMark+1)))
		w.sweep()
	case "raise":
		w.raise(o)
	case "prune":
		if w.prunes {
			w.owners()[o].Object = mustPrune(w.owners()[o].Object, w.owners()[o].floor)
		}
	case "move":
		w.move(o)
	}
}

// sweep goes as far as the owners may take the floor over.
func (w *swept) sweep() {
	collected := vclock.Floor(append(vclock.AppendExpiryMark(nil, w.mark), w.floorOfAll()...))
	w.drain()
	w.exchange()
	for i := range w.may {
		w.may[i] = collected
	}
}

// drain gives what the stand-in holds to an owner, and then lets it go.
func (w *swept) drain() {
	s := w.standIn()
	w.nodes[0].seen = w.merge(w.nodes[0].seen, s.seen)
	s.seen, s.own = seen{}, vclock.Own{}
}

// exchange lets all owners hear of all that each of them holds.
func (w *swept) exchange() {
	for range 2 {
		for _, a := range w.owners() {
			for _, b := range w.owners() {
				merged := w.merge(a.seen, b.seen)
				b.seen = w.merge(b.seen, a.seen)
				a.seen = merged
			}
		}
	}
}

func (w *swept) raise(o int) {
	n := w.owners()[o]
	if w.may[o] == nil {
		return
	}
	n.floor = vclock.AppendFloorJoin(nil, n.floor, w.may[o])
	w.new[o] = false
}

// move replaces owner o: its copy is handed to the others and dropped with its
// floor, and the new one, with an empty directory, hears from all others. A
// sweep that is under way is abandoned.
func (w *swept) move(o int) {
	n := w.owners()[o]
	for _, other := range w.owners() {
		other.seen = w.merge(other.seen, n.seen)
	}
	n.seen, n.own = seen{}, vclock.Own{}
	clear(w.may)
	for _, other := range w.owners() {
		if other != n {
			n.seen = w.merge(n.seen, other.seen)
		}
	}
	w.new[o] = true
}

// settle ends all faults: what is stored spreads, until nothing changes.
func (w *swept) settle() {
	w.drain()
	for range 20 {
		before := w.describeOwners()
		w.exchange()
		if slices.Equal(before, w.describeOwners()) {
			return
		}
	}
	panic("the owners do not settle")
}

func (w *swept) describeOwners() []string {
	var out []string
	for _, n := range w.owners() {
		out = append(out, fmt.Sprint(describe(n.Object)))
	}
	return out
}

func (s *Sibling) expiredBy(mark kv.Expiry) bool { return s.Expires != 0 && s.Expires <= mark }

// stored are the writes that some owner has seen.
func (w *swept) stored() set {
	var all set
	for _, n := range w.owners() {
		all |= n.set
	}
	return all
}

// joined is the floor over those of all owners.
func (w *swept) joined() vclock.Floor {
	var f vclock.Floor
	for _, n := range w.owners() {
		f = vclock.AppendFloorJoin(nil, f, n.floor)
	}
	return f
}

// visible names the values that o shows, but for what expired by mark.
func visible(o Object, mark kv.Expiry) []string {
	values := []string{}
	for c := o.Siblings(); c.Next(); {
		if !c.Deleted && !c.expiredBy(mark) {
			values = append(values, string(c.Value))
		}
	}
	slices.Sort(values)
	return values
}

// shouldShow names the values among the writes in by that none of them
// superseded, but for what expired by the last sweep.
func (w *swept) shouldShow(by set) []string {
	values := []string{}
	for e, x := range w.writes {
		if by.has(e) && !x.Deleted && !x.expiredBy(w.mark) && !w.superseded(e, by) {
			values = append(values, string(x.Value))
		}
	}
	slices.Sort(values)
	return values
}

// TestSweptOwners plays histories of a siblings bucket with sweeps. Whatever is
// late or comes twice: an owner never shows a value that was superseded or
// deleted and never lacks another, and it is as if nobody had pruned.
func TestSweptOwners(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, unpruned := newSwept(true), newSwept(false)
		for _, h := range happenings(kv.MergeSiblings).Draw(t, "history") {
			w.do(h)
			unpruned.do(h)
			for i, n := range w.owners() {
				if w.new[i] {
					continue
				}
				if diff := cmp.Diff(w.shouldShow(n.set), visible(n.Object, w.mark)); diff != "" {
					t.Fatalf("owner %d after %v (-want +got):\n%s%v", i, h, diff, w)
				}
				whole := unpruned.owners()[i].Object
				if diff := cmp.Diff(w.remembered(whole, n.floor), w.remembered(n.Object, n.floor)); diff != "" {
					t.Fatalf("owner %d after %v (-unpruned +pruned):\n%s%v", i, h, diff, w)
				}
			}
		}
		w.settle()
		w.checkSettled(t)
		if diff := cmp.Diff(w.shouldShow(w.stored()), visible(w.nodes[0].Object, w.mark)); diff != "" {
			t.Fatalf("in the end (-want +got):\n%s%v", diff, w)
		}
	})
}

// TestSweptRegisters plays histories of lww buckets, and of ones whose rule
// changes, with sweeps. What a dropped delete would have superseded cannot be
// told any more; but the owners agree in the end, and what every one of them had
// let go stays away.
func TestSweptRegisters(t *testing.T) {
	for name, rules := range map[string][]kv.Merge{
		"lww": {kv.MergeLWW}, "changing": {kv.MergeSiblings, kv.MergeLWW},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				w := newSwept(true)
				for _, h := range happenings(rules...).Draw(t, "history") {
					w.do(h)
				}
				w.settle()
				w.checkSettled(t)
				shown := w.nodes[0].Object
				for _, v := range w.shouldShow(w.stored()) {
					if !slices.Contains(visible(shown, w.mark), v) {
						t.Fatalf("%s is lost\n%v", v, w)
					}
				}
				f := w.joined()
				for e, x := range w.writes {
					if !f.Covers(x.Node, x.Seq) || !slices.Contains(visible(shown, w.mark), string(x.Value)) {
						continue
					}
					for by, y := range w.writes {
						if f.Covers(y.Node, y.Seq) && w.superseded(e, one(e)|one(by)) {
							t.Fatalf("write %d, which write %d superseded long ago, is back\n%s\n%v", e, by, show(*find(shown, x.Dot)), w)
						}
					}
				}
			})
		})
	}
}

// remembered describes what o's holder knows and may not forget: its values, and
// its clock, which says as much as its tombstones. What expired by the last sweep
// another copy may have dropped, whose mark is higher.
func (w *swept) remembered(o Object, f vclock.Floor) []string {
	lines := describe(mustPrune(o, vclock.AppendFloorJoin(nil, f, vclock.AppendExpiryMark(nil, w.mark))))
	return slices.DeleteFunc(lines, func(l string) bool {
		for c := o.Siblings(); c.Next(); {
			if l == "sibling "+show(c.Sibling) && c.expiredBy(w.mark) {
				return true
			}
		}
		return strings.HasSuffix(l, " deleted")
	})
}

// checkSettled tells whether all owners are one, under the floor over theirs.
func (w *swept) checkSettled(t *rapid.T) {
	f := w.joined()
	first := w.nodes[0].Object
	for _, n := range w.owners() {
		if Digest(n.Object, f) != Digest(first, f) || !bytes.Equal(mustPrune(n.Object, f).raw, mustPrune(first, f).raw) {
			t.Fatalf("owners differ in the end (-first +other):\n%s%v", cmp.Diff(describe(first), describe(n.Object)), w)
		}
	}
}
