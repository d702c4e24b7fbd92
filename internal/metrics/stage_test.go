package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestStages: each stage shows how long requests waited for it, how many are in it
// and how many it refused; what passed into another one passed the first.
func TestStages(t *testing.T) {
	n := NewNode(time.Now())
	n.Begun(StageDecode, time.Millisecond)
	n.Begun(StageCoordinate, time.Millisecond)
	n.Begun(StageReplicaWrite, 2*time.Millisecond)
	n.Begun(StageBackground, time.Second)
	n.Refuse(StageCoordinate)
	n.Stages[StageBackground].SetDepth(func() int { return 7 })
	w := httptest.NewRecorder()
	n.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`ringtail_stage_queue_seconds_count{stage="decode"} 3`, `ringtail_stage_queue_seconds_sum{stage="decode"} 0.004`,
		`ringtail_stage_queue_seconds_count{stage="coordinate"} 1`, `ringtail_stage_queue_seconds_count{stage="background"} 1`,
		`ringtail_stage_queue_seconds_bucket{stage="replica_write",le="0.002048"} 1`,
		`ringtail_stage_depth{stage="background"} 7`, `ringtail_stage_depth{stage="replica_read"} 0`,
		`ringtail_stage_refused_total{stage="coordinate"} 1`, `ringtail_stage_refused_total{stage="decode"} 0`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}
