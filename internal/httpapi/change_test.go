package httpapi

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestStaging(t *testing.T) {
	d := newDoor(t)
	for _, test := range []struct {
		action, body string
		want         Change
	}{
		{"join", `{"node":"n4"}`, Change{Action: "join", Node: "n4"}},
		{"leave", `{"node":"n4"}`, Change{Action: "leave", Node: "n4"}},
		{"remove", `{"node":"n4"}`, Change{Action: "remove", Node: "n4"}},
		{"replace", `{"node":"n4"}`, Change{Action: "replace", Node: "n4"}},
		{"replace", `{"node":"n4","by":"n5"}`, Change{Action: "replace", Node: "n4", By: "n5"}},
		{"weight", `{"node":"n4","weight":3}`, Change{Action: "weight", Node: "n4", Weight: 3}},
	} {
		d.admin.staged = nil
		got := d.want(d.do("POST", "/cluster/"+test.action, test.body), 200)
		if diff := cmp.Diff([]Change{test.want}, d.admin.staged); diff != "" {
			t.Errorf("%s %s differs (-want +got):\n%s", test.action, test.body, diff)
		}
		if string(got.body) != "{\"staged\":\"n4\"}\n" {
			t.Errorf("%s: %s", test.action, got.body)
		}
	}
	d.admin.staged = nil
	for _, bad := range []struct{ action, body string }{
		{"join", ""}, {"join", "{}"}, {"join", `{"node":""}`}, {"join", `{"node":4}`}, {"join", `{"name":"n4"}`}, {"join", `{"node":"n4"}x`},
		{"join", `{"node":"n4","by":"n5"}`}, {"remove", `{"node":"n4","weight":1}`}, {"weight", `{"node":"n4"}`},
		{"weight", `{"node":"n4","weight":-1}`}, {"weight", `{"node":"n4","weight":"2"}`}, {"leave?node=n4", ""},
	} {
		d.wantError(d.do("POST", "/cluster/"+bad.action, bad.body), 400, kv.KindInvalid)
	}
	if len(d.admin.staged) > 0 {
		t.Errorf("staged %+v", d.admin.staged)
	}
}

func TestCommitAndClear(t *testing.T) {
	d := newDoor(t)
	if got := d.want(d.do("POST", "/cluster/commit", ""), 200); !strings.HasPrefix(string(got.body), `{"epoch":1,"changes":[],`) {
		t.Errorf("commit: %s", got.body)
	}
	if d.admin.commits != 1 || d.admin.options.Force || d.admin.options.AcceptLoss != nil {
		t.Errorf("%d commits, %+v", d.admin.commits, d.admin.options)
	}
	d.want(d.do("POST", "/cluster/commit", `{"force":true,"accept_loss":["n2","n3"]}`), 200)
	if o := d.admin.options; !o.Force || !slices.Equal(o.AcceptLoss, []string{"n2", "n3"}) {
		t.Errorf("options %+v", o)
	}
	d.wantError(d.do("POST", "/cluster/commit?force=true", ""), 400, kv.KindInvalid)
	d.wantError(d.do("POST", "/cluster/commit", `{"forced":true}`), 400, kv.KindInvalid)
	d.admin.plan.Changes = []ChangeView{{Action: "leave", Node: "n2", ID: 2}}
	if got := d.want(d.do("POST", "/cluster/clear", ""), 200); !strings.Contains(string(got.body), `{"cleared":[{"action":"leave","node":"n2",`) {
		t.Errorf("clear: %s", got.body)
	}
}

// TestWhatCannotBeDoneIsAConflict: what the cluster refuses is 409, and too few
// members are 503.
func TestWhatCannotBeDoneIsAConflict(t *testing.T) {
	d := newDoor(t)
	d.admin.fail = kv.Errorf(kv.KindRefused, "commit ring", "nothing is staged")
	d.wantError(d.do("POST", "/cluster/commit", ""), 409, kv.KindRefused)
	d.wantError(d.do("POST", "/cluster/leave", `{"node":"n5"}`), 409, kv.KindRefused)
	d.wantError(d.do("POST", "/cluster/clear", ""), 409, kv.KindRefused)
	d.wantError(d.do("GET", "/cluster/plan", ""), 409, kv.KindRefused)
	for _, path := range []string{"/cluster", "/partitions"} {
		d.wantError(d.do("GET", path, ""), 503, kv.KindRefused)
	}
	d.admin.fail = kv.Errorf(kv.KindUnavailable, "commit ring", "2 of 5 members answer, 3 are needed")
	d.wantError(d.do("POST", "/cluster/commit", ""), 503, kv.KindUnavailable)
	d.admin.fail = kv.Errorf(kv.KindNotFound, "find node", "no node named n9")
	d.wantError(d.do("POST", "/cluster/leave", `{"node":"n9"}`), 404, kv.KindNotFound)
}

// TestPlanWeighsTheMoves: bytes and keys by the mean of what the nodes tell, and a
// warning for a node without room.
func TestPlanWeighsTheMoves(t *testing.T) {
	d := newDoor(t)
	n1, n2, n4 := member(d, 1, &StatsView{Keys: 100, Bytes: 10e6, FreeBytes: 1e9}), member(d, 2, &StatsView{Keys: 200, Bytes: 50e6}), member(d, 4, &StatsView{FreeBytes: 5e6})
	n1.Replicas, n2.Replicas = 4, 8
	d.admin.view = ClusterView{Node: "n1", Members: []MemberView{n1, n2, n4}}
	d.admin.plan = PlanView{Epoch: 2, Loads: []LoadView{{Node: "n1", ID: 1, Lost: 2}, {Node: "n4", ID: 4, Gained: 2}}}
	var p PlanView
	if err := json.Unmarshal(d.want(d.do("GET", "/cluster/plan?accept_loss=n2,n3", ""), 200).body, &p); err != nil {
		t.Fatal(err)
	}
	want := []LoadView{{Node: "n1", ID: 1, Lost: 2, Free: 1e9}, {Node: "n4", ID: 4, Gained: 2, BytesIn: 10e6, KeysIn: 50, Free: 5e6}}
	if diff := cmp.Diff(want, p.Loads); diff != "" || p.Bytes != 10e6 || p.Keys != 50 {
		t.Errorf("%d bytes, %d keys, loads differ (-want +got):\n%s", p.Bytes, p.Keys, diff)
	}
	if !slices.Equal(p.Warnings, []string{"node n4 would receive 10 MB, and its disk has room for 5 MB"}) {
		t.Errorf("warnings %q", p.Warnings)
	}
	if !slices.Equal(d.admin.lost, []string{"n2", "n3"}) {
		t.Errorf("lost %q", d.admin.lost)
	}
}

func TestPace(t *testing.T) {
	d1, d2, d3 := newDoor(t), newDoor(t), newDoor(t)
	n3 := member(d3, 3, nil)
	n3.Up = false
	d1.admin.view = ClusterView{Node: "n1", Members: []MemberView{member(d1, 1, &StatsView{}), member(d2, 2, nil), n3}}
	d2.admin.view = ClusterView{Node: "n2", Members: []MemberView{member(d1, 1, nil), member(d2, 2, &StatsView{})}}
	ask := func(method, path, body string) []NodePace {
		t.Helper()
		var v PaceView
		if err := json.Unmarshal(d1.want(d1.do(method, path, body), 200).body, &v); err != nil {
			t.Fatal(err)
		}
		return v.Nodes
	}
	all := []NodePace{{Node: "n1", ID: 1, Rate: 500}, {Node: "n2", ID: 2, Rate: 500}}
	if diff := cmp.Diff(all, ask("PUT", "/cluster/pace", `{"rate":500}`)); diff != "" || d2.admin.Pace() != 500 {
		t.Errorf("all: differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]NodePace{{Node: "n2", ID: 2, Rate: 9}}, ask("PUT", "/cluster/pace", `{"rate":9,"node":"n2"}`)); diff != "" || d1.admin.Pace() != 500 {
		t.Errorf("one: differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[:1], ask("GET", "/cluster/pace?local=true", "")); diff != "" {
		t.Errorf("local: differs (-want +got):\n%s", diff)
	}
	if got := ask("PUT", "/cluster/pace", `{"rate":9,"node":"n3"}`); len(got) != 1 || got[0].Error == "" {
		t.Errorf("a node that is down: %+v", got)
	}
	for _, body := range []string{"", "{}", `{"rate":0}`, `{"rate":-1}`, `{"rate":1.5}`, `{"node":"n2"}`} {
		d1.wantError(d1.do("PUT", "/cluster/pace", body), 400, kv.KindInvalid)
	}
	d1.wantError(d1.do("PUT", "/cluster/pace", `{"rate":1,"node":"n9"}`), 404, kv.KindNotFound)
}
