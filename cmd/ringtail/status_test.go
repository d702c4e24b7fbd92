package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// view returns a cluster with a bit of everything that status shows.
func view() httpapi.ClusterView {
	slow := metrics.SLA{
		Get: metrics.Latency{Count: 500, Failed: 3, P50: 0.414, P99: 2.3, P999: 12.2},
		Put: metrics.Latency{Count: 200, P50: 0.996, P99: 9.96, P999: 1204},
		Objectives: []metrics.Objective{
			{Op: "get", Text: "99.9% of gets < 300ms", Met: true, Count: 500},
			{
				Op: "put", Text: "99.9% of puts < 300ms", Count: 200, Breaches: 9, P999: 1204, BreachesTotal: 11, MinutesMissed: 1,
				Stage: "replicas", Stages: map[string]uint64{"replicas": 7, "fsync": 2}, Peers: map[string]uint64{"n2": 2, "n5": 5},
			},
			{Bucket: "carts", Op: "put", Text: "99% of puts < 10ms", Count: 3, Breaches: 1, P999: 12, Stage: "fsync", Stages: map[string]uint64{"fsync": 1}, BreachesTotal: 1},
		},
	}
	other := metrics.SLA{Objectives: []metrics.Objective{
		{Op: "get", Text: "99.9% of gets < 300ms", Met: true, BreachesTotal: 2},
		{Op: "put", Text: "99.9% of puts < 300ms", Met: true, Count: 5},
		{Op: "get", Bucket: "a", Text: "99% of gets < 1ms", Met: true},
	}}
	return httpapi.ClusterView{
		ClusterID: "00c0ffee00c0ffee", Node: "n1",
		LeastProtocol: 1,
		Ring:          httpapi.RingView{Epoch: 3, N: 3, R: 2, W: 2, Partitions: 1024, Partitioner: "md5"},
		Members: []httpapi.MemberView{
			{Name: "n10", ID: 1, HTTP: "127.0.0.1:7490", Status: "staged", Protocol: 2, Up: true, Since: noon.Add(-3 * time.Second), Stats: &httpapi.StatsView{Version: "v0.2.0"}},
			{Name: "n2", ID: 2, HTTP: "127.0.0.1:7410", Zone: "b", Status: "member", Protocol: 1, Since: noon.Add(-90 * time.Second), Share: 0.5},
			{Name: "n1", ID: 3, HTTP: "127.0.0.1:7400", Zone: "a", Status: "member", Protocol: 2, Up: true, Since: noon.Add(-50 * time.Hour), Share: 0.49951,
				Stats: &httpapi.StatsView{Version: "v0.2.0", Keys: 12345, DiskBytes: 98_765_432, SLA: slow, Reapable: 40, Damaged: 2, Building: 5, Versions: []uint64{7, 9994, 5, 0, 0, 1},
					Staleness: metrics.Staleness{Puts: 2, Owners: 6, Misses: []metrics.Miss{{P: 0.5}, {AfterMS: 10, P: 0.25}}}}},
			{Name: "n3", ID: 4, HTTP: "127.0.0.1:7420", Status: "none", Protocol: 2, Up: true},
			{Name: "n4", ID: 5, HTTP: "127.0.0.1:7430", Status: "removed"},
			{Name: "n2", ID: 6, HTTP: "127.0.0.1:7410", Zone: "b", Status: "awaiting replace", Protocol: 2, Up: true},
			{Name: "n5", ID: 7, HTTP: "127.0.0.1:7440", Status: "leaving", Protocol: 2, Up: true, Stats: &httpapi.StatsView{Version: "v0.2.1", Copies: 3, SLA: other, Versions: []uint64{0, 0, 0, 0, 0, 0},
				Staleness: metrics.Staleness{Puts: 1, Owners: 2, Misses: []metrics.Miss{{P: 0.5}, {AfterMS: 10}}}}},
			{Name: "n6", ID: 8, HTTP: "127.0.0.1:7450", Status: "leaving", Protocol: 2},
		},
		Transition: transition(),
		Hints: []httpapi.HintView{
			{Node: "n1", Owner: "n2", ID: 2, Keys: 7, Bytes: 1234, Oldest: noon.Add(-80 * time.Second)},
			{Node: "n5", Owner: "n2", ID: 2, Keys: 1, Bytes: 100, Oldest: noon.Add(-80 * time.Second)},
		},
		Sweep: httpapi.SweepView{StoppedBy: "n2", Since: noon.Add(-90 * time.Second)},
	}
}

// transition returns a change of the ring, half-way.
func transition() *httpapi.TransitionView {
	return &httpapi.TransitionView{
		Epoch: 4, Steps: 10, Done: 3, Phases: [4]int{2, 4, 1, 3}, Since: noon.Add(-70 * time.Second), Lost: []string{"n9"}, IdleSeconds: 45,
		Changes: []httpapi.ChangeView{
			{Action: "join", Node: "n10", ID: 1}, {Action: "replace", Node: "n2", ID: 2, By: "n2", ByID: 6},
			{Action: "weight", Node: "n1", ID: 3, Weight: 2}, {Action: "replace", Node: "n7", ID: 9, By: "n8", ByID: 10},
		},
		WaitsFor: []httpapi.WaitView{
			{Node: "n2", ID: 2, Down: true, Since: noon.Add(-65 * time.Second), Fills: 2, StepsBack: 1},
			{Node: "n10", ID: 1, Since: noon.Add(-65 * time.Second), Fills: 4},
		},
		Nodes: []httpapi.MoveView{
			{Node: "n10", ID: 1, Partitions: 8, PartitionsLeft: 2, BytesLeft: 5_000_000, BytesReceived: 15_000_000, Rate: 2_000_000, Pace: 4_000_000, EtaSeconds: 2.5},
			{Node: "n1", ID: 3, BytesSent: 15_000_000, Pace: 4_000_000, Former: 1},
			{Node: "n3", ID: 4, Pace: 4_000_000},
		},
	}
}

const statusText = `cluster 00c0ffee00c0ffee, epoch 3: n=3 r=2 w=2, 1024 partitions by md5
as n1 sees it; gets and puts of the last minute, in ms

NODE  ADDRESS         ZONE  STATUS            STATE    SHARE   KEYS   DISK  GET p50  p99  p99.9  PUT p50  p99  p99.9
n1    127.0.0.1:7400  a     member            up 2d    50.0%  12345  99 MB     0.41  2.3     12      1.0   10   1204
n2    127.0.0.1:7410  b     member            down 1m  50.0%      -      -        -    -      -        -    -      -
n2    127.0.0.1:7410  b     awaiting replace  up        0.0%      -      -        -    -      -        -    -      -
n3    127.0.0.1:7420  -     none              up        0.0%      -      -        -    -      -        -    -      -
n5    127.0.0.1:7440  -     leaving           up        0.0%      0    0 B        -    -      -        -    -      -
n6    127.0.0.1:7450  -     leaving           down      0.0%      -      -        -    -      -        -    -      -
n10   127.0.0.1:7490  -     staged            up 3s     0.0%      0    0 B        -    -      -        -    -      -

sla: 99.9% of gets < 300ms: met; since the start 2 breaches, 0 minutes missed
sla: 99.9% of puts < 300ms: missed at 1 of 2 nodes; since the start 11 breaches, 1 minutes missed
  n1: 9 of 200, p99.9 1204 ms, 7 by replicas, most at n5
sla: 99% of gets < 1ms in a: met, no requests
sla: 99% of puts < 10ms in carts: missed at 1 of 1 nodes; since the start 1 breaches, 0 minutes missed
  n1: 1 of 3, p99.9 12 ms, 1 by fsync
versions seen by 10000 gets that found a value: 1: 99.94%, 2: 0.05%, 5 or more: 0.01%
owners that lack a put, since its answer (3 puts followed): 50% after 0 ms, 18.8% after 10 ms

changing to epoch 4 (weight n1 2, replace n2, replace n7 n8, join n10) for 1m: 3 of 10 steps done, 30%
without n9 and what they had
MOVES  PARTITIONS     LEFT  RECEIVED   SENT      RATE  TIME LEFT
n1     -                 -       0 B  15 MB         -          -
n10    6 of 8, 75%  5.0 MB     15 MB    0 B  2.0 MB/s         3s

hints: n1 keeps 7 keys, 1.2 kB, for n2, the oldest for 1m
hints: n5 keeps 1 keys, 100 B, for n2, the oldest for 1m

! n1: 3 of 500 gets failed in the last minute
! n1: 2 partitions have lost data and are being refilled from other owners
! n1: 5 hash trees are being rebuilt after a crash; repair waits for them
! n2 is down since 2026-01-02T11:58:30Z (1m)
! n5 has left the ring, and ends once it holds nothing any more: 3 copies, hints for n2
! n6 has left the ring, and ends once it holds nothing any more; it does not answer: start it, or, if it is gone for good, run: ringtail cluster remove 0000000000000008 && ringtail cluster commit
! n2, which is down, is waited for: 2 steps until it is filled, 1 steps until it steps back
! nothing has moved for 45s; waited for: n10
! n2 keeps deleted keys from being cleared away, for 1m; 40 wait at n1
! releases differ: n2 (unknown, protocol 1); n1, n10 (v0.2.0, protocol 2); n5 (v0.2.1, protocol 2); the ring cannot change until all speak protocol 2
! nodes in the ring: 2, fewer than n=3; each key has only so many copies
! staged: n10; run: ringtail cluster plan
! n2 (new disk) waits; run: ringtail cluster replace n2
! n3 is not staged; run: ringtail cluster join n3
`

func TestStatusIsMadeForAPerson(t *testing.T) {
	var b bytes.Buffer
	printStatus(&b, view(), noon, false)
	if diff := cmp.Diff(statusText, b.String()); diff != "" {
		t.Errorf("status differs (-want +got):\n%s", diff)
	}
}

// The ring can change as soon as all speak the version that takes part in that,
// though releases differ.
func TestReleasesThatDifferButChange(t *testing.T) {
	members := view().Members[2:4]
	members[1].Protocol = 3
	if diff := cmp.Diff([]string{"releases differ: n1 (v0.2.0, protocol 2); n3 (unknown, protocol 3)"}, releaseWarnings(members)); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}

func TestStatusOfAHealthyClusterHasNoWarnings(t *testing.T) {
	v := view()
	v.Transition, v.Hints, v.Members, v.Sweep = nil, nil, v.Members[2:3], httpapi.SweepView{}
	v.Members[0].Stats.Damaged, v.Members[0].Stats.Building = 0, 0
	v.Ring.N = 1
	v.Members[0].Stats.SLA.Get.Failed = 0
	v.Members[0].Stats.SLA.Objectives, v.Members[0].Stats.Versions, v.Members[0].Stats.Staleness = nil, nil, metrics.Staleness{}
	var b bytes.Buffer
	printStatus(&b, v, noon, false)
	if !bytes.Contains(b.Bytes(), []byte("by md5\nrelease v0.2.0, protocol 2\nas n1")) {
		t.Errorf("the release is not shown:\n%s", b.String())
	}
	if bytes.Contains(b.Bytes(), []byte("!")) || !bytes.HasSuffix(b.Bytes(), []byte("1204\n")) {
		t.Errorf("got:\n%s", b.String())
	}
}

// serveJSON starts a node that answers each request with v.
func serveJSON(t *testing.T, v any) *fakeNode {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return newFakeNode(t, http.StatusOK, map[string]string{"Content-Type": "application/json"}, string(b))
}

func TestStatusAsksForTheCluster(t *testing.T) {
	n := serveJSON(t, view())
	got := ringtail(t, "", "status", "--addr", n.addr)
	if got.status != exitOK || n.last.path != "/cluster" || !bytes.Contains([]byte(got.out), []byte("cluster 00c0ffee00c0ffee, epoch 3")) {
		t.Errorf("%+v, asked %+v", got, n.last)
	}
	got = ringtail(t, "", "status", "--json", "--addr", n.addr)
	var back httpapi.ClusterView
	if err := json.Unmarshal([]byte(got.out), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(view(), back); diff != "" {
		t.Errorf("--json differs (-want +got):\n%s", diff)
	}
}

func TestAgesAndSizes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 47 * time.Hour: "47h", 48 * time.Hour: "2d",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%v) = %q, want %q", d, got, want)
		}
	}
	for bytes, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		1 << 40: "1.1 TB", 1 << 60: "1152922 TB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}
