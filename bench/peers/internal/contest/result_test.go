package contest

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9}},
		{[]float64{4, 1, 2, 100}, Spread{3, 1, 100}},
	} {
		if got := spread(c.all); got != c.want {
			t.Errorf("%v: got %+v", c.all, got)
		}
	}
}

func TestFiguresOfAReport(t *testing.T) {
	r := bench.Report{
		Ops: 900, OpsPerSec: 450, ClusterCPU: 20, OwnCPU: 5, Missing: 30,
		Kinds: []bench.KindReport{
			{Kind: "read", Count: 600, Latency: bench.Latency{P50: 1, P99: 2, P999: 3}}, {Kind: "update", Count: 290, Latency: bench.Latency{P50: 4, P99: 5, P999: 6}},
			{Kind: "read before update", Count: 10, Latency: bench.Latency{P50: 100, P99: 100, P999: 100}},
		},
		Errors: map[client.Kind]uint64{client.KindTimeout: 60, client.KindInternal: 40},
	}
	want := Figures{
		OpsPerSec: 450, ServerMicros: 20, ClientMicros: 5, Failed: 0.1, Missing: 0.05,
		Get: Latency{1, 2, 3}, Put: Latency{4, 5, 6},
	}
	got, err := figures(r)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	r.ClusterCPUNote = "it is secret"
	if _, err := figures(r); err == nil {
		t.Error("a processor time that is not known is told")
	}
	if _, err := figures(bench.Report{}); !errors.Is(err, errNothing) {
		t.Errorf("of nothing: %v", err)
	}
}

// did is what a store did in several rounds.
func did(label string, ours bool, rounds ...Figures) RowResult {
	return RowResult{Label: label, Ours: ours, Rounds: rounds}
}

func TestRatiosAreOfNeighbours(t *testing.T) {
	// The machine was four times as slow in the second round, and ours worse in
	// the third.
	r := Result{Rows: []RowResult{
		did("a", true, Figures{OpsPerSec: 800, ServerMicros: 10}, Figures{OpsPerSec: 200, ServerMicros: 40}, Figures{OpsPerSec: 100, ServerMicros: 100}),
		did("x", false, Figures{OpsPerSec: 400, ServerMicros: 20}, Figures{OpsPerSec: 100, ServerMicros: 80}, Figures{OpsPerSec: 400, ServerMicros: 20}),
		did("b", true, Figures{OpsPerSec: 400, ServerMicros: 20}),
		did("y", false, Figures{OpsPerSec: 100}),
	}}
	r.conclude()
	want := []Ratio{
		{Ours: "a", Peer: "x", Ops: Spread{2, 0.25, 2}, Server: Spread{2, 0.2, 2}},
		{Ours: "a", Peer: "y", Ops: Spread{8, 8, 8}, Server: Spread{}},
		{Ours: "b", Peer: "x", Ops: Spread{1, 1, 1}, Server: Spread{1, 1, 1}},
		{Ours: "b", Peer: "y", Ops: Spread{4, 4, 4}, Server: Spread{}},
	}
	if diff := cmp.Diff(want, r.Ratios); diff != "" {
		t.Error(diff)
	}
	if m := r.Rows[0].Median; m.OpsPerSec != 200 || m.ServerMicros != 40 {
		t.Errorf("medians are %+v", m)
	}
	if q := quotient(1, 0); q != 0 {
		t.Errorf("1/0 is %v, which JSON cannot say", q)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
