package bench

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringtaildb/ringtail/client"
)

// recorded returns a record of n reads, that took 1 to n ms, and what came with
// them.
func recorded(n int, missing, conflicts uint64, most int) *record {
	r := newRecord()
	for i := range n {
		r.done(read, time.Duration(i+1)*time.Millisecond)
	}
	r.missing, r.versions[2], r.versions[most] = missing, conflicts-1, 1
	return r
}

func TestReportAddsUpTheProcesses(t *testing.T) {
	one, two := recorded(900, 1, 2, 3), recorded(100, 4, 5, 4)
	two.done(update, time.Duration(2*longest))
	one.failed(&client.Error{Kind: client.KindTimeout, Err: errTest})
	two.failed(&client.Error{Kind: client.KindTimeout, Err: errTest})
	two.failed(&client.Error{Kind: client.KindDiskFull, Err: errTest})
	parts := []part{
		{Steps: []stretch{one.stretch(0, 0, 10)}, Seconds: 10, OwnCPU: 1001 * 2 * time.Microsecond},
		{Steps: []stretch{newRecord().stretch(0, 0, 9), two.stretch(1, 9, 1)}, Seconds: 10, OwnCPU: 1001 * 3 * time.Microsecond},
	}
	began := time.Now()
	before := reading{at: began, cluster: time.Second}
	after := reading{at: began.Add(10 * time.Second), cluster: time.Second + 1001*30*time.Microsecond}
	want := Report{
		Format: Format, Started: began.UTC().Truncate(time.Millisecond),
		Setup: Setup{
			Workload: WorkloadA, Door: DoorNative, Routing: RoutingClient, Distribution: Zipfian, Keys: 1000, ValueBytes: 1024, Concurrency: 8,
			Processes: 1, Conns: 1, Duration: 2,
		},
		Seconds: 10, Ops: 1001, OpsPerSec: 100.1,
		Kinds: []KindReport{
			{Kind: "read", Count: 1000, Latency: Latency{P50: 400, P90: 800, P99: 890, P999: 899, P9999: 900, Max: 900}},
			{Kind: "update", Count: 1, Latency: Latency{P50: 61000, P90: 61000, P99: 61000, P999: 61000, P9999: 61000, Max: 61000}},
		},
		Errors:   map[client.Kind]uint64{client.KindTimeout: 2, client.KindDiskFull: 1},
		Versions: []uint64{0, 0, 5, 1, 1}, Conflicts: 7, MostSiblings: 4, Missing: 5,
		ClusterCPU: 30, OwnCPU: 5,
		Timeline: []Interval{
			{Seconds: 10, Ops: 900, OpsPerSec: 90, Errors: map[client.Kind]uint64{client.KindTimeout: 1},
				Kinds: []IntervalKind{{Kind: "read", Count: 900, P50: 450, P99: 891, P999: 899, Max: 900}}},
			{At: 9, Seconds: 1, Ops: 101, OpsPerSec: 101, Errors: map[client.Kind]uint64{client.KindTimeout: 1, client.KindDiskFull: 1},
				Kinds: []IntervalKind{{Kind: "read", Count: 100, P50: 50, P99: 99, P999: 100, Max: 100}, {Kind: "update", Count: 1, P50: 61000, P99: 61000, P999: 61000, Max: 61000}}},
		},
	}
	got, err := newReport(small(WorkloadA), began, parts, before, after)
	if err != nil {
		t.Fatal(err)
	}
	near := cmp.Comparer(func(a, b float64) bool { return a == b || a-b < b/500 && b-a < b/500 })
	if diff := cmp.Diff(want, got, near, cmpopts.IgnoreFields(Latency{}, "Histogram")); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	for _, k := range got.Kinds {
		if h, err := decode(k.Histogram, longest); err != nil || h.TotalCount() != k.Count || millisAt(h, 99.9) != k.P999 {
			t.Errorf("the histogram of %s says otherwise: %v", k.Kind, err)
		}
	}
}

func TestReportAsText(t *testing.T) {
	r := Report{
		Setup:   Setup{Workload: WorkloadB, Routing: RoutingServer, Distribution: Uniform, Keys: 100_000, ValueBytes: 1024, Concurrency: 64},
		Seconds: 20.04, Ops: 1_234_567, OpsPerSec: 61_605.1,
		Kinds: []KindReport{
			{Kind: "read", Count: 1_172_839, Latency: Latency{P50: 0.512, P99: 1.9, P999: 4.25, P9999: 5, Max: 12}},
			{Kind: "update", Count: 61_728, Latency: Latency{P50: 0.75, P99: 2, P999: 5, P9999: 100, Max: 1250.5}},
		},
		Errors:    map[client.Kind]uint64{client.KindTimeout: 2, client.KindUnavailable: 1200},
		Versions:  []uint64{3, 1_171_336, 1490, 9, 1},
		Conflicts: 1500, MostSiblings: 4, Missing: 3, ClusterCPU: 24.96, OwnCPU: 4.5,
	}
	const want = `workload b, server-driven, 100,000 keys uniform, values of 1,024 B, 64 callers, 20.0 s
61,605 ops/s

  operation      count  p50 ms  p99 ms  p99.9 ms  p99.99 ms    max ms
       read  1,172,839   0.512   1.900     4.250      5.000    12.000
     update     61,728   0.750   2.000     5.000    100.000  1250.500

errors          1,200 unavailable, 2 timeout
missing         3 reads of keys without a value
siblings        1,500 gets saw more than one, 4 at most
versions seen   0: 0.0003 %, 1: 99.8718 %, 2: 0.127 %, 3: 0.0008 %, 4: 8.5e-05 %
processor time  of an operation: cluster 25.0 µs, load generator 4.5 µs
`
	text := func(r Report) string {
		var b strings.Builder
		if err := r.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if diff := cmp.Diff(want, text(r)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
	r.Errors, r.Interrupted, r.ClusterCPUNote = nil, true, "nobody was asked for it"
	for _, want := range []string{"20.0 s (interrupted)", "errors          none", "cluster not known (nobody was asked for it)"} {
		if got := text(r); !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
}

func TestReportAsJSON(t *testing.T) {
	r := Report{Setup: Setup{Workload: WorkloadA}, Ops: 2, Kinds: []KindReport{{Kind: "read", Count: 2, Latency: Latency{P999: 1.5}}}, Errors: map[client.Kind]uint64{client.KindTimeout: 1}}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"workload":"a"`, `"ops":2`, `"kinds":[{"kind":"read","count":2,"p50_ms":0,"p90_ms":0,"p99_ms":0,"p999_ms":1.5,"p9999_ms":0,"max_ms":0}]`,
		`"errors":{"timeout":1}`, `"cluster_cpu_us_per_op":0`, `"own_cpu_us_per_op":0`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234: "-1,234", -123: "-123", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
