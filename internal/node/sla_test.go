package node

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// TestVerdictsAreLoggedOnce: a line when an objective comes to be missed, one when it
// is met again, and none between.
func TestVerdictsAreLoggedOnce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var log bytes.Buffer
	n := &Node{metrics: metrics.NewNode(now), log: slog.New(slog.NewTextHandler(&log, nil))}
	n.metrics.Agree(now, kv.DefaultSLA, map[string]kv.SLA{"carts": {Put: kv.Objective{Share: 99_000, Micros: 10_000}}})
	s := stats{n.metrics}
	key := kv.AppendKey(nil, "carts", []byte("k"))
	pass := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); {
			now = now.Add(metrics.TickEvery)
			n.metrics.Tick(now)
			n.tellVerdicts(now)
		}
	}
	for range 9 {
		s.PutDone(coordinator.Ended{Key: key, Took: time.Millisecond})
	}
	s.PutDone(coordinator.Ended{Key: key, Took: time.Second, Stage: metrics.CauseFsync})
	s.PutDone(coordinator.Ended{Key: key, Took: time.Hour, Inner: true}) // the node that passed it on counts it
	pass(3 * time.Minute)
	// One that was refused before its key was read is the cluster's.
	s.GetDone(coordinator.Ended{Err: kv.Errorf(kv.KindOverloaded, "get", "no room")})
	s.ForwardDone(metrics.OpGet, coordinator.Ended{Key: key, Took: time.Millisecond})
	pass(10 * time.Second)
	got := regexp.MustCompile(`time=\S+ `).ReplaceAllString(log.String(), "")
	want := `level=WARN msg="the SLA was missed in the last minute" objective="99% of puts < 10ms" requests=10 breaches=1 p99.9_ms=1015.808 bucket=carts stage=fsync
level=INFO msg="the SLA is met again" objective="99% of puts < 10ms" requests=0 breaches=0 p99.9_ms=0 bucket=carts
level=WARN msg="the SLA was missed in the last minute" objective="99.9% of gets < 300ms" requests=2 breaches=1 p99.9_ms=303.104 stage=own
`
	if got != want {
		t.Errorf("logged:\n%swant:\n%s", got, strings.TrimSpace(want))
	}
}
