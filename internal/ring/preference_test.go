package ring

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

func TestPreferenceByHand(t *testing.T) {
	r := small(t)
	for p, want := range [][]kv.NodeID{
		{1, 3, 2, 4}, // 2 is met at partition 1; 4 owns nothing and comes last.
		{3, 2, 1, 4}, // Partition 2 has nobody new, partition 3 has 1.
		{2, 3, 1, 4},
		{1, 3, 2, 4}, // Past the last partition the walk goes on at 0.
	} {
		got := r.Preference(kv.Partition(p), []kv.NodeID{99})
		if diff := cmp.Diff(append([]kv.NodeID{99}, want...), got); diff != "" {
			t.Errorf("preference list of %d (-want +got):\n%s", p, diff)
		}
	}
}

// clockwise is the preference list as its comment defines it, without regard
// to cost.
func clockwise(r *Ring, p int) []kv.NodeID {
	var list []kv.NodeID
	add := func(id kv.NodeID) {
		if !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	for i := range r.Params().Q {
		for _, id := range r.Owners(kv.Partition((p + i) % r.Params().Q)) {
			add(id)
		}
	}
	for _, n := range r.Nodes() {
		add(n.ID)
	}
	return list
}

func TestPreferenceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawCluster(t).claim(t, nil)
		p := rapid.IntRange(0, r.Params().Q-1).Draw(t, "partition")
		want := clockwise(r, p)
		if diff := cmp.Diff(want, r.Preference(kv.Partition(p), nil)); diff != "" {
			t.Fatalf("preference list of %d (-want +got):\n%s", p, diff)
		}
		if len(want) != len(r.Nodes()) || !slices.Equal(want[:r.Replicas()], r.Owners(kv.Partition(p))) {
			t.Fatalf("the list %v lacks nodes or does not begin with the owners %v", want, r.Owners(kv.Partition(p)))
		}
		limit := rapid.IntRange(0, len(want)+1).Draw(t, "limit")
		got := r.PreferencePrefix(kv.Partition(p), limit, []kv.NodeID{})
		if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" {
			t.Fatalf("the first %d (-want +got):\n%s", limit, diff)
		}
	})
}
