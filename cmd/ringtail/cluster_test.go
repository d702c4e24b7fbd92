package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

func plan() httpapi.PlanView {
	return httpapi.PlanView{
		Epoch:   2,
		Changes: []httpapi.ChangeView{{Action: "join", Node: "n3", ID: 3}, {Action: "join", Node: "n2", ID: 2}},
		Loads: []httpapi.LoadView{
			{Node: "n3", ID: 3, Zone: "b", Weight: 1, Gained: 64, TokensAfter: 22, After: 64, BytesIn: 2_000_000, KeysIn: 900},
			{Node: "n1", ID: 1, Zone: "a", Weight: 1, Lost: 128, TokensBefore: 64, TokensAfter: 21, Before: 192, After: 64},
			{Node: "n2", ID: 2, Weight: 10, Gained: 64, TokensAfter: 21, After: 64, BytesIn: 2_000_000, KeysIn: 900},
		},
		Zones:      []httpapi.ZoneView{{Zone: "", Nodes: 1, Weight: 10, After: 0.25, Left: 1, LeftIn: 24}, {Zone: "a", Nodes: 1, Weight: 1, Before: 1, After: 0.5, Left: 2, LeftIn: 64}, {Zone: "b", Before: 0.2}},
		SpanBefore: 1, SpanAfter: 2, Partitions: 64, Replicas: 3,
		Moves: 128, Least: 120, Bytes: 4_000_000, Keys: 1800, Warnings: []string{"two zones for n=3"},
	}
}

const planText = `staged for epoch 2: join n2, join n3

NODE  ZONE  WEIGHT  GAINED  LOST  RECEIVES  RECORDS  TOKENS  THEN  REPLICAS  THEN   SHARE   THEN
n1    a          1       0   128       0 B        0      64    21       192    64  100.0%  33.3%
n2    -         10      64     0    2.0 MB      900       0    21         0    64    0.0%  33.3%
n3    b          1      64     0    2.0 MB      900       0    22         0    64    0.0%  33.3%

ZONE  NODES  WEIGHT   SHARE   THEN  OWNERS LEFT WITHOUT IT
-         1      10    0.0%  25.0%  1 of 3 in 24 partitions, more in others
a         1       1  100.0%  50.0%  2 of 3
b         0       0   20.0%   0.0%  -
each of 64 partitions has owners in 2 zones, before in 1

128 replicas move, about 4.0 MB in 1800 records; the fewest possible are 120
! two zones for n=3
`

func TestPlanShowsTheMoves(t *testing.T) {
	refused := plan()
	refused.Obstacle = "n2 is down"
	for _, test := range []struct {
		name string
		plan httpapi.PlanView
		want string
	}{
		{"joins", plan(), planText + "to carry it out: ringtail cluster commit\n"},
		{"obstacle", refused, planText + "! a commit would be refused: n2 is down\n"},
		{"nothing", httpapi.PlanView{}, "nothing is staged\n"},
		{"impossible", httpapi.PlanView{Epoch: 2, Changes: plan().Changes, Obstacle: "both are n2"},
			"staged for epoch 2: join n2, join n3\n! a commit would be refused: both are n2\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := serveJSON(t, test.plan)
			got := ringtail(t, "", "cluster", "plan", "--addr", n.addr)
			if diff := cmp.Diff(outcome{exitOK, test.want, ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("outcome differs (-want +got):\n%s", diff)
			}
			if n.last.method != http.MethodGet || n.last.path != "/cluster/plan" {
				t.Errorf("asked %+v", n.last)
			}
		})
	}
}

func TestPlanOfALoss(t *testing.T) {
	p := plan()
	p.Lapsed = []kv.Partition{1, 2, 3, 7, 9, 10}
	n := serveJSON(t, p)
	got := ringtail(t, "", "cluster", "plan", "--accept-loss", "n3,n4", "--addr", n.addr)
	want := outcome{exitOK, `the change to epoch 2 without n3, n4:
! acknowledged writes may be gone for good, and strict reads miss them, in 6 partitions: 1-3, 7, 9-10
`, ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
	if n.last.query != "accept_loss=n3%2Cn4" {
		t.Errorf("asked %+v", n.last)
	}
}

func TestStagingSaysWhatIsStaged(t *testing.T) {
	for _, test := range []struct{ args, path, body, told string }{
		{"join n4", "join", `{"node":"n4"}`, "join n4"},
		{"leave n4", "leave", `{"node":"n4"}`, "leave n4"},
		{"remove n4", "remove", `{"node":"n4"}`, "remove n4"},
		{"replace n4", "replace", `{"node":"n4"}`, "replace n4"},
		{"replace n4 n5", "replace", `{"by":"n5","node":"n4"}`, "replace n4 n5"},
		{"weight n4 3", "weight", `{"node":"n4","weight":3}`, "weight n4 3"},
	} {
		n := serveJSON(t, map[string]string{"staged": "n4"})
		got := ringtail(t, "", append(strings.Fields("cluster "+test.args), "--addr", n.addr)...)
		want := outcome{exitOK, "staged: " + test.told + "; see: ringtail cluster plan\n", ""}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s: outcome differs (-want +got):\n%s", test.args, diff)
		}
		if diff := cmp.Diff(asked{method: "POST", path: "/cluster/" + test.path, body: test.body}, n.last, cmp.AllowUnexported(asked{})); diff != "" {
			t.Errorf("%s: request differs (-want +got):\n%s", test.args, diff)
		}
	}
}

func TestClearSaysWhatWasStaged(t *testing.T) {
	for body, want := range map[string]string{
		`{"cleared":[]}`: "nothing was staged\n",
		`{"cleared":[{"action":"leave","node":"n2"},{"action":"weight","node":"n1","weight":3}]}`: "taken back: weight n1 3, leave n2\n",
	} {
		n := newFakeNode(t, http.StatusOK, nil, body)
		got := ringtail(t, "", "cluster", "clear", "--addr", n.addr)
		if diff := cmp.Diff(outcome{exitOK, want, ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("outcome differs (-want +got):\n%s", diff)
		}
	}
}

// changing is a node that has a change committed, and is over with it after
// that many looks.
func changing(t *testing.T, looks int, v httpapi.ClusterView) (addr string, commits *[]string) {
	t.Helper()
	commits = new([]string)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cluster/commit", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		*commits = append(*commits, string(b))
		_, _ = io.WriteString(w, `{"epoch":4,"changes":[{"action":"join","node":"n10"}]}`)
	})
	mux.HandleFunc("POST /cluster/remove", func(http.ResponseWriter, *http.Request) { *commits = append(*commits, "staged") })
	mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, _ *http.Request) {
		if looks--; looks < 0 {
			v.Ring.Epoch, v.Transition = 4, nil
		}
		b, _ := json.Marshal(v)
		_, _ = w.Write(b)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), commits
}

func TestCommitBeginsAChange(t *testing.T) {
	addr, commits := changing(t, 0, view())
	got := ringtail(t, "", "cluster", "commit", "--addr", addr)
	want := outcome{exitOK, "committed: epoch 4 begins: join n10; see: ringtail status\n", ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
	ringtail(t, "", "cluster", "commit", "--force", "--accept-loss", "n2,n3", "--addr", addr)
	if want := []string{"", `{"force":true,"accept_loss":["n2","n3"]}`}; !slices.Equal(*commits, want) {
		t.Errorf("commits %q, want %q", *commits, want)
	}
}

// TestCommitWaits: in a pipe there is a line for each look that shows something
// new, and no bar.
func TestCommitWaits(t *testing.T) {
	v := view()
	v.Members = slices.DeleteFunc(v.Members, func(m httpapi.MemberView) bool { return m.Name == "n6" })
	addr, _ := changing(t, 3, v)
	got := ringtail(t, "", "cluster", "commit", "--wait", "--every", "1ms", "--addr", addr)
	told := regexp.MustCompile(`after [0-9.]+m?s`).ReplaceAllString(got.out, "after 1s")
	want := `committed: epoch 4 begins: join n10
3 of 10 steps done, 30%; n10: 6 of 8 partitions, 15 MB received, 5.0 MB left, 2.0 MB/s, 3s
! n2, which is down, is waited for: 2 steps until it is filled, 1 steps until it steps back
! nothing has moved for 45s; waited for: n10
over after 1s: epoch 4 has n1, n2
n5 gives back what is left, and ends by itself
`
	if diff := cmp.Diff(want, told); diff != "" || got.status != exitOK {
		t.Errorf("status %d, output differs (-want +got):\n%s", got.status, diff)
	}
}

// TestCommitWaitEndsUnfinished: whoever does not wait to the end is told that the
// change goes on, and the exit status says that it is not over.
func TestCommitWaitEndsUnfinished(t *testing.T) {
	addr, _ := changing(t, 1000, view())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var out, errs bytes.Buffer
	status := run(ctx, []string{"cluster", "commit", "--wait", "--addr", addr}, streams{in: strings.NewReader(""), out: &out, err: &errs})
	if status != exitError || !strings.Contains(errs.String(), "it goes on") {
		t.Errorf("status %d, %s", status, errs.String())
	}
}

// TestRemoveWithLoss stages what is to stay in the ring, and amends the change
// that is under way.
func TestRemoveWithLoss(t *testing.T) {
	addr, did := changing(t, 1000, view())
	got := ringtail(t, "", "cluster", "remove", "n2", "--accept-loss", "--addr", addr)
	want := "staged: remove n2\nthe change to epoch 4 goes on without n2\nwhat was acknowledged is still there, in all partitions\n"
	if got.status != exitOK || got.out != want || !slices.Equal(*did, []string{"staged", `{"force":false,"accept_loss":["n2"]}`}) {
		t.Errorf("%+v, asked for %q", got, *did)
	}
	calm := view()
	calm.Transition = nil
	addr, did = changing(t, 1000, calm)
	got = ringtail(t, "", "cluster", "remove", "n2", "--accept-loss", "--addr", addr)
	if !strings.HasSuffix(got.out, "to carry it out: ringtail cluster commit --accept-loss n2\n") || !slices.Equal(*did, []string{"staged"}) {
		t.Errorf("%+v, asked for %q", got, *did)
	}
}

func TestCommitThatIsRefusedSaysWhy(t *testing.T) {
	n := newFakeNode(t, http.StatusConflict, nil, `{"error":{"kind":"refused","message":"commit: n1 holds data","applied":"no"}}`)
	got := ringtail(t, "", "cluster", "commit", "--addr", n.addr)
	want := outcome{exitError, "", "ringtail: commit: n1 holds data (kind: refused, applied: no)\n"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
}

func TestPaceShowsAndChanges(t *testing.T) {
	page := httpapi.PaceView{Nodes: []httpapi.NodePace{{Node: "n10", ID: 1, Rate: 4_000_000}, {Node: "n2", ID: 2, Rate: 500}}}
	n := serveJSON(t, page)
	got := ringtail(t, "", "cluster", "pace", "4M", "--node", "n2", "--addr", n.addr)
	if got.status != exitOK || got.out != "NODE     PACE\nn2    500 B/s\n" || n.last.body != `{"node":"n2","rate":4000000}` {
		t.Errorf("%+v, asked %+v", got, n.last)
	}
	page.Nodes[0].Error = "no answer"
	n = serveJSON(t, page)
	got = ringtail(t, "", "cluster", "pace", "--addr", n.addr)
	if got.status != exitError || n.last.method != http.MethodGet || !strings.Contains(got.out, "no answer") {
		t.Errorf("%+v, asked %+v", got, n.last)
	}
}

// TestBarsAreForTerminals shows the same with bars.
func TestBarsAreForTerminals(t *testing.T) {
	var b bytes.Buffer
	printTransition(&b, transition(), noon, true)
	for _, want := range []string{"3 of 10 steps done  [#######.................]", "6 of 8  [##################......]"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing:\n%s", want, b.String())
		}
	}
}

func TestPropsShowsAndChanges(t *testing.T) {
	const answer = `{"props":{"r":2,"w":2,"dw":null,"merge":"lww","ttl":0}}` + "\n"
	for _, test := range []struct{ args, want string }{
		{"", ""},
		{"--ttl 36h", `{"props":{"ttl":129600000}}`},
		{"--ttl 0s", `{"props":{"ttl":0}}`},
		{"--merge lww --dw 0", `{"props":{"dw":0,"merge":"lww"}}`},
		{"--r 1 --w 3 --dw w", `{"props":{"dw":null,"r":1,"w":3}}`},
	} {
		var body []byte
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.EscapedPath() != "/buckets/b%2Fc/props":
				t.Errorf("%s %s", r.Method, r.URL.EscapedPath())
			case r.Method == http.MethodPut:
				body, _ = io.ReadAll(r.Body)
				w.WriteHeader(http.StatusNoContent)
			default:
				_, _ = io.WriteString(w, answer)
			}
		}))
		args := append([]string{"cluster", "props", "b/c", "--addr", server.Listener.Addr().String()}, strings.Fields(test.args)...)
		got := ringtail(t, "", args...)
		server.Close()
		if diff := cmp.Diff(outcome{exitOK, answer, ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%q: outcome differs (-want +got):\n%s", test.args, diff)
		}
		if string(body) != test.want {
			t.Errorf("%q: put %q, want %q", test.args, body, test.want)
		}
	}
}

func TestTableAlignsItsColumns(t *testing.T) {
	table := newTable(left("NAME"), right("COUNT"), left("WORD"))
	table.row("é", "1", "")
	table.row("longer", "12345678", "x")
	var b bytes.Buffer
	table.print(&b)
	want := "NAME       COUNT  WORD\né              1  -\nlonger  12345678  x\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("table differs (-want +got):\n%s", diff)
	}
}
