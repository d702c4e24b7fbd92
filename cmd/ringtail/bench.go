package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ringtaildb/ringtail/internal/bench"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// benchCmd is ringtail bench.
type benchCmd struct {
	addrFlags
	Workload    string        `default:"a" enum:"a,b,c,w" placeholder:"NAME" help:"a: half reads, half updates; b: 95% reads; c: reads alone; w: updates alone (a)."`
	ValueSize   int           `default:"1024" placeholder:"BYTES" help:"Size of each value (1024)."`
	Keys        int           `default:"100000" placeholder:"COUNT" help:"How many keys (100000)."`
	Dist        string        `default:"zipfian" enum:"uniform,zipfian" placeholder:"NAME" help:"How often each key is used: uniform or zipfian (zipfian)."`
	Concurrency []int         `default:"64" placeholder:"COUNT" help:"Callers that each wait for their answer; a list for one run after the other (64)."`
	Duration    time.Duration `default:"20s" placeholder:"DURATION" help:"How long to measure (20s)."`
	Warmup      time.Duration `default:"3s" placeholder:"DURATION" help:"How long to run before that (3s)."`
	Preload     bool          `default:"true" negatable:"" help:"Put each key once before the run."`
	Bucket      raw           `default:"bench" env:"RINGTAIL_BUCKET" placeholder:"NAME" help:"Where the keys are (bench)."`
	R           *int          `placeholder:"COUNT" help:"Replicas that a get waits for, 1 to N (the bucket's)."`
	W           *int          `placeholder:"COUNT" help:"Replicas that must have applied a put, 1 to N (the bucket's)."`
	DW          *int          `name:"dw" placeholder:"COUNT" help:"Replicas that must have it on disk, 0 to N (w)."`
	Strict      bool          `help:"Only owners of the key count, never stand-ins."`
	Timeout     time.Duration `placeholder:"DURATION" help:"How long a request may take (2s)."`
	Door        string        `default:"native" enum:"native,resp" placeholder:"NAME" help:"native: the Go client; resp: GET and SET as Redis's clients send them, in bucket redis (native)."`
	Routing     string        `default:"client" enum:"client,server" placeholder:"WHO" help:"Who finds an owner of a key: the client, or the nodes, which then pass requests on (client)."`
	Conns       int           `default:"1" placeholder:"COUNT" help:"Connections to each node (1)."`
	Seed        uint64        `default:"1" placeholder:"NUMBER" help:"Repeats the draws of keys and values (1)."`
	JSON        bool          `name:"json" help:"Print one JSON object for each run."`
}

// Help is shown by ringtail bench --help.
func (benchCmd) Help() string {
	return `Puts the cluster under load through the nodes' ports, which --addr tells of. The processor time is
that of all nodes, from their own accounts. Progress goes to standard error.

The keys stay in the bucket. Numbers of replicas that are not given are the bucket's.

Examples:

    ringtail bench
    ringtail bench --workload b --concurrency 1,16,64 --duration 10s
    ringtail bench --routing server
    ringtail bench --door resp
    ringtail bench --workload w --value-size 100 --w 1 --dw 0 --json`
}

// Run carries out the command.
func (c *benchCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	runs, err := c.runs()
	if err != nil {
		return err
	}
	addrs, err := c.addrs(ctx, d)
	if err != nil {
		return err
	}
	for i, cfg := range runs {
		cfg.Addrs, cfg.CPU = addrs, cpuMeter{d}
		report, err := bench.Run(ctx, cfg, s.err)
		if err != nil {
			return err
		}
		if i > 0 && !c.JSON {
			fmt.Fprintln(s.out)
		}
		if err := c.print(s.out, report); err != nil || report.Interrupted {
			return err
		}
	}
	return nil
}

// runs returns the load of each run, or an error for one that is out of range.
func (c *benchCmd) runs() ([]bench.Config, error) {
	cfg := bench.Default()
	cfg.Workload, cfg.ValueBytes = bench.Workload(c.Workload), c.ValueSize
	cfg.Keys, cfg.Distribution = c.Keys, bench.Distribution(c.Dist)
	cfg.Duration, cfg.WarmUp, cfg.Preload = c.Duration, c.Warmup, c.Preload
	cfg.Bucket, cfg.Strict, cfg.Timeout = string(c.Bucket), c.Strict, c.Timeout
	cfg.Routing, cfg.Conns, cfg.Seed = bench.Routing(c.Routing), c.Conns, c.Seed
	if cfg.Door = bench.Door(c.Door); cfg.Door == bench.DoorRESP {
		cfg.Routing, cfg.Bucket = bench.RoutingServer, kv.BucketRedis
	}
	for count, to := range map[*int]*int{c.R: &cfg.R, c.W: &cfg.W, c.DW: &cfg.DW} {
		if count != nil {
			*to = *count
		}
	}
	var runs []bench.Config
	for _, callers := range c.Concurrency {
		cfg.Concurrency = callers
		if err := cfg.Validate(); err != nil {
			return nil, err
		}
		runs = append(runs, cfg)
	}
	if len(runs) == 0 {
		return nil, usagef("--concurrency: there is no number")
	}
	return runs, nil
}

func (c *benchCmd) print(w io.Writer, r bench.Report) error {
	if !c.JSON {
		return r.WriteText(w)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// addrs returns the ports to be loaded of the nodes that are in the ring and up.
// Nodes do not tell their ports for Redis's clients: those are taken to be where
// they are unless they are moved.
func (c *benchCmd) addrs(ctx context.Context, d door) ([]string, error) {
	var view httpapi.ClusterView
	if err := d.get(ctx, "/cluster", &view); err != nil {
		return nil, err
	}
	var addrs []string
	for _, m := range present(view) {
		if m.Status == "member" && m.Up {
			addr := m.Peer
			if c.Door == string(bench.DoorRESP) {
				addr = shift(m.HTTP, respPort)
			}
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		return nil, errors.New("bench: no node of the ring is up")
	}
	return addrs, nil
}

// cpuMeter adds up what the nodes tell of their processor time.
type cpuMeter struct{ door door }

// CPU implements bench.CPU.
func (m cpuMeter) CPU(ctx context.Context) (time.Duration, error) {
	var view httpapi.ClusterView
	if err := m.door.get(ctx, "/cluster", &view); err != nil {
		return 0, err
	}
	var seconds float64
	for _, node := range present(view) {
		switch {
		case node.Stats != nil:
			seconds += node.Stats.CPUSeconds
		case node.Up:
			return 0, fmt.Errorf("%s did not tell its own in time", node.Name)
		}
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
