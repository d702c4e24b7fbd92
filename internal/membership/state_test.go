package membership

import (
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		name   string
		inRing bool
		says   Status
		want   Status
	}{
		{"announced", false, StatusNone, StatusNone},
		{"staged", false, StatusStaged, StatusStaged},
		{"staged, and the ring arrived first", true, StatusStaged, StatusMember},
		{"member", true, StatusMember, StatusMember},
		{"member, and the ring has not arrived", false, StatusMember, StatusNone},
		{"leaving", true, StatusLeaving, StatusLeaving},
		{"removed, still in the ring", true, StatusRemoved, StatusRemoved},
		{"removed", false, StatusRemoved, StatusRemoved},
	} {
		nodes := []kv.NodeID{1}
		if c.inRing {
			nodes = append(nodes, 2)
		}
		s := newState(testCluster, []Member{{ID: 2, Decision: Decision{Status: c.says}}}, testRing(1, nodes...), nil)
		if got := s.Status(2); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if got := newState(0, nil, nil, nil).Status(2); got != StatusNone {
		t.Errorf("stranger: got %v", got)
	}
}

func TestProps(t *testing.T) {
	s := newState(testCluster, nil, testRing(1, 1), nil).
		withBucket("lww", Bucket{Props: kv.Props{Quorums: kv.Quorums{R: 1, W: kv.Unset, DW: 0}, Merge: kv.MergeLWW}}).
		withBucket(kv.TypedBucket("t", ""), Bucket{Props: kv.Props{Quorums: kv.Quorums{R: 1, W: 1, DW: 1}, Meta: "kept"}}).
		withBucket(kv.TypedBucket("t", "own"), Bucket{Props: anyProps})
	for _, c := range []struct {
		bucket string
		want   kv.Props
	}{
		{"other", kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}},
		{"lww", kv.Props{Quorums: kv.Quorums{R: 1, W: 2, DW: 0}, Merge: kv.MergeLWW}},
		{kv.TypedBucket("t", "b"), kv.Props{Quorums: kv.Quorums{R: 1, W: 1, DW: 1}, Meta: "kept"}},
		{kv.TypedBucket("t", "own"), kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}},
		{kv.TypedBucket("u", "b"), kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}},
	} {
		if got := s.Props([]byte(c.bucket)); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.bucket, got, c.want)
		}
	}
	name := []byte(kv.TypedBucket("t", "b"))
	if n := testing.AllocsPerRun(100, func() { s.Props(name) }); n != 0 {
		t.Errorf("Props allocates %v times", n)
	}
}

func TestChangeLeavesTheOldState(t *testing.T) {
	old := newState(testCluster, []Member{{ID: 2}}, nil, nil).withBucket("a", Bucket{Props: anyProps, Version: 1})
	before := string(old.AppendTo(nil))
	next := old.withMember(Member{ID: 1}).withMember(Member{ID: 2, Profile: Profile{Zone: "z"}}).withBucket("b", Bucket{Props: anyProps})
	if string(old.AppendTo(nil)) != before {
		t.Error("the old state has changed")
	}
	if err := next.check(); err != nil {
		t.Error(err)
	}
	if len(next.Members()) != 2 || next.Members()[0].ID != 1 || len(next.Buckets()) != 2 {
		t.Errorf("got members %+v, buckets %v", next.Members(), next.Buckets())
	}
}

// hundred returns the state of a cluster of 100 nodes and 100 buckets.
func hundred(tb testing.TB) *State {
	s := newState(testCluster, nil, nil, nil)
	var nodes []ring.Node
	for i := range 100 {
		id := kv.NodeID(i + 1)
		nodes = append(nodes, ring.Node{ID: id, Weight: 1, Zone: "z"})
		name := fmt.Sprintf("n%d", i)
		s = s.withMember(Member{ID: id, Profile: Profile{Name: name, Zone: "z", Weight: 1, Boot: 1, Addrs: Addresses{
			HTTP: "10.0.0.100:7400", Peer: "10.0.0.100:7401", Gossip: "10.0.0.100:7402", RESP: "10.0.0.100:7403", Riak: "10.0.0.100:7404",
		}}}).withBucket("bucket "+name, Bucket{Props: anyProps, Version: 1})
	}
	r, err := ring.Claim(nil, ring.DefaultParams(), 1, nodes)
	if err != nil {
		tb.Fatal(err)
	}
	return s.withRing(r)
}

func BenchmarkProps(b *testing.B) {
	s, name := hundred(b), []byte("bucket n50")
	b.ReportAllocs()
	for b.Loop() {
		s.Props(name)
	}
}

// BenchmarkMerge takes in one member's news in a cluster of 100.
func BenchmarkMerge(b *testing.B) {
	s := hundred(b)
	m, _ := s.Member(50)
	m.Seen.Limit++
	news := newState(testCluster, []Member{m}, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Merge(s, news); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(s.AppendTo(nil))), "state-bytes")
}
