package ring

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// small is a ring of four partitions made by hand: nodes 1 to 4 in zones a, a,
// b and b, of which 4 owns nothing.
func small(t testing.TB) *Ring {
	t.Helper()
	r, err := newRing(
		Params{N: 2, R: 1, W: 2, Q: 4, Partitioner: CRC16}, 7,
		[]Node{{1, 1, "a"}, {2, 1, "a"}, {3, 1, "b"}, {4, 1, "b"}},
		[]uint16{0, 2, 2, 1, 1, 2, 0, 2})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRingAccessors(t *testing.T) {
	r := small(t)
	if r.Epoch() != 7 || r.Params().W != 2 || r.Replicas() != 2 || len(r.Nodes()) != 4 {
		t.Errorf("epoch %d, params %+v, replicas %d, nodes %v", r.Epoch(), r.Params(), r.Replicas(), r.Nodes())
	}
	for _, tt := range []struct {
		id           kv.NodeID
		tokens, load int
		parts        []kv.Partition
		member       bool
	}{
		{1, 2, 2, []kv.Partition{0, 3}, true},
		{2, 1, 2, []kv.Partition{1, 2}, true},
		{3, 1, 4, []kv.Partition{0, 1, 2, 3}, true},
		{4, 0, 0, []kv.Partition{}, true},
		{5, 0, 0, []kv.Partition{}, false},
	} {
		if got := r.Tokens(tt.id); got != tt.tokens {
			t.Errorf("node %v has %d tokens, want %d", tt.id, got, tt.tokens)
		}
		if got := r.Load(tt.id); got != tt.load {
			t.Errorf("node %v has load %d, want %d", tt.id, got, tt.load)
		}
		if diff := cmp.Diff(tt.parts, r.Partitions(tt.id)); diff != "" {
			t.Errorf("partitions of node %v (-want +got):\n%s", tt.id, diff)
		}
		if got := r.Contains(tt.id); got != tt.member {
			t.Errorf("Contains(%v) = %v", tt.id, got)
		}
	}
}

func TestRingOwners(t *testing.T) {
	r := small(t)
	for p, want := range [][]kv.NodeID{{1, 3}, {3, 2}, {2, 3}, {1, 3}} {
		got := r.Owners(kv.Partition(p))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("owners of %d (-want +got):\n%s", p, diff)
		}
		if cap(got) != len(got) {
			t.Errorf("owners of %d can be appended to in place", p)
		}
		for id := kv.NodeID(1); id <= 5; id++ {
			if owns := id == want[0] || id == want[1]; r.Owns(kv.Partition(p), id) != owns {
				t.Errorf("Owns(%d, %v) = %v", p, id, !owns)
			}
		}
	}
}

func TestPartitionOfLeavesOutTheBucket(t *testing.T) {
	r := small(t)
	for _, bucket := range []string{"a", "carts", strings.Repeat("x", kv.MaxBucket)} {
		k, err := kv.NewKey(bucket, "foo")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := r.PartitionOf(k), kv.Partition(12182/4096); got != want {
			t.Errorf("foo of bucket %.5s is in partition %d, want %d", bucket, got, want)
		}
	}
}

// Each case breaks one invariant of the ring made by hand.
func TestCheckFindsWhatIsBroken(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Ring)
		says   string
	}{
		{"parameters", func(r *Ring) { r.params.Q = 3 }, "q=3"},
		{"no nodes", func(r *Ring) { r.nodes = nil }, "0 nodes"},
		{"order of nodes", func(r *Ring) { r.nodes[0].ID = 9 }, "out of order"},
		{"owners cut", func(r *Ring) { r.owners = r.owners[:7] }, "7 owners"},
		{"owner unknown", func(r *Ring) { r.owners[3] = 4 }, "owner 4 of 4"},
		{"owner twice", func(r *Ring) { r.owners[3] = 2 }, "partition 1 has node"},
		{"zone missing", func(r *Ring) { r.owners[3] = 3 }, "span 1 zones, want 2"},
	} {
		r := small(t)
		tt.change(r)
		if err := r.check(); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: check says %v, want %q", tt.name, err, tt.says)
		}
	}
}

func TestNodeLimits(t *testing.T) {
	many := make([]Node, kv.MaxMembers+1)
	for i := range many {
		many[i] = Node{ID: kv.NodeID(i + 1), Weight: 1}
	}
	for _, tt := range []struct {
		name  string
		nodes []Node
		ok    bool
	}{
		{"none", nil, false},
		{"one", many[:1], true},
		{"all", many[:kv.MaxMembers], true},
		{"one too many", many, false},
		{"id 0", []Node{{0, 1, ""}}, false},
		{"weight 0", []Node{{1, 0, ""}}, false},
		{"weight most", []Node{{1, MaxWeight, ""}}, true},
		{"weight past it", []Node{{1, MaxWeight + 1, ""}}, false},
		{"zone longest", []Node{{1, 1, strings.Repeat("z", MaxZone)}}, true},
		{"zone longer", []Node{{1, 1, strings.Repeat("z", MaxZone+1)}}, false},
		{"zone not UTF-8", []Node{{1, 1, "\xff"}}, false},
		{"twice", []Node{{1, 1, ""}, {1, 1, "z"}}, false},
		{"descending", []Node{{2, 1, ""}, {1, 1, ""}}, false},
	} {
		if err := checkNodes(tt.nodes); (err == nil) != tt.ok || err != nil && kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
