package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

func (d *door) address() string { return strings.TrimPrefix(d.url, "http://") }

func (d *door) cluster(path string) ClusterView {
	d.t.Helper()
	var v ClusterView
	if err := json.Unmarshal(d.want(d.do("GET", path, ""), 200).body, &v); err != nil {
		d.t.Fatal(err)
	}
	return v
}

// member is node n1, n2, … with or without its own figures.
func member(d *door, n int, stats *StatsView) MemberView {
	name := "n" + string(rune('0'+n))
	return MemberView{Name: name, ID: kv.NodeID(n), HTTP: d.address(), Status: "member", Up: true, Stats: stats}
}

// TestClusterGathersFigures runs the doors of three nodes and asks the first;
// the third is down for it, and a fourth answers under the address of another.
func TestClusterGathersFigures(t *testing.T) {
	d1, d2, d3 := newDoor(t), newDoor(t), newDoor(t)
	sla := metrics.SLA{Put: metrics.Latency{Count: 5, P999: 1.5}}
	n3, n4 := member(d3, 3, nil), member(d2, 4, nil)
	n3.Up = false
	n5 := MemberView{Name: "n5", ID: 5, HTTP: "127.0.0.1:0", Up: true}
	d1.admin.view = ClusterView{ClusterID: "c", Node: "n1", SLA: sla, Ring: RingView{Epoch: 4, N: 3, Partitions: 8, Partitioner: "md5"},
		Members: []MemberView{member(d1, 1, &StatsView{CPUSeconds: 1}), member(d2, 2, nil), n3, n4, n5}}
	d2.admin.view = ClusterView{Node: "n2", Members: []MemberView{member(d1, 1, nil), member(d2, 2, &StatsView{CPUSeconds: 2, SLA: sla})}}
	d1.admin.view.Hints = []HintView{{Node: "n1", Owner: "n3", ID: 3, Keys: 1}}
	d2.admin.view.Hints = []HintView{{Node: "n2", Owner: "n3", ID: 3, Keys: 4}}
	d3.admin.view = ClusterView{Node: "n3", Members: []MemberView{member(d3, 3, &StatsView{CPUSeconds: 3})}}

	v := d1.cluster("/cluster")
	var cpu []float64
	for _, m := range v.Members {
		if m.Stats == nil {
			cpu = append(cpu, -1)
		} else {
			cpu = append(cpu, m.Stats.CPUSeconds)
		}
	}
	if want := []float64{1, 2, -1, -1, -1}; !slices.Equal(cpu, want) {
		t.Errorf("processor seconds %v, want %v", cpu, want)
	}
	if !cmp.Equal(v.Members[1].Stats.SLA, sla) || !cmp.Equal(v.SLA, sla) || v.Ring.Epoch != 4 || v.Ring.Partitioner != "md5" {
		t.Errorf("got %+v", v)
	}
	if len(v.Hints) != 2 || v.Hints[1].Node != "n2" || v.Hints[1].Keys != 4 {
		t.Errorf("hints %+v, want those of n1 and n2", v.Hints)
	}
	local := d1.cluster("/cluster?local=true")
	if len(local.Members) != 1 || local.Members[0].Name != "n1" || len(local.Hints) != 1 {
		t.Errorf("local: %+v, hints %+v", local.Members, local.Hints)
	}
	if all := d1.cluster("/cluster?local=false"); len(all.Members) != 5 {
		t.Errorf("not local: %d members", len(all.Members))
	}
}

// TestClusterDoesNotWaitForAPeer asks about a peer that never answers; the
// page comes all the same.
func TestClusterDoesNotWaitForAPeer(t *testing.T) {
	cfg := Default()
	cfg.PeerTimeout = 20 * time.Millisecond
	d, silent := newDoorWith(t, cfg), newDoor(t)
	silent.admin.mu.Lock()
	defer silent.admin.mu.Unlock()
	d.admin.view = ClusterView{Node: "n1", Members: []MemberView{member(d, 1, &StatsView{}), member(silent, 2, nil)}}
	if v := d.cluster("/cluster"); len(v.Members) != 2 || v.Members[1].Stats != nil {
		t.Errorf("got %+v", v.Members)
	}
}

func TestEmptyListsAreLists(t *testing.T) {
	d := newDoor(t)
	for path, want := range map[string][]string{
		"/cluster":      {`"members":[]`, `"hints":[]`, `"transition":null`, `"sla":{"get":{"count":0,`},
		"/cluster/plan": {`"changes":[]`, `"loads":[]`, `"zones":[]`, `"warnings":[]`, `"obstacle":""`},
		"/repair":       {`"running":false`, `"damaged":[]`, `"peers":[]`},
		"/scrub":        {`{"running":false,"done":0,"total":0,"bytes":0,"found":0}`},
		"/partitions":   {`{"node":"n1","partitions":[{"partition":3,"role":"owner","root":"","keys":2,"bytes":9}]}`},
	} {
		got := d.want(d.do("GET", path, ""), 200)
		for _, w := range want {
			if !strings.Contains(string(got.body), w) {
				t.Errorf("%s: %s lacks %s", path, got.body, w)
			}
		}
		d.wantError(d.do("GET", path+"?x=1", ""), 400, kv.KindInvalid)
	}
	d.wantError(d.do("GET", "/cluster?local=1", ""), 400, kv.KindInvalid)
}

// TestClusterGathersAChange: each node tells its own part of the change under way;
// one that knows of another change, or of none any more, tells nothing.
func TestClusterGathersAChange(t *testing.T) {
	d1, d2, d3, d4 := newDoor(t), newDoor(t), newDoor(t), newDoor(t)
	change := func(epoch uint64, n kv.NodeID, idle float64) *TransitionView {
		return &TransitionView{Epoch: epoch, Steps: 9, IdleSeconds: idle, Nodes: []MoveView{{Node: "n" + string(rune('0'+n)), ID: n, PartitionsLeft: 2}}}
	}
	d1.admin.view = ClusterView{Node: "n1", Transition: change(5, 1, 30),
		Members: []MemberView{member(d1, 1, &StatsView{}), member(d2, 2, nil), member(d3, 3, nil), member(d4, 4, nil)}}
	d2.admin.view = ClusterView{Node: "n2", Transition: change(5, 2, 2), Members: []MemberView{member(d2, 2, &StatsView{})}}
	d3.admin.view = ClusterView{Node: "n3", Transition: change(6, 3, 0), Members: []MemberView{member(d3, 3, &StatsView{})}}
	d4.admin.view = ClusterView{Node: "n4", Members: []MemberView{member(d4, 4, &StatsView{})}}
	tr := d1.cluster("/cluster").Transition
	if tr == nil || len(tr.Nodes) != 2 || tr.Nodes[1].Node != "n2" || tr.IdleSeconds != 2 {
		t.Fatalf("got %+v, want the parts of n1 and n2", tr)
	}
	body := string(d1.want(d1.do("GET", "/cluster?local=true", ""), 200).body)
	for _, want := range []string{`"waits_for":[]`, `"lost":[]`, `"changes":[]`, `"phases":[0,0,0,0]`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s lacks %s", body, want)
		}
	}
	if v := d4.cluster("/cluster"); v.Transition != nil {
		t.Errorf("without a change: %+v", v.Transition)
	}
}

// TestAReplacementHasItsNamesakesName: the node that answers is the one whose
// figures it knows.
func TestAReplacementHasItsNamesakesName(t *testing.T) {
	d := newDoor(t)
	old, self := member(d, 1, nil), member(d, 2, &StatsView{Keys: 7})
	self.Name, old.Up = "n1", false
	d.admin.view = ClusterView{Node: "n1", Members: []MemberView{old, self}}
	if v := d.cluster("/cluster?local=true"); len(v.Members) != 1 || v.Members[0].ID != 2 {
		t.Errorf("got %+v, want node 2", v.Members)
	}
}
