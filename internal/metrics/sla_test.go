package metrics

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

var (
	plain = []byte("plain")
	carts = []byte("carts")
	late  = kv.Errorf(kv.KindTimeout, "put", "late")
)

func objective(share, ms uint32) kv.Objective { return kv.Objective{Share: share, Micros: ms * 1000} }

// steps drives a node's time: a tick and a judgement every five seconds.
type steps struct {
	n    *Node
	now  time.Time
	told []string
}

func (s *steps) pass(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(TickEvery)
		s.n.Tick(s.now)
		for _, v := range s.n.Judge(s.now) {
			s.told = append(s.told, fmt.Sprintf("%s%s met=%v by %q, %d of %d", v.Bucket, v.Promise, v.Met, v.Stage, v.Last.Failed, v.Last.Count))
		}
	}
}

func (s *steps) put(count int, took time.Duration, stage Cause, peer kv.NodeID) {
	for range count {
		s.n.Held(OpPut, plain, took, nil, stage, peer)
	}
}

// The scenario of an SLA that is missed, and met again: told once each, with the
// minutes that were lost.
func TestSLAIsMissedAndMetAgain(t *testing.T) {
	n := NewNode(start)
	n.Agree(start, kv.SLA{Get: objective(99_900, 300), Put: objective(99_000, 50)}, nil)
	s := &steps{n: n, now: start}
	s.put(99, 49*time.Millisecond, CauseReplicas, 2)
	s.put(1, 50*time.Millisecond, CauseFsync, 0) // the bound itself is too long
	s.pass(30 * time.Second)
	if len(s.told) > 0 {
		t.Fatalf("1 of 100 within 99 %%: %q", s.told)
	}
	s.put(2, time.Second, CauseReplicas, 3)
	n.Held(OpPut, plain, time.Millisecond, late, CauseHop, 4)
	n.Held(OpPut, plain, time.Hour, kv.Errorf(kv.KindInvalid, "put", "w=9"), CauseRefused, 0)
	s.pass(30 * time.Second)
	got := n.SLA(s.now, func(id kv.NodeID) string { return fmt.Sprintf("n%d", uint64(id)) }).Objectives
	want := []Objective{
		{Op: "get", Text: "99.9% of gets < 300ms", BoundMS: 300, Met: true},
		{
			Op: "put", Text: "99% of puts < 50ms", BoundMS: 50, Count: 103, Breaches: 4, Stage: "replicas", P50: got[1].P50, P99: got[1].P99, P999: got[1].P999,
			Stages: map[string]uint64{"fsync": 1, "replicas": 2, "hop": 1}, Peers: map[string]uint64{"n3": 2, "n4": 1}, BreachesTotal: 4, MinutesMissed: 1,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	s.pass(2 * time.Minute)
	if d := cmp.Diff([]string{`99% of puts < 50ms met=false by "replicas", 4 of 103`, `99% of puts < 50ms met=true by "", 0 of 0`}, s.told); d != "" {
		t.Error(d)
	}
	if o := n.SLA(s.now, kv.NodeID.String).Objectives[1]; !o.Met || o.BreachesTotal != 4 || o.MinutesMissed < 1 || o.MinutesMissed > 2 || o.Count != 0 {
		t.Errorf("two minutes later: %+v", o)
	}
}

func TestBucketsOfTheirOwn(t *testing.T) {
	n := NewNode(start)
	typ, ofType, plainOfType := kv.TypedBucket("t", ""), kv.TypedBucket("t", "b"), kv.TypedBucket("t", "plain")
	agree := func(extra map[string]kv.SLA) {
		buckets := map[string]kv.SLA{"carts": {Put: objective(99_900, 10)}, typ: {Get: objective(99_900, 20)}, plainOfType: {}}
		for name, s := range extra {
			buckets[name] = s
		}
		n.Agree(start, kv.DefaultSLA, buckets)
	}
	agree(nil)
	held := func(op Op, bucket string) string {
		p := n.contract.Load().of(op, []byte(bucket))
		return kv.BucketText(p.bucket) + " " + p.objective.String()
	}
	for _, c := range []struct {
		op     Op
		bucket string
		want   string
	}{
		{OpPut, "carts", "carts 99.9% < 10ms"}, {OpGet, "carts", " 99.9% < 300ms"}, {OpPut, "other", " 99.9% < 300ms"},
		{OpGet, ofType, "type:t/ 99.9% < 20ms"}, {OpPut, ofType, " 99.9% < 300ms"}, {OpGet, plainOfType, " 99.9% < 300ms"},
	} {
		if got := held(c.op, c.bucket); got != c.want {
			t.Errorf("%v of %q: %s, want %s", c.op, c.bucket, got, c.want)
		}
	}
	n.Held(OpPut, carts, 15*time.Millisecond, nil, CauseFsync, 0)
	n.Held(OpPut, plain, 15*time.Millisecond, nil, CauseFsync, 0)
	var got []string
	for _, o := range n.SLA(start, kv.NodeID.String).Objectives {
		got = append(got, fmt.Sprintf("%s %s %v %d of %d", o.Bucket, o.Text, o.Met, o.Breaches, o.Count))
	}
	want := []string{
		" 99.9% of gets < 300ms true 0 of 0", " 99.9% of puts < 300ms true 0 of 1",
		"type:t/ 99.9% of gets < 20ms true 0 of 0", "carts 99.9% of puts < 10ms false 1 of 1",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// More buckets than are measured: those that are stay, the rest are the cluster's.
	many := map[string]kv.SLA{}
	for i := range MaxHeldBuckets {
		many[fmt.Sprintf("a%02d", i)] = kv.SLA{Put: objective(99_900, 10)}
	}
	agree(many)
	if got := held(OpPut, "carts"); got != "carts 99.9% < 10ms" || n.contract.Load().buckets["carts"][OpPut].beyond.count() != 1 {
		t.Errorf("what was measured is not any more: %s", got)
	}
	if got := held(OpPut, fmt.Sprintf("a%02d", MaxHeldBuckets-3)); got != fmt.Sprintf("a%02d 99.9%% < 10ms", MaxHeldBuckets-3) {
		t.Errorf("at the limit: %s", got)
	}
	if got := held(OpPut, fmt.Sprintf("a%02d", MaxHeldBuckets-2)); got != " 99.9% < 300ms" {
		t.Errorf("one past the limit: %s", got)
	}
	// A new bound counts anew.
	n.Agree(start, kv.DefaultSLA, map[string]kv.SLA{"carts": {Put: objective(99_900, 11)}})
	if n.contract.Load().buckets["carts"][OpPut].beyond.count() != 0 {
		t.Error("breaches of another bound are counted")
	}
}

// count is for tests.
func (h *Histogram) count() uint64 {
	var s Snapshot
	s.Add(h)
	return s.Count()
}

func TestBlameIsBounded(t *testing.T) {
	var b blame
	for i := range maxBlamed + 3 {
		b.record(CauseReplicas, kv.NodeID(i+1))
		b.record(CauseReplicas, kv.NodeID(i+1))
	}
	var got blamed
	b.read(&got)
	if got.stages[CauseReplicas] != 2*(maxBlamed+3) || got.peers[maxBlamed-1] != 2 {
		t.Errorf("%+v", got)
	}
}

func TestStaleness(t *testing.T) {
	n := NewNode(start)
	if got := n.Staleness(start); got.Owners != 0 || got.Misses != nil {
		t.Errorf("before any put: %+v", got)
	}
	for range 10 {
		n.Lag().Sampled(3, 2)
	}
	for _, ms := range []int{0, 5, 5, 50, 50, 50, 50, 500, 500} { // and one never
		n.Lag().Acknowledged(time.Duration(ms) * time.Millisecond)
	}
	got := n.Staleness(start)
	want := Staleness{Puts: 10, Owners: 30, Misses: []Miss{{0, 10. / 30}, {1, 9. / 30}, {10, 7. / 30}, {100, 3. / 30}, {1000, 1. / 30}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	n.Tick(start.Add(10 * time.Second))
	if got := n.Staleness(start.Add(70 * time.Second)); got.Owners != 0 {
		t.Errorf("a minute later: %+v", got)
	}
}

func TestScrapeOfSLAs(t *testing.T) {
	n := NewNode(start)
	n.Agree(start, kv.DefaultSLA, map[string]kv.SLA{"carts": {Put: objective(99_000, 10)}, "\xff": {Get: objective(99_000, 10)}})
	n.Held(OpPut, carts, time.Second, nil, CauseFsync, 0)
	n.Held(OpGet, plain, 2*time.Millisecond, nil, CauseStorage, 0)
	n.Lag().Sampled(3, 2)
	n.Lag().Acknowledged(time.Millisecond)
	for _, v := range []int{0, 1, 1, 2, 5, 6} {
		n.GetSiblings.Record(v)
	}
	page := scrape(t, n)
	for _, line := range []string{
		`ringtail_sla_objective_seconds{bucket="",op="get"} 0.3`,
		`ringtail_sla_objective_seconds{bucket="carts",op="put"} 0.01`,
		`ringtail_sla_objective_ratio{bucket="carts",op="put"} 0.99`,
		`ringtail_sla_objective_seconds{bucket="\\xff",op="get"} 0.01`,
		`ringtail_sla_met{bucket="",op="put"} 1`,
		`ringtail_sla_requests_total{bucket="",op="get"} 1`,
		`ringtail_sla_requests_total{bucket="carts",op="put"} 1`,
		`ringtail_sla_breaches_total{bucket="carts",op="put",stage="fsync"} 1`,
		`ringtail_sla_breaches_total{bucket="carts",op="put",stage="hop"} 0`,
		`ringtail_sla_minutes_missed_total{bucket="",op="get"} 0`,
		`ringtail_get_versions_total{versions="0"} 1`,
		`ringtail_get_versions_total{versions="1"} 2`,
		`ringtail_get_versions_total{versions="5+"} 2`,
		`ringtail_replication_lag_seconds_count 1`,
		`ringtail_replication_sampled_puts_total 1`,
		`ringtail_replication_sampled_owners_total{had="yes"} 2`,
		`ringtail_replication_sampled_owners_total{had="no"} 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if got := n.Versions(); !cmp.Equal(got, []uint64{1, 2, 1, 0, 0, 2}) {
		t.Errorf("versions %v", got)
	}
}

func TestHeldAllocatesNothing(t *testing.T) {
	n := NewNode(start)
	n.Agree(start, kv.DefaultSLA, map[string]kv.SLA{"carts": {Put: objective(99_000, 10)}})
	if got := testing.AllocsPerRun(100, func() {
		n.Held(OpPut, plain, time.Millisecond, nil, CauseFsync, 0)
		n.Held(OpPut, carts, time.Second, nil, CauseReplicas, 3)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkHeld(b *testing.B) {
	for _, c := range []struct {
		name    string
		buckets map[string]kv.SLA
		took    time.Duration
	}{
		{"cluster", nil, time.Millisecond},
		{"bucket", map[string]kv.SLA{"plain": {Put: objective(99_000, 10)}}, time.Millisecond},
		{"breach", nil, time.Second},
	} {
		b.Run(c.name, func(b *testing.B) {
			n := NewNode(start)
			n.Agree(start, kv.DefaultSLA, c.buckets)
			b.ReportAllocs()
			for b.Loop() {
				n.Held(OpPut, plain, c.took, nil, CauseReplicas, 3)
			}
		})
	}
}
