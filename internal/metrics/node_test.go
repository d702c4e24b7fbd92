package metrics

import (
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestEveryKindHasAnOutcome(t *testing.T) {
	for k := range kv.NumKinds {
		if outcomes[k] == OK {
			t.Errorf("an error of kind %q counts as a success", k)
		}
	}
}

func TestSLACountsTheCallersMistakesOut(t *testing.T) {
	n := NewNode(start)
	n.Done(OpPut, 3*time.Millisecond, nil)
	n.Done(OpPut, 2*time.Second, kv.Errorf(kv.KindTimeout, "put", "late"))
	n.Done(OpPut, time.Minute, kv.Errorf(kv.KindInvalid, "put", "w=9"))
	n.Done(OpPut, time.Second, errors.New("of no kind"))
	n.Done(OpGet, time.Millisecond, kv.Errorf(kv.Kind(250), "get", "of a later release"))
	got := n.SLA(start, kv.NodeID.String)
	if got.Put.Count != 3 || got.Put.Failed != 2 || got.Put.Max < 2000 || got.Put.Max > 2063 {
		t.Errorf("put: %+v", got.Put)
	}
	if got.Get.Count != 1 || got.Get.Failed != 1 {
		t.Errorf("get: %+v", got.Get)
	}
	n.Tick(start.Add(10 * time.Second))
	if got := n.SLA(start.Add(70*time.Second), kv.NodeID.String).Put.Count; got != 0 {
		t.Errorf("%d puts a minute later", got)
	}
}

func scrape(t *testing.T, n *Node) string {
	t.Helper()
	w := httptest.NewRecorder()
	n.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("scrape: %d, %v\n%s", w.Code, err, b)
	}
	return string(b)
}

func TestScrape(t *testing.T) {
	n := NewNode(start)
	n.Done(OpGet, 64*time.Microsecond, nil)
	n.Done(OpGet, 65*time.Microsecond, nil)
	n.Done(OpPut, time.Hour, kv.Errorf(kv.KindTooManySiblings, "put", "no"))
	n.QuorumAsked[OpGet].Record(3)
	n.QuorumAnswered[OpGet].Record(2)
	n.GetSiblings.Record(1)
	n.GetSiblings.Record(1000)
	n.Requests[DoorRESP].Add(5)
	n.PutsCapped.Add(1)
	n.AddSource(func(emit func(Sample)) {
		emit(Sample{Name: "ringtail_storage_disk_bytes", Help: "Disk in use.", Value: 12, Labels: []Label{{"engine", "pebble"}}})
		emit(Sample{Name: "not a name!", Help: "Wrong.", Labels: []Label{{"no label!", "x"}}})
	})
	page := scrape(t, n)
	for _, line := range []string{
		`ringtail_request_duration_seconds_bucket{op="get",outcome="ok",le="3.2e-05"} 0`,
		`ringtail_request_duration_seconds_bucket{op="get",outcome="ok",le="6.4e-05"} 1`,
		`ringtail_request_duration_seconds_bucket{op="get",outcome="ok",le="0.000128"} 2`,
		`ringtail_request_duration_seconds_sum{op="get",outcome="ok"} 0.000129`,
		`ringtail_request_duration_seconds_bucket{op="put",outcome="rejected",le="67.108864"} 0`,
		`ringtail_request_duration_seconds_bucket{op="put",outcome="rejected",le="+Inf"} 1`,
		`ringtail_request_errors_total{kind="too many siblings",op="put"} 1`,
		`ringtail_quorum_replicas_asked_bucket{op="get",le="2"} 0`,
		`ringtail_quorum_replicas_asked_bucket{op="get",le="3"} 1`,
		`ringtail_quorum_replicas_answered_sum{op="get"} 2`,
		`ringtail_get_siblings_bucket{le="100"} 1`,
		`ringtail_get_siblings_count 2`,
		`ringtail_door_requests_total{door="resp"} 5`,
		`ringtail_puts_capped_total 1`,
		`# TYPE ringtail_storage_disk_bytes gauge`,
		`ringtail_storage_disk_bytes{engine="pebble"} 12`,
		`ringtail_cpu_seconds_total `,
		`go_goroutines `,
	} {
		if !strings.Contains(page, line) {
			t.Errorf("the page lacks %s", line)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestCPUTimeGrows(t *testing.T) {
	before := CPUTime()
	x := 1
	for CPUTime() == before {
		for range 1_000_000 {
			x = x*31 + 7
		}
	}
	if x == 0 || CPUTime() < before {
		t.Errorf("processor time went from %v to %v", before, CPUTime())
	}
}
