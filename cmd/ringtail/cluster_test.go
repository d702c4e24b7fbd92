package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

func plan() httpapi.PlanView {
	return httpapi.PlanView{
		Epoch:   2,
		Changes: []httpapi.ChangeView{{Action: "join", Node: "n3", ID: 3}, {Action: "join", Node: "n2", ID: 2}},
		Loads: []httpapi.LoadView{
			{Node: "n3", ID: 3, Zone: "b", Weight: 1, Gained: 64, TokensAfter: 22, After: 64, BytesIn: 2_000_000},
			{Node: "n1", ID: 1, Zone: "a", Weight: 1, Lost: 128, TokensBefore: 64, TokensAfter: 21, Before: 192, After: 64},
			{Node: "n2", ID: 2, Weight: 10, Gained: 64, TokensAfter: 21, After: 64, BytesIn: 2_000_000},
		},
		Moves: 128, Least: 120, Bytes: 4_000_000, Warnings: []string{"two zones for n=3"},
	}
}

const planText = `staged for epoch 2: join n2, join n3

NODE  ZONE  WEIGHT  GAINED  LOST  RECEIVES  TOKENS  THEN  REPLICAS  THEN   SHARE   THEN
n1    a          1       0   128       0 B      64    21       192    64  100.0%  33.3%
n2    -         10      64     0    2.0 MB       0    21         0    64    0.0%  33.3%
n3    b          1      64     0    2.0 MB       0    22         0    64    0.0%  33.3%

128 replicas move, 4.0 MB; the fewest possible are 120
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
		{"nothing", httpapi.PlanView{Obstacle: "nothing is staged"}, "nothing is staged\n"},
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

func TestCommitTellsTheEpochAndItsNodes(t *testing.T) {
	var methods []string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cluster/commit", func(w http.ResponseWriter, _ *http.Request) {
		methods = append(methods, "commit")
		_, _ = w.Write([]byte(`{"epoch":4}`))
	})
	mux.Handle("GET /cluster", jsonHandler(t, view()))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	got := ringtail(t, "", "cluster", "commit", "--addr", server.Listener.Addr().String())
	want := outcome{exitOK, "committed: epoch 4 has n1, n2\n", ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
	if len(methods) != 1 {
		t.Errorf("%d commits, want 1", len(methods))
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

func TestJoinStagesANode(t *testing.T) {
	n := serveJSON(t, map[string]string{"staged": "n4"})
	got := ringtail(t, "", "cluster", "join", "n4", "--addr", n.addr)
	want := outcome{exitOK, "staged n4; see: ringtail cluster plan\n", ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(asked{method: "POST", path: "/cluster/join", body: `{"node":"n4"}`}, n.last, cmp.AllowUnexported(asked{})); diff != "" {
		t.Errorf("request differs (-want +got):\n%s", diff)
	}
}

func TestPropsShowsAndChanges(t *testing.T) {
	const answer = `{"props":{"r":2,"w":2,"dw":null,"merge":"lww"}}` + "\n"
	for _, test := range []struct{ args, want string }{
		{"", ""},
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
