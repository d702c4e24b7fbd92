package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// ringOf returns a ring of single letters: the nodes, each with its zone behind it
// if it has one, and the owners of each partition.
func ringOf(t testing.TB, params Params, epoch uint64, nodes string, owners ...string) *Ring {
	t.Helper()
	var list []Node
	for _, f := range strings.Fields(nodes) {
		list = append(list, Node{ID: kv.NodeID(f[0]), Weight: 1, Zone: f[1:]})
	}
	params.Q = len(owners)
	var slots []uint16
	for _, of := range owners {
		for _, id := range []byte(of) {
			at, is := find(list, kv.NodeID(id))
			if !is {
				t.Fatalf("%c is no node of %q", id, nodes)
			}
			slots = append(slots, uint16(at))
		}
	}
	r, err := newRing(params, epoch, list, slots)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustTransit(t testing.TB, from, to *Ring, lost ...kv.NodeID) *Transition {
	t.Helper()
	tr, err := NewTransition(from, to, lost)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// letters writes ids that are letters.
func letters(ids []kv.NodeID) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteByte(byte(id))
	}
	return b.String()
}

// TestStepsByHand: what owners a partition has on its way, and how many sources
// and marks each step takes.
func TestStepsByHand(t *testing.T) {
	for _, tt := range []struct {
		name     string
		n, r, w  int
		from, to string // The nodes, and their zones.
		a, b     string // The owners.
		want     string // Old>New/Union:Sources,Done,Stage2
	}{
		{"one replaced", 3, 2, 2, "A B C", "A B D", "ABC", "ABD", "ABC>ABD/ABCD:2,2,2"},
		{"in its place, then in the new order", 3, 2, 2, "A B C", "A B D", "ABC", "DBA", "ABC>DBA/ABCD:2,2,2"},
		{"two replaced", 3, 2, 2, "A B C", "A D E", "ABC", "ADE", "ABC>ADC/ABCD:2,2,2 ADC>ADE/ADCE:2,2,2"},
		{"all replaced", 2, 1, 2, "A B", "C D", "AB", "CD", "AB>CB/ABC:1,2,2 CB>CD/CBD:1,2,2"},
		{"the same, in another order", 3, 2, 2, "A B C", "A B C", "ABC", "CAB", ""},
		{"a second and a third", 3, 2, 2, "A", "A B C", "A", "ABC", "A>AB/AB:1,2,1 AB>ABC/ABC:1,2,1"},
		{"down to two", 3, 2, 2, "A B C", "A C", "ABC", "CA", "ABC>CA/ABC:2,2,2"},
		{"down to one", 3, 2, 2, "A B C", "C", "ABC", "C", "ABC>BC/ABC:2,2,2 BC>C/BC:1,1,1"},
		{"replaced and added", 3, 2, 2, "A B", "A C D", "AB", "ADC", "AB>AD/ABD:1,2,1 AD>ADC/ADC:1,2,1"},
		{"replaced and dropped", 3, 2, 2, "A B C", "B D", "ABC", "DB", "ABC>DBC/ABCD:2,2,2 DBC>DB/DBC:2,2,2"},
		{"n=5", 5, 3, 3, "A B C D E", "A B C D F", "ABCDE", "ABCDF", "ABCDE>ABCDF/ABCDEF:3,3,3"},
		{"r=1", 3, 1, 3, "A B C", "A B D", "ABC", "ABD", "ABC>ABD/ABCD:1,3,3"},
		{"w=1", 3, 3, 1, "A B C", "A B D", "ABC", "ABD", "ABC>ABD/ABCD:3,1,1"},
		{"no quorums", 3, 1, 1, "A B C", "A B D", "ABC", "ABD", "ABC>ABD/ABCD:3,3,3"},
		{"by one of its zone", 3, 2, 2, "Ax By Cz", "Az Dy Ex", "ABC", "EDA",
			"ABC>ADC/ABCD:2,2,2 ADC>EDA/ADCE:2,2,2"},
		{"each by one of its zone", 3, 2, 2, "Ax By Cz", "Dz Ey Fx", "ABC", "DEF",
			"ABC>FBC/ABCF:2,2,2 FBC>FEC/FBCE:2,2,2 FEC>DEF/FECD:2,2,2"},
		{"never without a zone", 3, 2, 2, "Ax By Cz", "Cz Dy Ew", "ABC", "CDE",
			"ABC>EBC/ABCE:2,2,2 EBC>CDE/EBCD:2,2,2"},
	} {
		params := Params{N: tt.n, R: tt.r, W: tt.w}
		tr := mustTransit(t, ringOf(t, params, 1, tt.from, tt.a), ringOf(t, params, 2, tt.to, tt.b))
		var got []string
		for _, s := range tr.Steps(0) {
			got = append(got, fmt.Sprintf("%s>%s/%s:%d,%d,%d", letters(s.Old), letters(s.New), letters(s.Union), s.Sources, s.Done, s.Stage2))
		}
		if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// drawChange draws two rings, one after the other, of which the first may have
// fewer nodes than N, or the second.
func drawChange(t *rapid.T) (from, to *Ring) {
	c := drawCluster(t)
	c.params.N = rapid.OneOf(rapid.Just(c.params.N), rapid.Just(3), rapid.IntRange(1, kv.MaxReplicas)).Draw(t, "n again")
	c.params.R = rapid.IntRange(1, c.params.N).Draw(t, "r")
	c.params.W = rapid.IntRange(1, c.params.N).Draw(t, "w")
	c.params.Q = min(c.params.Q, 256)
	from = c.claim(t, nil)
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		c.change(t)
	}
	if rapid.IntRange(0, 3).Draw(t, "of few") == 0 {
		c.nodes = c.nodes[:rapid.IntRange(1, len(c.nodes)).Draw(t, "left")]
	}
	to = c.claim(t, from)
	if rapid.Bool().Draw(t, "back") {
		back, err := newRing(from.params, to.epoch+1, from.nodes, from.owners)
		if err != nil {
			t.Fatal(err)
		}
		from, to = to, back
	}
	return from, to
}

// Each step changes one owner, the steps of a partition make one way from the
// owners before to those after, and on it the owners are distinct and span as many
// zones as at the end that spans fewer.
func TestStepsChangeOneOwnerEach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from, to := drawChange(t)
		tr, err := NewTransition(from, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := NewTransition(from, to, nil); again.ID() != tr.ID() || !slices.EqualFunc(again.steps, tr.steps, sameStep) {
			t.Fatal("the same rings gave another transition")
		}
		zones, total := newWay(from, to), 0
		for p := range from.params.Q {
			p := kv.Partition(p)
			a, b, steps := from.Owners(p), to.Owners(p), tr.Steps(p)
			span := min(zones.covered(a, -1, 0), zones.covered(b, -1, 0))
			if want := max(len(without(nil, a, b)), len(without(nil, b, a))); len(steps) != want {
				t.Fatalf("partition %d takes %d steps from %v to %v, want %d", p, len(steps), a, b, want)
			}
			now := a
			for k := range steps {
				s := &steps[k]
				checkStep(t, from.params, s)
				if !slices.Equal(s.Old, now) || zones.covered(s.New, -1, 0) < span {
					t.Fatalf("step %d of partition %d leads from %v, not %v, to %v with zones %v of %d", k, p, s.Old, now, s.New, zones.seen, span)
				}
				if tr.Index(p, k) != total || &tr.steps[total] != s {
					t.Fatalf("step %d of partition %d is number %d, not %d", k, p, tr.Index(p, k), total)
				}
				now, total = s.New, total+1
			}
			if len(steps) > 0 && !slices.Equal(now, b) {
				t.Fatalf("partition %d ends with %v, want %v", p, now, b)
			}
		}
		if tr.Len() != total {
			t.Fatalf("%d steps, want %d", tr.Len(), total)
		}
	})
}

func sameStep(a, b Step) bool {
	return slices.Equal(a.Old, b.Old) && slices.Equal(a.New, b.New) && slices.Equal(a.Union, b.Union) &&
		a.Sources == b.Sources && a.Done == b.Done && a.Stage2 == b.Stage2 && a.before == b.before && a.after == b.after
}

func checkStep(t *rapid.T, params Params, s *Step) {
	out, in := without(nil, s.Old, s.New), without(nil, s.New, s.Old)
	if len(out) > 1 || len(in) > 1 || len(out)+len(in) == 0 {
		t.Fatalf("the step from %v to %v changes other than one owner", s.Old, s.New)
	}
	if want := append(slices.Clone(s.Old), in...); !slices.Equal(s.Union, want) {
		t.Fatalf("the union of %v and %v is %v", s.Old, s.New, s.Union)
	}
	for i, id := range s.Union {
		if s.Place(id) != i || s.before>>i&1 == 1 != slices.Contains(s.Old, id) || s.after>>i&1 == 1 != slices.Contains(s.New, id) {
			t.Fatalf("node %v is out of place in %+v", id, s)
		}
	}
	if cap(s.Old) != len(s.Old) || cap(s.New) != len(s.New) || cap(s.Union) != len(s.Union) {
		t.Fatalf("owners of %+v can be appended to in place", s)
	}
	// Each of the three sets meets what it has to meet.
	was, is := len(s.Old), len(s.New)
	w, r := min(params.W, was), min(params.R, was)
	if s.Sources+w != was+1 || s.Stage2+r != was+1 || s.Done < min(params.W, is) || s.Done+min(params.R, is) < is+1 || s.Done > is {
		t.Fatalf("%+v of n=%d r=%d w=%d", s, params.N, params.R, params.W)
	}
}

func TestTransitionRefuses(t *testing.T) {
	params := Params{N: 3, R: 2, W: 2}
	from := ringOf(t, params, 4, "A B C", "ABC")
	last := ringOf(t, params, kv.MaxEpoch, "A B C", "ABC")
	for _, tt := range []struct {
		name     string
		from, to *Ring
		lost     []kv.NodeID
		says     string
	}{
		{"other parameters", from, ringOf(t, Params{N: 3, R: 1, W: 2}, 5, "A B D", "ABD"), nil, "parameters differ"},
		{"the same epoch", from, from, nil, "epoch 4 does not follow epoch 4"},
		{"a later epoch", from, ringOf(t, params, 6, "A B D", "ABD"), nil, "epoch 6 does not follow epoch 4"},
		{"past the last epoch", last, ringOf(t, params, kv.MaxEpoch+1, "A B D", "ABD"), nil, "past the last"},
		{"lost nodes out of order", from, ringOf(t, params, 5, "A B D", "ABD"), []kv.NodeID{'C', 'A'}, "not ascending"},
		{"a lost node twice", from, ringOf(t, params, 5, "A B D", "ABD"), []kv.NodeID{'C', 'C'}, "not ascending"},
	} {
		tr, err := NewTransition(tt.from, tt.to, tt.lost)
		if tr != nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error of KindInvalid with %q", tt.name, err, tt.says)
		}
	}
	if _, err := NewTransition(ringOf(t, params, kv.MaxEpoch-1, "A B C", "ABC"), last, nil); err != nil {
		t.Errorf("to the last epoch: %v", err)
	}
}

// TestLostNodes: who is gone for good has said all that it could, and is waited for
// by nobody; the steps stay the same, so that marks carry over.
func TestLostNodes(t *testing.T) {
	params := Params{N: 3, R: 2, W: 2}
	from := ringOf(t, params, 4, "A B C D E F", "ABC", "DEF")
	to := ringOf(t, params, 5, "A B D E F G", "ABG", "DEG")
	all := mustTransit(t, from, to)
	for _, tt := range []struct {
		lost    string
		sources []int
		marks   []string // Those done and those at stage 2, by partition.
		phases  []int
		lapsed  []kv.Partition
	}{
		{"", []int{2, 2}, []string{"/", "/"}, []int{1, 1}, nil},
		{"C", []int{2, 2}, []string{"/C", "/"}, []int{1, 1}, nil},
		{"G", []int{2, 2}, []string{"G/", "G/"}, []int{1, 1}, nil},
		{"BC", []int{1, 2}, []string{"B/BC", "/"}, []int{1, 1}, []kv.Partition{0}},
		{"DEG", []int{2, 1}, []string{"G/", "DEG/DE"}, []int{1, 3}, []kv.Partition{1}},
		{"DG", []int{2, 2}, []string{"G/", "DG/D"}, []int{1, 2}, []kv.Partition{1}},
		{"ABC", []int{0, 2}, []string{"AB/ABC", "/"}, []int{3, 1}, []kv.Partition{0}},
		{"XY", []int{2, 2}, []string{"/", "/"}, []int{1, 1}, nil},
	} {
		var lost []kv.NodeID
		for _, id := range []byte(tt.lost) {
			lost = append(lost, kv.NodeID(id))
		}
		tr := mustTransit(t, from, to, lost...)
		if tr.ID() == all.ID() != (tt.lost == "") {
			t.Errorf("%q lost: the id is %x, that of nobody lost %x", tt.lost, tr.ID(), all.ID())
		}
		g := NewProgress(tr)
		for i, s := range tr.steps {
			var done, stage2 []kv.NodeID
			for place, id := range s.Union {
				if g.Marks(i).Done(place) {
					done = append(done, id)
				}
				if g.Marks(i).Stage2(place) {
					stage2 = append(stage2, id)
				}
			}
			_, phase := g.At(kv.Partition(i))
			if got := letters(done) + "/" + letters(stage2); got != tt.marks[i] || s.Sources != tt.sources[i] || phase != tt.phases[i] {
				t.Errorf("%q lost, step %d: marks %s, sources %d, phase %d", tt.lost, i, got, s.Sources, phase)
			}
		}
		if diff := cmp.Diff(tt.lapsed, tr.Lapsed()); diff != "" {
			t.Errorf("%q lost: partitions lapsed (-want +got):\n%s", tt.lost, diff)
		}
	}
}

// The most there can be: a second ring without one node of the first.
func BenchmarkNewTransition(b *testing.B) {
	for _, size := range []struct{ before, after, same, q, n int }{
		{1000, 1001, 1000, 1 << 16, 3}, {1000, 500, 500, 1 << 16, 3}, {100, 1000, 100, 1 << 16, 3}, {1000, 1000, 0, 1 << 16, 16},
	} {
		b.Run(fmt.Sprintf("nodes=%d..%d/n=%d", size.before, size.after, size.n), func(b *testing.B) {
			params := Params{N: size.n, R: 2, W: 2, Q: size.q}
			nodes := equals(3000)
			for i := range nodes {
				nodes[i].Zone = fmt.Sprint(i % 3)
			}
			from := mustClaim(b, nil, params, 1, nodes[:size.before])
			prev, at := from, size.before-size.same
			if size.same == 0 {
				prev = nil
			}
			to := mustClaim(b, prev, params, 2, nodes[at:at+size.after])
			b.ReportAllocs()
			for b.Loop() {
				b.ReportMetric(float64(mustTransit(b, from, to).Len()), "steps")
			}
		})
	}
}

func sortedLetters(s string) string {
	b := []byte(s)
	slices.Sort(b)
	return string(b)
}
