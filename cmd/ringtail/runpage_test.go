package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// running answers each request with the next of views, the last one for ever,
// and remembers what it was asked.
func running[V any](t *testing.T, views ...V) (addr string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		if err := json.NewEncoder(w).Encode(views[0]); err != nil {
			t.Error(err)
		}
		if len(views) > 1 {
			views = views[1:]
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), asked
}

func TestRepairShowsItsProgress(t *testing.T) {
	views := []httpapi.RepairView{
		{RunView: httpapi.RunView{Running: true, Started: noon}, Damaged: []kv.Partition{3}},
		{RunView: httpapi.RunView{Running: true, Started: noon, Done: 512, Total: 2048, Bytes: 1e6, Found: 7}},
		{
			RunView: httpapi.RunView{Started: noon, Ended: noon.Add(3 * time.Second), Done: 2048, Total: 2048, Bytes: 4e6, Found: 9},
			Peers:   []httpapi.SyncView{{Node: "n2", ID: 2, Last: noon}, {Node: "n3", ID: 3}},
		},
	}
	addr, asked := running(t, views...)
	got := ringtail(t, "", "repair", "--every", "1ms", "--addr", deadAddr(t)+","+addr)
	want := outcome{exitOK, `repair: begins, 0 B exchanged, 0 copies brought up to date
! 1 partitions have lost data here and are being refilled
repair: 512 of 2048 (25%), 1.0 MB exchanged, 7 copies brought up to date
repair: done in 3s, 4.0 MB exchanged, 9 copies brought up to date
! not compared yet with: n3
`, ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"POST /repair", "GET /repair", "GET /repair"}, *asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestScrub(t *testing.T) {
	run := httpapi.RunView{Running: true, Started: noon, Done: 1, Total: 2, Bytes: 4096}
	for _, test := range []struct {
		flag, asked, want string
		view              httpapi.RunView
	}{
		{"--detach", "POST /scrub", "scrub: 1 of 2 (50%), 4.1 kB read, 0 damaged places found\n", run},
		{"--status", "GET /scrub", "scrub: 1 of 2 (50%), 4.1 kB read, 0 damaged places found\n", run},
		{"--status", "GET /scrub", "scrub: none yet, 0 B read, 0 damaged places found\n", httpapi.RunView{}},
	} {
		addr, asked := running(t, test.view)
		got := ringtail(t, "", "scrub", test.flag, "--addr", addr)
		if diff := cmp.Diff(outcome{exitOK, test.want, ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s: outcome differs (-want +got):\n%s", test.flag, diff)
		}
		if diff := cmp.Diff([]string{test.asked}, *asked); diff != "" {
			t.Errorf("%s: asked (-want +got):\n%s", test.flag, diff)
		}
	}
}

// TestARunStaysWithItsNode: an error that a node answers is not another node's
// turn to start a run.
func TestARunStaysWithItsNode(t *testing.T) {
	refusing := newFakeNode(t, http.StatusServiceUnavailable, nil,
		`{"error":{"kind":"refused","message":"repair: this node is in no ring yet","applied":"no"}}`)
	addr, asked := running(t, httpapi.RunView{})
	got := ringtail(t, "", "scrub", "--addr", refusing.addr+","+addr)
	if got.status != exitError || !strings.Contains(got.err, "in no ring yet") || len(*asked) > 0 {
		t.Errorf("%+v, the second node was asked %v", got, *asked)
	}
	if got := ringtail(t, "", "scrub", "--every", "0s", "--addr", addr); got.status != exitUsage {
		t.Errorf("--every 0s: %+v", got)
	}
}
