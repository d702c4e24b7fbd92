package merkle

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// records are what a partition holds: keys and the digests of their objects.
type records map[string]uint64

// tree is the definition of a hash tree, summed leaf by leaf.
func (r records) tree() (root uint64, branches [Fanout]uint64, leaves [Leaves]uint64) {
	for k, digest := range r {
		h := RecordHash([]byte(k), digest)
		l := LeafOf(Position([]byte(k)))
		root ^= h
		branches[l/Fanout] ^= h
		leaves[l] ^= h
	}
	return root, branches, leaves
}

// set moves key k of t from the digest that r has for it to another.
func (r records) set(t *Tree, k string, digest uint64) {
	l := LeafOf(Position([]byte(k)))
	t.Toggle(l, RecordHash([]byte(k), r[k]))
	t.Toggle(l, RecordHash([]byte(k), digest))
	r[k] = digest
}

// checkTree compares all that t tells with what it should be.
func checkTree(t interface{ Fatalf(string, ...any) }, got *Tree, r records) {
	root, branches, leaves := r.tree()
	if got.Root() != root {
		t.Fatalf("the root is %x, want %x", got.Root(), root)
	}
	if diff := cmp.Diff(branches[:], got.Branches(nil)); diff != "" {
		t.Fatalf("branches (-want +got):\n%s", diff)
	}
	var all []uint64
	for b := range Fanout {
		all = got.LeavesOf(b, all)
	}
	if diff := cmp.Diff(leaves[:], all); diff != "" {
		t.Fatalf("leaves (-want +got):\n%s", diff)
	}
	for l := range Leaf(Leaves) {
		if got.Leaf(l) != leaves[l] {
			t.Fatalf("leaf %d is %x, want %x", l, got.Leaf(l), leaves[l])
		}
	}
}

// TestTreeIsItsRecords writes records, changes them and lets them go; digest 0
// is a record that counts as absent.
func TestTreeIsItsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tree Tree
		r := records{}
		key := rapid.Map(rapid.IntRange(0, 20), func(i int) string { return fmt.Sprintf("key %d", i) })
		for range rapid.IntRange(0, 60).Draw(t, "writes") {
			r.set(&tree, key.Draw(t, "key"), rapid.Uint64Range(0, 3).Draw(t, "digest"))
		}
		checkTree(t, &tree, r)
		kept := tree.AppendTo([]byte("before"))
		again, err := Parse(kept[len("before"):])
		if err != nil {
			t.Fatalf("its kept form: %v", err)
		}
		checkTree(t, again, r)

		// One that was written otherwise has the same records, and so is the same.
		var other Tree
		o := records{}
		for _, k := range slices.Sorted(maps.Keys(r)) {
			o.set(&other, k, r[k])
		}
		if diff := cmp.Diff(kept[len("before"):], other.AppendTo(nil)); diff != "" {
			t.Fatalf("equal records, other trees:\n%s", diff)
		}
	})
}

// TestSubsets: the tree of records that are in one of two sets alone is the XOR
// of the two sets' trees.
func TestSubsets(t *testing.T) {
	var a, b, diff Tree
	ra, rb, rd := records{}, records{}, records{}
	for i := range 300 {
		k := fmt.Sprint(i)
		switch i % 3 {
		case 0:
			ra.set(&a, k, 7)
			rb.set(&b, k, 7)
		case 1:
			ra.set(&a, k, 7)
			rd.set(&diff, k, 7)
		default:
			rb.set(&b, k, 7)
			rd.set(&diff, k, 7)
		}
	}
	for l := range Leaf(Leaves) {
		if a.Leaf(l)^b.Leaf(l) != diff.Leaf(l) {
			t.Fatalf("leaf %d", l)
		}
	}
	if a.Root()^b.Root() != diff.Root() {
		t.Error("the root")
	}
}

func TestSetLeaf(t *testing.T) {
	var tree, rebuilt Tree
	r := records{}
	for i := range 2000 {
		r.set(&tree, fmt.Sprint(i), uint64(i))
	}
	for l := range Leaf(Leaves) {
		rebuilt.SetLeaf(l, uint64(l)+99)
		rebuilt.SetLeaf(l, tree.Leaf(l))
	}
	checkTree(t, &rebuilt, r)
}

// TestPositions are fixed: they stand on disk, and every node must agree.
func TestPositions(t *testing.T) {
	for key, want := range map[string]uint32{"": 0xef46db37, "a": 0xd24ec4f1, "cart/1": 0xc4ec0287} {
		if got := Position([]byte(key)); got != want {
			t.Errorf("the position of %q is %#x, want %#x", key, got, want)
		}
	}
	for position, want := range map[uint32]Leaf{0: 0, 1<<22 - 1: 0, 1 << 22: 1, 1<<32 - 1: Leaves - 1} {
		if got := LeafOf(position); got != want {
			t.Errorf("position %#x is in leaf %d, want %d", position, got, want)
		}
	}
}

// TestLeavesAreEven: keys that count up spread evenly, no leaf of 64 keys on
// average gets more than twice as many.
func TestLeavesAreEven(t *testing.T) {
	var n [Leaves]int
	for i := range 64 * Leaves {
		n[LeafOf(Position(fmt.Appendf(nil, "user:%d", i)))]++
	}
	if most, least := slices.Max(n[:]), slices.Min(n[:]); most > 128 || least < 32 {
		t.Errorf("leaves have between %d and %d keys", least, most)
	}
}

// TestRecordHash: each key and each digest counts, none cancels another out.
func TestRecordHash(t *testing.T) {
	seen := map[uint64]string{}
	for i := range 100 {
		for digest := range uint64(100) {
			name := fmt.Sprintf("key %d at %d", i, digest)
			h := RecordHash(fmt.Appendf(nil, "%d", i), digest)
			if digest == 0 {
				if h != 0 {
					t.Errorf("%s: %x, want 0", name, h)
				}
				continue
			}
			if other, ok := seen[h]; ok || h == 0 {
				t.Errorf("%s and %q have the hash %x", name, other, h)
			}
			seen[h] = name
		}
	}
}

func filled() *Tree {
	tree := new(Tree)
	random := rand.New(rand.NewPCG(1, 2))
	for l := range Leaf(Leaves) {
		tree.SetLeaf(l, random.Uint64()|1)
	}
	return tree
}

func TestParseRefuses(t *testing.T) {
	full := filled().AppendTo(nil)
	if len(full) != MaxSize {
		t.Errorf("a full tree is kept in %d bytes, MaxSize is %d", len(full), MaxSize)
	}
	one := func(branches, leaves uint32, hashes ...uint64) []byte {
		b := binary.BigEndian.AppendUint32([]byte{Version}, branches)
		b = binary.BigEndian.AppendUint32(b, leaves)
		for _, h := range hashes {
			b = binary.BigEndian.AppendUint64(b, h)
		}
		return b
	}
	with := func(b []byte, at int, v byte) []byte { b[at] = v; return b }
	for _, c := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"an empty tree", new(Tree).AppendTo(nil), true},
		{"a full tree", full, true},
		{"one leaf", one(2, 4, 9), true},

		{"nothing", nil, false},
		{"a cut header", []byte{Version, 0, 0, 0}, false},
		{"a byte too many", append(slices.Clone(full), 0), false},
		{"more behind it", append(one(2, 4, 9), 0), false},
		{"another version", with(one(2, 4, 9), 0, Version+1), false},
		{"a branch of nothing", one(2, 0), false},
		{"a leaf of nothing", one(2, 4, 0), false},
		{"a branch less", one(3, 4, 9), false},
		{"a leaf less", one(2, 6, 9), false},
		{"a cut leaf", full[:len(full)-1], false},
	} {
		if tree, err := Parse(c.b); (err == nil) != c.ok || (tree != nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(new(Tree).AppendTo(nil))
	f.Add(filled().AppendTo(nil))
	var small Tree
	small.Toggle(77, 5)
	small.Toggle(1000, 6)
	f.Add(small.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := Parse(b)
		if err != nil {
			return
		}
		if again := tree.AppendTo(nil); string(again) != string(b) {
			t.Fatalf("Parse accepts %x, whose kept form is %x", b, again)
		}
		var root uint64
		for _, h := range tree.Branches(nil) {
			root ^= h
		}
		if root != tree.Root() {
			t.Fatalf("%x: the root is not the sum of its branches", b)
		}
	})
}

// hot is what a write does to its tree.
func hot() map[string]func() {
	tree, key := filled(), []byte("bucket/a key of usual length")
	room := make([]uint64, 0, Fanout)
	digest := uint64(0)
	return map[string]func(){
		"Toggle":     func() { tree.Toggle(517, 0xfeed) },
		"RecordHash": func() { digest++; RecordHash(key, digest) },
		"Position":   func() { Position(key) },
		"Branches":   func() { tree.Branches(room) },
		"LeavesOf":   func() { tree.LeavesOf(3, room) },
		"LeavesOf/0": func() { new(Tree).LeavesOf(3, room) },
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, op := range hot() {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHot(b *testing.B) {
	for name, op := range hot() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
}
