package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"
	"github.com/ringtaildb/ringtail/internal/httpapi"
)

func TestBenchRunsWhatTheFlagsSay(t *testing.T) {
	g, err := parse(t, strings.Fields("bench --workload b --value-size 100 --keys 7 --dist uniform --concurrency 1,16 "+
		"--duration 5s --warmup 1s --no-preload --bucket x --r 1 --dw 0 --strict --timeout 3s --routing server --conns 2 --seed 9")...)
	if err != nil {
		t.Fatal(err)
	}
	want := bench.Config{
		Door: bench.DoorNative, Addrs: bench.Default().Addrs, Routing: bench.RoutingServer, Conns: 2, Bucket: "x", Workload: bench.WorkloadB, ValueBytes: 100, Keys: 7,
		Distribution: bench.Uniform, HotKeys: 10, HotShare: 0.9, Concurrency: 1, Arrivals: bench.Even, Processes: 1, Probers: 8, WarmUp: time.Second, Duration: 5 * time.Second, Lookup: true, Seed: 9,
		R: 1, W: client.Default, DW: 0, Strict: true, Timeout: 3 * time.Second,
	}
	second := want
	second.Concurrency = 16
	got, err := g.Bench.Run.runs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bench.Config{want, second}, got, cmpopts.EquateComparable(bench.Sizes{})); diff != "" {
		t.Errorf("runs differ (-want +got):\n%s", diff)
	}
}

func TestBenchMakesARunOfEachLoad(t *testing.T) {
	g, err := parse(t, strings.Fields("bench run --workload d --value-size lognormal:1000:1:10-9999 --concurrency 8,16 --rate 100,2e4 --arrivals poisson "+
		"--ramp 2s --interval 500ms --door http --processes 3 --staleness --probers 4")...)
	if err != nil {
		t.Fatal(err)
	}
	runs, err := g.Bench.Run.runs()
	if err != nil || len(runs) != 4 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for i, want := range []struct {
		callers int
		rate    float64
	}{{8, 100}, {8, 20_000}, {16, 100}, {16, 20_000}} {
		r := runs[i]
		if r.Concurrency != want.callers || r.Rate != want.rate || r.Arrivals != bench.Poisson || r.Ramp != 2*time.Second || r.Interval != time.Second/2 {
			t.Errorf("run %d: %+v", i, r)
		}
		if r.Distribution != bench.Latest || r.Values.String() != "lognormal:1000:1:10-9999" || r.Door != bench.DoorHTTP || r.Routing != bench.RoutingServer ||
			r.Processes != 3 || len(r.Delays) != len(bench.DefaultDelays()) || r.Probers != 4 {
			t.Errorf("run %d: %+v", i, r)
		}
	}
}

func TestBenchWithoutFlagsIsThePackagesDefault(t *testing.T) {
	g, err := parse(t, "bench")
	if err != nil {
		t.Fatal(err)
	}
	got, err := g.Bench.Run.runs()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bench.Config{bench.Default()}, got, cmpopts.EquateComparable(bench.Sizes{})); diff != "" {
		t.Errorf("runs differ (-want +got):\n%s", diff)
	}
}

func TestBenchChecksItsFlagsBeforeItAsksANode(t *testing.T) {
	for flag, want := range map[string]string{
		"--workload z":      `--workload must be one of "a","b","c","d","f","w" but got "z"`,
		"--door x":          `--door must be one of "native","resp","http" but got "x"`,
		"--routing x":       `--routing must be one of "client","server" but got "x"`,
		"--door resp --w 1": "have no options", "--keys 0": "0 keys", "--concurrency 1,0": "0 callers", "--value-size=-1": "-1 bytes", "--duration 0s": "duration of 0s",
		"--rate 0": "--rate", "--rate=-1": "a rate of -1", "--ramp 1s": "without a rate", "--dist x": "--dist must be", "--value-size 9-1": "above the most",
		"--delays 1ms": "without --staleness", "--staleness --delays 2ms,1ms": "in order", "--staleness --door resp": "r=1", "--processes 65": "65 processes",
		"--interval 1ms": "shorter than", "--dist hotspot --hot-keys 0": "hot keys",
	} {
		args := append([]string{"bench", "--addr", deadAddr(t)}, strings.Fields(flag)...)
		got := ringtail(t, "", args...)
		if got.status != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v, want status 2 and %q", flag, got, want)
		}
	}
}

func TestBenchFindsTheNodesAndTheirProcessorTime(t *testing.T) {
	v := httpapi.ClusterView{Ring: httpapi.RingView{N: 3, R: 2, W: 1}, Members: []httpapi.MemberView{
		{Name: "n1", ID: 1, HTTP: "127.0.0.1:10", Peer: "127.0.0.1:1", Status: "member", Up: true, Stats: &httpapi.StatsView{CPUSeconds: 1.5}},
		{Name: "n2", ID: 2, Peer: "127.0.0.1:2", Status: "member"},
		{Name: "n3", ID: 3, Peer: "127.0.0.1:3", Status: "staged", Up: true, Stats: &httpapi.StatsView{CPUSeconds: 0.25}},
		{Name: "n4", ID: 4, HTTP: "127.0.0.1:40", Peer: "127.0.0.1:4", Status: "member", Up: true, Stats: &httpapi.StatsView{CPUSeconds: 2}},
	}}
	d := newDoor(serveJSON(t, v).addr)
	for door, want := range map[string][]string{"native": {"127.0.0.1:1", "127.0.0.1:4"}, "http": {"127.0.0.1:10", "127.0.0.1:40"}, "resp": {"127.0.0.1:13", "127.0.0.1:43"}} {
		addrs, about, err := (&benchRunCmd{Door: door}).addrs(t.Context(), d)
		if diff := cmp.Diff(want, addrs); err != nil || diff != "" || about != "2 nodes, N=3 R=2 W=1" {
			t.Errorf("door %s: %q, error %v; addresses differ (-want +got):\n%s", door, about, err, diff)
		}
	}
	spent, err := cpuMeter{d}.CPU(t.Context())
	if err != nil || spent != 3750*time.Millisecond {
		t.Errorf("processor time %v, error %v; want 3.75s", spent, err)
	}
	v.Members[3].Stats = nil
	if _, err := (cpuMeter{newDoor(serveJSON(t, v).addr)}).CPU(t.Context()); err == nil || !strings.Contains(err.Error(), "n4") {
		t.Errorf("a node is silent, and the error is %v", err)
	}
}
