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
	// MaxConcurrency bounds the callers: each keeps histograms of 0.5 MB.
	MaxConcurrency = 1024
	// MaxDuration bounds the warm-up and the measurement, each.
	MaxDuration = 24 * time.Hour
)

// Workload names a mix of operations; a, b and c are those of YCSB.
type Workload string

const (
	// WorkloadA is 50 % reads and 50 % updates.
	WorkloadA Workload = "a"
	// WorkloadB is 95 % reads and 5 % updates.
	WorkloadB Workload = "b"
	// WorkloadC is reads alone.
	WorkloadC Workload = "c"
	// WorkloadW is updates alone.
	WorkloadW Workload = "w"
)

// reads returns the percentage of reads, -1 for a workload that is none.
func (w Workload) reads() int {
	switch w {
	case WorkloadA:
		return 50
	case WorkloadB:
		return 95
	case WorkloadC:
		return 100
	case WorkloadW:
		return 0
	}
	return -1
}

// Distribution says how often each key is drawn.
type Distribution string

const (
	// Uniform draws each key equally often.
	Uniform Distribution = "uniform"
	// Zipfian draws the i-th of the keys, in an order that has nothing to do
	// with their names, in proportion to 1/i^0.99, as YCSB does: of 100,000 keys
	// the first gets 8 % of the operations.
	Zipfian Distribution = "zipfian"
)

// chooser returns what draws keys, nil for a distribution that is none.
func (d Distribution) chooser(keys int) chooser {
	switch d {
	case Uniform:
		return uniform(keys)
	case Zipfian:
		return newScrambled(newZipf(keys), keys)
	}
	return nil
}

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
)

// Config describes a load.
type Config struct {
	Door Door
	// Addrs are the host:port of the nodes' ports for that.
	Addrs []string
	// Routing says to which node an operation goes; through DoorRESP it is
	// RoutingServer.
	Routing Routing
	// Conns is the number of connections to each node, 1 to client.MaxConns;
	// through DoorRESP each caller has one of its own instead.
	Conns int
	// Bucket holds the keys. With merge lww there are no siblings.
	Bucket   string
	Workload Workload
	// ValueBytes is the size of each value; they are random bytes.
	ValueBytes int
	// Keys is how many keys there are, and Distribution how they are drawn.
	Keys         int
	Distribution Distribution
	// Concurrency is the number of callers, each of which waits for its answer
	// before it goes on.
	Concurrency int
	// WarmUp is how long the load runs before it is measured, for Duration.
	WarmUp, Duration time.Duration
	// Preload puts every key once before that. Without it, reads of keys that
	// were never put count as missing.
	Preload bool
	// Seed repeats the draws of keys, operations and values, per caller.
	Seed uint64
	// R, W and DW are those of the requests; client.Default takes the bucket's.
	R, W, DW int
	// Strict and Timeout are those of the requests; a Timeout of 0 is 2 s.
	Strict  bool
	Timeout time.Duration
	// CPU, if set, is asked before and after the measurement.
	CPU CPU
}

// Default returns YCSB's workload A at the size of the figures in DESIGN section
// 13: 64 callers and values of 1 KiB.
func Default() Config {
	return Config{
		Door: DoorNative, Addrs: []string{"127.0.0.1:7401"}, Routing: RoutingClient, Conns: 1, Bucket: "bench", Workload: WorkloadA,
		ValueBytes: 1024, Keys: 100_000, Distribution: Zipfian, Concurrency: 64,
		WarmUp: 3 * time.Second, Duration: 20 * time.Second, Preload: true, Seed: 1,
		R: client.Default, W: client.Default, DW: client.Default,
	}
}

// Validate returns an error of KindInvalid that names the first field out of its
// range. What R, W, DW and Timeout may be, the client tells.
func (c Config) Validate() error {
	invalid := func(format string, args ...any) error {
		return kv.Errorf(kv.KindInvalid, "check bench", format, args...)
	}
	switch {
	case len(c.Addrs) == 0:
		return invalid("no address of a node is given")
	case c.Routing != RoutingClient && c.Routing != RoutingServer:
		return invalid("routing %q is neither client nor server", c.Routing)
	case c.Door != DoorNative && c.Door != DoorRESP:
		return invalid("door %q is neither native nor resp", c.Door)
	case c.Door == DoorRESP && !c.plain():
		return invalid("through the door resp operations are of bucket %s and have no options; the nodes route them", kv.BucketRedis)
	case c.Conns < 1 || c.Conns > client.MaxConns:
		return invalid("%d connections to each node are not within 1 to %d", c.Conns, client.MaxConns)
	case kv.CheckBucket(c.Bucket) != nil:
		return kv.CheckBucket(c.Bucket)
	case c.Workload.reads() < 0:
		return invalid("workload %q is none of a, b, c, w", c.Workload)
	case c.ValueBytes < 0 || c.ValueBytes > kv.MaxValue:
		return invalid("values of %d bytes are not within 0 to %d", c.ValueBytes, kv.MaxValue)
	case c.Keys < 1 || c.Keys > MaxKeys:
		return invalid("%d keys are not within 1 to %d", c.Keys, MaxKeys)
	case c.Distribution != Uniform && c.Distribution != Zipfian:
		return invalid("distribution %q is neither uniform nor zipfian", c.Distribution)
	case c.Concurrency < 1 || c.Concurrency > MaxConcurrency:
		return invalid("%d callers are not within 1 to %d", c.Concurrency, MaxConcurrency)
	case c.WarmUp < 0 || c.WarmUp > MaxDuration:
		return invalid("a warm-up of %v is not within 0 to %v", c.WarmUp, MaxDuration)
	case c.Duration <= 0 || c.Duration > MaxDuration:
		return invalid("a duration of %v is not within 0 to %v", c.Duration, MaxDuration)
	}
	return nil
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
