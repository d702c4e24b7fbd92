package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

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
	if v.Members[1].Stats.SLA != sla || v.SLA != sla || v.Ring.Epoch != 4 || v.Ring.Partitioner != "md5" {
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
		"/cluster/plan": {`"changes":[]`, `"loads":[]`, `"obstacle":""`},
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

func TestJoinAndCommit(t *testing.T) {
	d := newDoor(t)
	if got := d.want(d.do("POST", "/cluster/join", `{"node":"n4"}`), 200); string(got.body) != "{\"staged\":\"n4\"}\n" {
		t.Errorf("join: %s", got.body)
	}
	if got := d.want(d.do("POST", "/cluster/commit", ""), 200); string(got.body) != "{\"epoch\":1}\n" {
		t.Errorf("commit: %s", got.body)
	}
	for _, body := range []string{"", "{}", `{"node":""}`, `{"node":4}`, `{"name":"n4"}`, `{"node":"n4"}x`} {
		d.wantError(d.do("POST", "/cluster/join", body), 400, kv.KindInvalid)
	}
	d.wantError(d.do("POST", "/cluster/join?node=n4", ""), 400, kv.KindInvalid)
	d.wantError(d.do("POST", "/cluster/commit?force=true", ""), 400, kv.KindInvalid)
	if !slices.Equal(d.admin.joined, []string{"n4"}) || d.admin.commits != 1 {
		t.Errorf("joined %v, %d commits", d.admin.joined, d.admin.commits)
	}
	d.admin.fail = kv.Errorf(kv.KindRefused, "commit", "node n2 holds data")
	d.wantError(d.do("POST", "/cluster/commit", ""), 503, kv.KindRefused)
	d.wantError(d.do("POST", "/cluster/join", `{"node":"n5"}`), 503, kv.KindRefused)
	for _, path := range []string{"/cluster", "/cluster/plan", "/partitions"} {
		d.wantError(d.do("GET", path, ""), 503, kv.KindRefused)
	}
}
