package ring

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

func TestDiffByHand(t *testing.T) {
	prev := small(t)
	// Node 1 leaves, 5 joins in a zone of its own with twice the weight.
	next, err := newRing(prev.params, 8,
		[]Node{{2, 1, "a"}, {3, 1, "b"}, {4, 1, "b"}, {5, 2, "c"}},
		[]uint16{3, 1, 1, 0, 0, 2, 3, 1})
	if err != nil {
		t.Fatal(err)
	}
	want := Plan{
		Epoch: 8, SpanBefore: 2, SpanAfter: 2, Moved: 3, Least: 3,
		Nodes: []NodePlan{
			{ID: 1, Zone: "a", Weight: 1, Leaves: true, Lost: []kv.Partition{0, 3}, Before: Stake{2, 2, 0.25}},
			{ID: 2, Zone: "a", Weight: 1, Before: Stake{1, 2, 0.25}, After: Stake{1, 2, 0.25}, Fair: 1.6},
			{ID: 3, Zone: "b", Weight: 1, Lost: []kv.Partition{2}, Before: Stake{1, 4, 0.5}, After: Stake{1, 3, 0.375}, Fair: 1.6},
			{ID: 4, Zone: "b", Weight: 1, Gained: []kv.Partition{2}, After: Stake{0, 1, 0.125}, Fair: 1.6},
			{ID: 5, Zone: "c", Weight: 2, Joins: true, Gained: []kv.Partition{0, 3}, After: Stake{2, 2, 0.25}, Fair: 3.2},
		},
		Zones: []ZonePlan{
			{Zone: "a", Nodes: 1, Weight: 1, Before: Stake{3, 4, 0.5}, After: Stake{1, 2, 0.25}, Lost: ZoneLoss{1, 2}},
			{Zone: "b", Nodes: 2, Weight: 2, Before: Stake{1, 4, 0.5}, After: Stake{1, 4, 0.5}, Lost: ZoneLoss{1, 4}},
			{Zone: "c", Nodes: 1, Weight: 2, After: Stake{2, 2, 0.25}, Lost: ZoneLoss{1, 2}},
		},
	}
	if diff := cmp.Diff(want, Diff(prev, next)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

// A replacement and a new weight, as the plan shows them.
func TestDiffOfReplaceAndWeight(t *testing.T) {
	nodes := []Node{{1, 1, ""}, {2, 1, ""}, {3, 1, ""}, {4, 1, ""}}
	params := Params{N: 2, R: 1, W: 2, Q: 16}
	prev := mustClaim(t, nil, params, 1, nodes)
	next, err := Replace(prev, 2, []Node{{1, 2, ""}, {2, 1, ""}, {3, 1, ""}, {9, 1, ""}}, map[kv.NodeID]kv.NodeID{4: 9})
	if err != nil {
		t.Fatal(err)
	}
	p := Diff(prev, next)
	loads := map[kv.NodeID][2]int{}
	for _, n := range p.Nodes {
		loads[n.ID] = [2]int{n.Before.Replicas, n.After.Replicas}
		if n.Leaves != (n.ID == 4) || n.Joins != (n.ID == 9) || n.WeightBefore != 0 && n.ID != 1 || n.ID == 1 && n.WeightBefore != 1 {
			t.Errorf("%+v", n)
		}
		if n.ID == 4 && len(n.Lost) != 8 || n.ID == 1 && len(n.Gained) != 4 {
			t.Errorf("node %v gains %d and loses %d", n.ID, len(n.Gained), len(n.Lost))
		}
	}
	// Shares of 2/5 and 1/5 of 32: 12.8 and 6.4, and what is there already stays.
	if loads[1] != [2]int{8, 12} || loads[4] != [2]int{8, 0} || p.Moved != p.Least {
		t.Errorf("loads %v, %d moves, %d suffice", loads, p.Moved, p.Least)
	}
}

// What the plan says of moves adds up to the difference of the rings.
func TestDiffAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		prev := c.claim(t, nil)
		first := Diff(nil, prev)
		if all := prev.Params().Q * prev.Replicas(); first.Moved != all || first.Least != all || first.SpanBefore != 0 {
			t.Fatalf("the first plan moves %d, at least %d, of %d, from %d zones", first.Moved, first.Least, all, first.SpanBefore)
		}
		c.change(t)
		next := c.claim(t, prev)
		p := Diff(prev, next)
		if p.SpanBefore != prev.span() || p.SpanAfter != next.span() {
			t.Fatalf("the owners are counted in %d and %d zones, want %d and %d", p.SpanBefore, p.SpanAfter, prev.span(), next.span())
		}
		gained, tokens, share := 0, 0, 0.0
		for _, n := range p.Nodes {
			gained += len(n.Gained)
			tokens += n.After.Tokens
			share += n.After.Share
			if n.Before.Replicas+len(n.Gained)-len(n.Lost) != n.After.Replicas {
				t.Fatalf("%+v does not add up", n)
			}
			if n.Joins == prev.Contains(n.ID) || n.Leaves == next.Contains(n.ID) {
				t.Fatalf("%v joins: %v, leaves: %v", n.ID, n.Joins, n.Leaves)
			}
		}
		if gained != p.Moved || p.Moved < p.Least || tokens != next.Params().Q || share < 0.999 || share > 1.001 {
			t.Fatalf("%d gained of %d moved, at least %d; %d tokens, share %v", gained, p.Moved, p.Least, tokens, share)
		}
	})
}

func TestWarnings(t *testing.T) {
	node := func(id kv.NodeID, weight uint32, zone string) Node { return Node{id, weight, zone} }
	for _, tt := range []struct {
		name  string
		nodes []Node
		want  []Warning
	}{
		{"all is well", []Node{node(1, 1, ""), node(2, 1, ""), node(3, 1, ""), node(4, 1, "")}, nil},
		{"well in zones", []Node{node(1, 5, "a"), node(2, 5, "b"), node(3, 5, "c")}, nil},
		{"two nodes", []Node{node(1, 1, "a"), node(2, 9, "b")}, []Warning{{Kind: FewNodes}}},
		{"two zones", []Node{node(1, 1, "a"), node(2, 1, "a"), node(3, 1, "b"), node(4, 1, "b")}, []Warning{{Kind: FewZones, Zone: "a", Lost: &ZoneLoss{1, 32}}}},
		{"one big node", []Node{node(1, 3, ""), node(2, 1, ""), node(3, 1, ""), node(4, 1, "")},
			[]Warning{{Kind: NodeCapped, Node: 1, Fair: 64, Wanted: 96}}},
		{"just tolerable", []Node{node(1, 105, ""), node(2, 99, ""), node(3, 96, "")}, nil},
		{"big zone, thin zones", []Node{node(1, 2, "a"), node(2, 1, "b"), node(3, 1, "c")}, []Warning{
			{Kind: NodeCapped, Node: 1, Zone: "a", Fair: 64, Wanted: 96},
			{Kind: ZoneThin, Zone: "b", Fair: 64, Wanted: 48},
			{Kind: ZoneThin, Zone: "c", Fair: 64, Wanted: 48},
		}},
		{"a thin zone beside others", []Node{node(1, 4, "a"), node(2, 4, "a"), node(3, 4, "a"), node(4, 1, "b")}, []Warning{
			{Kind: FewZones, Zone: "a", Lost: &ZoneLoss{1, 64}},
			{Kind: NodeCapped, Node: 1, Zone: "a", Fair: 128. / 3, Wanted: 768. / 13},
			{Kind: NodeCapped, Node: 2, Zone: "a", Fair: 128. / 3, Wanted: 768. / 13},
			{Kind: NodeCapped, Node: 3, Zone: "a", Fair: 128. / 3, Wanted: 768. / 13},
			{Kind: ZoneThin, Zone: "b", Fair: 64, Wanted: 192. / 13},
		}},
		{"more zones than owners", []Node{node(1, 1, "a"), node(2, 1, "b"), node(3, 1, "c"), node(4, 1, "d"), node(5, 8, "e")},
			[]Warning{{Kind: NodeCapped, Node: 5, Zone: "e", Fair: 64, Wanted: 128}}},
		{"one without a zone", []Node{node(1, 1, "a"), node(2, 1, "b"), node(3, 1, "c"), node(4, 1, "")}, []Warning{{Kind: NoZone, Node: 4}}},
	} {
		r := mustClaim(t, nil, Params{N: 3, R: 2, W: 2, Q: 64}, 1, tt.nodes)
		if diff := cmp.Diff(tt.want, Diff(nil, r).Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestPlanAsJSON(t *testing.T) {
	p := Plan{
		Epoch: 2, SpanAfter: 1, Moved: 1, Least: 1,
		Nodes:    []NodePlan{{ID: 0xab, Zone: "z", Weight: 3, Joins: true, Gained: []kv.Partition{7}, After: Stake{1, 1, 0.5}, Fair: 1.5}},
		Zones:    []ZonePlan{{Zone: "z", Nodes: 1, Weight: 3}},
		Warnings: []Warning{{Kind: FewNodes}, {Kind: NodeCapped, Node: 0xab}},
	}
	const want = `{"epoch":2,` +
		`"nodes":[{"id":"00000000000000ab","zone":"z","weight":3,"joins":true,"gained":[7],` +
		`"before":{"tokens":0,"replicas":0,"share":0},"after":{"tokens":1,"replicas":1,"share":0.5},"fair":1.5}],` +
		`"zones":[{"zone":"z","nodes":1,"weight":3,` +
		`"before":{"tokens":0,"replicas":0,"share":0},"after":{"tokens":0,"replicas":0,"share":0},"lost":{"left":0,"in":0}}],` +
		`"span_before":0,"span_after":1,"moved":1,"least":1,` +
		`"warnings":[{"kind":"fewer nodes than N"},{"kind":"capped below its weight","node":"00000000000000ab"}]}`
	got, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}
