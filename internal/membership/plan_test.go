package membership

import (
	"slices"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

func member(id kv.NodeID, name, zone string, s Status) Member {
	return Member{ID: id, Profile: Profile{Name: name, Zone: zone, Weight: 1}, Decision: Decision{Status: s, Version: 1, Author: 1}}
}

// someUp says that of all nodes only these are alive.
func someUp(ids ...kv.NodeID) func(kv.NodeID) bool {
	return func(id kv.NodeID) bool { return slices.Contains(ids, id) }
}

func TestPlan(t *testing.T) {
	base := newState(testCluster, []Member{member(1, "n1", "a", StatusMember)}, testRing(4, 1), nil)
	for _, c := range []struct {
		name string
		st   *State
		text string
	}{
		{"without a ring", newState(0, nil, nil, nil), "belongs to no cluster yet"},
		{"with nothing staged", base, "nothing is staged"},
		{"with a node that is not staged", base.withMember(member(2, "n2", "", StatusNone)), "nothing is staged"},
		{"with the name of a member", base.withMember(member(2, "n1", "", StatusStaged)), "nothing is staged"},
		{"with a name that two joiners have", base.withMember(member(2, "n2", "", StatusStaged)).withMember(member(3, "n2", "", StatusStaged)), `both named "n2"`},
	} {
		if _, err := c.st.Plan(); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want refused: %s", c.name, err, c.text)
		}
	}
	staged := base.withMember(member(2, "n2", "b", StatusStaged)).withMember(member(3, "n1", "", StatusStaged))
	p, err := staged.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if p.Epoch != 5 || p.Next.Epoch() != 5 || p.Moved != 8 || len(p.Nodes) != 2 || p.Nodes[1].Name != "n2" ||
		p.Nodes[1].LoadBefore != 0 || p.Nodes[1].LoadAfter != 8 || p.Nodes[1].Zone != "b" || p.Nodes[1].Status != StatusStaged {
		t.Errorf("got %+v", p)
	}
	want := []string{"2 nodes: each key has 2 replicas, not 3", "node 0000000000000003 waits to replace another named n1: replace n1 n1"}
	if !slices.Equal(p.Warnings, want) {
		t.Errorf("got warnings %q", p.Warnings)
	}
}

func TestDescribeWarning(t *testing.T) {
	st := newState(testCluster, []Member{{ID: 1, Profile: Profile{Name: "n1"}}}, nil, nil)
	r := testRing(1, 1)
	for _, c := range []struct {
		w    ring.Warning
		want string
	}{
		{ring.Warning{Kind: ring.FewNodes}, "1 nodes: each key has 1 replicas, not 3"},
		{ring.Warning{Kind: ring.FewZones, Zone: "a", Lost: &ring.ZoneLoss{Left: 1, In: 4}},
			`fewer zones than n=3: some owners of a key share one; if zone "a" is lost 4 of 8 partitions keep 1 of 1 owners, too few for strict requests at r=2, w=2`},
		{ring.Warning{Kind: ring.FewZones, Zone: "a", Lost: &ring.ZoneLoss{Left: 2, In: 4}},
			`fewer zones than n=3: some owners of a key share one; if zone "a" is lost 4 of 8 partitions keep 2 of 1 owners`},
		{ring.Warning{Kind: ring.NoZone, Node: 1}, "node n1 has no zone: nodes without one count as one zone of their own"},
		{ring.Warning{Kind: ring.NodeCapped, Node: 1, Fair: 8, Wanted: 12.4}, "node n1 takes 8 partitions, less than the 12 of its weight: it, or its zone, has a replica of everything already"},
		{ring.Warning{Kind: ring.ZoneThin, Zone: "z", Fair: 8, Wanted: 2}, `zone "z" has too little capacity: it takes 8 partitions, its weight asks for 2, but each key needs an owner there; add nodes or weight to it`},
		{ring.Warning{Kind: "of a later release"}, "of a later release"},
	} {
		if got := describeWarning(st, r, c.w); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
