package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestRuns starts a repair and a scrub, looks at their progress, and has both
// refused.
func TestRuns(t *testing.T) {
	d := newDoor(t)
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d.admin.repair = RepairView{
		RunView: RunView{Running: true, Started: began, Done: 2, Total: 8, Bytes: 100, Found: 1},
		Damaged: []kv.Partition{5},
		Peers:   []SyncView{{Node: "n2", ID: 2, Last: began}},
	}
	d.admin.scrub = RunView{Started: began, Ended: began.Add(time.Minute), Done: 8, Total: 8, Bytes: 4096}
	for i, path := range []string{"/repair", "/scrub"} {
		for _, r := range []reply{d.want(d.do("POST", path, ""), 202), d.want(d.do("GET", path, ""), 200)} {
			var got RepairView
			if err := json.Unmarshal(r.body, &got); err != nil {
				t.Fatal(err)
			}
			want := d.admin.repair.RunView
			if path == "/scrub" {
				want = d.admin.scrub
			}
			if got.RunView != want {
				t.Errorf("%s: %+v, want %+v", path, got.RunView, want)
			}
		}
		if d.admin.runs[i] != 1 {
			t.Errorf("%s was started %d times, want once", path, d.admin.runs[i])
		}
		d.wantError(d.do("POST", path+"?fast=true", ""), 400, kv.KindInvalid)
		d.wantError(d.do("GET", path+"?fast=true", ""), 400, kv.KindInvalid)
	}
	d.admin.fail = kv.Errorf(kv.KindRefused, "repair", "this node is in no ring yet")
	for _, path := range []string{"/repair", "/scrub"} {
		d.wantError(d.do("POST", path, ""), 503, kv.KindRefused)
	}
}
