package membership

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

var (
	slow = kv.Objective{Share: 99_900, Micros: 500_000}
	fast = kv.Objective{Share: 99_000, Micros: 5_000}
)

func setTo(s kv.SLA) func(kv.SLA) (kv.SLA, error) {
	return func(kv.SLA) (kv.SLA, error) { return s, nil }
}

func TestSetSLA(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		ctx := t.Context()
		if got := nodes[1].State().SLA(); got != kv.DefaultSLA {
			t.Errorf("before it is set: %v", got)
		}
		if err := nodes[0].SetSLA(ctx, setTo(kv.SLA{Put: slow})); err != nil {
			t.Fatal(err)
		}
		want := kv.SLA{Get: kv.DefaultSLA.Get, Put: slow}
		if got := nodes[1].State().SLA(); got != want {
			t.Errorf("a node that can be reached has %v when SetSLA returns, want %v", got, want)
		}
		nodes[1].restart()
		if got := nodes[1].State().SLA(); got != want {
			t.Errorf("after a crash: %v", got)
		}
		if err := nodes[0].SetSLA(ctx, setTo(kv.SLA{Put: kv.Objective{Share: 1}})); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("a bound of 0: %v", err)
		}
		if err := nodes[1].SetSLA(ctx, setTo(kv.SLA{})); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the default is back", func() bool { return nodes[0].State().SLA() == kv.DefaultSLA })
		stopAll(t, nodes...)
	})
}

// No SLA is set, for a bucket or for the cluster, as long as a node of the ring
// does not know of such a thing.
func TestSLAWaitsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t, newFabric(), 1, creating)
		n.cfg.Versions = before
		n.run()
		eventually(t, "the node has its ring", agreed(1, n))
		props := n.Props([]byte("b"))
		props.SLA.Put = slow
		refused(t, "a bucket's", n.SetProps(t.Context(), "b", props), kv.KindWrongVersion, "node n1 speaks protocol version 1")
		refused(t, "the cluster's", n.SetSLA(t.Context(), setTo(kv.SLA{Put: slow})), kv.KindWrongVersion, "node n1 speaks protocol version 1")
		speaking(after, n)
		eventually(t, "the upgrade is known", spoken(2, n))
		if err := n.SetProps(t.Context(), "b", props); err != nil {
			t.Error(err)
		}
		if err := n.SetSLA(t.Context(), setTo(kv.SLA{Put: slow})); err != nil {
			t.Error(err)
		}
		stopAll(t, n)
	})
}

// Buckets without an SLA stand beside those that have one only where they would
// have their type's.
func TestSLAsOfBuckets(t *testing.T) {
	st := newState(testCluster, nil, nil, nil)
	if got := st.SLAs(); got != nil {
		t.Errorf("without any: %v", got)
	}
	with := func(s kv.SLA) Bucket { p := anyProps; p.SLA = s; return Bucket{Props: p} }
	typ := kv.TypedBucket("t", "")
	st = st.withBucket("a", with(kv.SLA{Get: fast})).withBucket("b", with(kv.SLA{})).
		withBucket(typ, with(kv.SLA{Put: slow})).withBucket(kv.TypedBucket("t", "own"), with(kv.SLA{})).
		withBucket(kv.TypedBucket("u", "own"), with(kv.SLA{}))
	want := map[string]kv.SLA{"a": {Get: fast}, typ: {Put: slow}, kv.TypedBucket("t", "own"): {}}
	if d := cmp.Diff(want, st.SLAs()); d != "" {
		t.Error(d)
	}
}

// What cannot be an SLA is malformed, and so is a second form of none.
func TestSLACodecIsCanonical(t *testing.T) {
	for name, c := range map[string]Contract{
		"a bound of 0":      {SLA: kv.SLA{Get: kv.Objective{Share: 1}}, Version: 1},
		"a share of 0":      {SLA: kv.SLA{Get: kv.Objective{Micros: 1}}, Version: 1},
		"more than a whole": {SLA: kv.SLA{Put: kv.Objective{Share: kv.WholeShare + 1, Micros: 1}}, Version: 1},
		"past the longest":  {SLA: kv.SLA{Put: kv.Objective{Share: 1, Micros: uint32(kv.MaxBound.Microseconds()) + 1}}, Version: 1},
	} {
		st := newState(testCluster, nil, nil, nil)
		if _, err := ParseState(st.withContract(c).AppendTo(nil)); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
		p := anyProps
		p.SLA = c.SLA
		if _, err := ParseState(st.withBucket("b", Bucket{Props: p}).AppendTo(nil)); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s, of a bucket: %v", name, err)
		}
	}
	e := newState(testCluster, nil, nil, nil).encoded
	e[sectionSLA] = append(e[sectionSLA], make([]byte, 32)...)
	if _, err := parseSections(testCluster, e); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("version 0: %v", err)
	}
	e = newState(testCluster, nil, nil, nil).withBucket("b", Bucket{Props: kv.Props{Quorums: anyProps.Quorums, Merge: hasSLA}}).encoded
	if _, err := parseSections(testCluster, e); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("a mark without an SLA: %v", err)
	}
}
