package bench

import (
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// Limits of a Config.
const (
	// MaxKeys bounds the keys: a context of each, some 200 bytes, is kept.
	MaxKeys = 4 << 20
	// MaxConcurrency bounds the callers.
	MaxConcurrency = 1024
	// MaxDuration bounds the warm-up and the measurement, each.
	MaxDuration = 24 * time.Hour
	// MaxRate bounds the rate of an open loop, in operations a second.
	MaxRate = 10_000_000
	// MinInterval bounds the timeline's steps from below, and MaxIntervals their
	// number.
	MinInterval  = 100 * time.Millisecond
	MaxIntervals = 3600
	// MaxProcesses bounds the processes that make the load.
	MaxProcesses = 64
	// MaxDelays bounds the delays at which staleness is measured, MaxDelay each of
	// them, and MaxProbers those who do it.
	MaxDelays  = 32
	MaxDelay   = 10 * time.Second
	MaxProbers = 256
)

// Routing says how an operation finds an owner of its key (§6.4).
type Routing string

const (
	// RoutingClient sends it to an owner: the client knows the ring.
	RoutingClient Routing = "client"
	// RoutingServer has operations take turns over the nodes, which pass them
	// on.
	RoutingServer Routing = "server"
)

// Door says how the load enters the cluster.
type Door string

const (
	// DoorNative is the Go client's protocol.
	DoorNative Door = "native"
	// DoorRESP is that of Redis's clients: GET and SET, in the bucket
	// kv.BucketRedis, with its own quorums and no options.
	DoorRESP Door = "resp"
	// DoorHTTP is HTTP, contexts in the header X-Ringtail-Context.
	DoorHTTP Door = "http"
)

// Config describes a load. As JSON it goes to the processes that make it.
type Config struct {
	Door Door
	// Addrs are the host:port of the nodes' ports for that.
	Addrs []string
	// Routing says to which node an operation goes; through DoorRESP and DoorHTTP
	// it is RoutingServer.
	Routing Routing
	// Conns is the number of connections to each node, 1 to client.MaxConns;
	// through DoorRESP and DoorHTTP each caller has one of its own instead.
	Conns int
	// Bucket holds the keys. With merge lww there are no siblings.
	Bucket   string
	Workload Workload
	// ValueBytes is the size of each value; they are random bytes. Values, if set,
	// says it in its place.
	ValueBytes int
	Values     Sizes `json:",omitzero"`
	// Keys is how many keys there are, and Distribution how they are drawn.
	Keys         int
	Distribution Distribution
	// HotKeys of the keys are hot with Hotspot: they get HotShare of the
	// operations, 0 to 1.
	HotKeys  int
	HotShare float64
	// Concurrency is the number of callers, each of which waits for its answer
	// before it goes on.
	Concurrency int
	// Rate, if it is not 0, makes the loop open: so many operations a second are
	// due over all callers, whatever became of those before. Who is free takes the
	// next one. With Ramp the rate grows evenly from nothing over that time, from
	// the beginning of the warm-up on.
	Rate     float64
	Arrivals Arrivals
	Ramp     time.Duration
	// WarmUp is how long the load runs before it is measured, for Duration.
	WarmUp, Duration time.Duration
	// Interval is a step of the timeline, 0 for one that gives at most 600.
	Interval time.Duration
	// Preload puts every key once before that. Without it, reads of keys that
	// were never put count as missing.
	Preload bool
	// Lookup gets a key before it is updated for the first time, because an earlier
	// run may have left something there, beside which a put that has not seen it
	// would be a sibling. It is for runs without Preload.
	Lookup bool
	// Seed repeats the draws of keys, operations and values, per caller.
	Seed uint64
	// R, W and DW are those of the requests; client.Default takes the bucket's.
	R, W, DW int
	// Strict and Timeout are those of the requests; a Timeout of 0 is 2 s.
	Strict  bool
	Timeout time.Duration
	// Processes make the load together, 0 stands for 1, and this one is Process,
	// from 0: it has its part of the callers, the rate and the keys to be put.
	Processes, Process int
	// Delays, if there are any, have Probers measure beside the load how often a
	// get at r=1 misses a put that was acknowledged so long before.
	Delays  []time.Duration
	Probers int
	// Cluster describes the cluster, for the report.
	Cluster string
	// CPU, if set, is asked before and after the measurement.
	CPU CPU `json:"-"`
	// Probe is where probers get, nil for the store that they put to, with r=1.
	Probe Store `json:"-"`
}

// DefaultDelays are delays at which staleness is measured.
func DefaultDelays() []time.Duration {
	const us, ms = time.Microsecond, time.Millisecond
	return []time.Duration{0, 100 * us, 200 * us, 500 * us, ms, 2 * ms, 5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms}
}

// Default returns YCSB's workload A at the size of the figures in DESIGN section
// 13: 64 callers and values of 1 KiB.
func Default() Config {
	return Config{
		Door: DoorNative, Addrs: []string{"127.0.0.1:7401"}, Routing: RoutingClient, Conns: 1, Bucket: "bench", Workload: WorkloadA,
		ValueBytes: 1024, Keys: 100_000, Distribution: Zipfian, HotKeys: 10, HotShare: 0.9, Concurrency: 64, Arrivals: Even,
		WarmUp: 3 * time.Second, Duration: 20 * time.Second, Preload: true, Seed: 1, Processes: 1, Probers: 8,
		R: client.Default, W: client.Default, DW: client.Default,
	}
}

// sizes returns how large values are.
func (c Config) sizes() Sizes {
	if c.Values == (Sizes{}) {
		return Sizes{min: c.ValueBytes, max: c.ValueBytes}
	}
	return c.Values
}

func (c Config) open() bool { return c.Rate > 0 }

func (c Config) processes() int { return max(c.Processes, 1) }

// callers returns how many of the callers are this process's.
func (c Config) callers() int {
	n := c.Concurrency / c.processes()
	if c.Process < c.Concurrency%c.processes() {
		n++
	}
	return n
}

// own returns the key next to n that this process may put: each key is put by one
// process alone, which so knows its newest context.
func (c Config) own(n int) int {
	p := c.processes()
	if n = n - n%p + c.Process; n >= c.Keys {
		n -= p
	}
	return n
}

// interval returns the timeline's step.
func (c Config) interval() time.Duration {
	if c.Interval > 0 {
		return c.Interval
	}
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute} {
		if c.Duration/d <= 600 {
			return d
		}
	}
	return 5 * time.Minute
}

// plain tells whether Redis's clients could ask for all that the load does.
func (c Config) plain() bool {
	return c.Routing == RoutingServer && c.Bucket == kv.BucketRedis && !c.Strict &&
		c.R == client.Default && c.W == client.Default && c.DW == client.Default
}

// options returns the client's options.
func (c Config) options() []client.DialOption {
	opts := []client.DialOption{
		client.Conns(c.Conns), client.R(c.R), client.W(c.W), client.DW(c.DW),
		client.Strict(c.Strict), client.Timeout(c.Timeout),
	}
	if c.Routing == RoutingServer {
		opts = append(opts, client.ServerDriven())
	}
	return opts
}
