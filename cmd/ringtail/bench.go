package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ringtaildb/ringtail/internal/bench"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// benchCmd is ringtail bench.
type benchCmd struct {
	Run     benchRunCmd     `cmd:"" default:"withargs" help:"Put the cluster under load: what bench alone does."`
	Compare benchCompareCmd `cmd:"" help:"Compare two reports."`
	Draw    benchDrawCmd    `cmd:"" help:"Draw several reports over one another."`
	Part    benchPartCmd    `cmd:"" hidden:"" help:"Make a part of the load of another process."`
}

// Help is shown by ringtail bench --help.
func (benchCmd) Help() string {
	return `Without a subcommand it is "run"; its flags are shown by: ringtail bench run --help

Examples:

    ringtail bench
    ringtail bench --workload b --rate 10000 --html b.html
    ringtail bench compare before.json after.json`
}

// benchRunCmd is ringtail bench run.
type benchRunCmd struct {
	addrFlags
	Workload    string          `default:"a" enum:"a,b,c,d,f,w" placeholder:"NAME" help:"a: half reads, half updates; b: 95% reads; c: reads alone; d: 95% reads of new keys, 5% inserts; f: half reads, half read-modify-writes; w: updates alone (a)."`
	ValueSize   string          `default:"1024" placeholder:"BYTES" help:"Size of each value: BYTES, MIN-MAX, lognormal:MEDIAN:SIGMA:MIN-MAX or pareto:ALPHA:MIN-MAX (1024)."`
	Keys        int             `default:"100000" placeholder:"COUNT" help:"How many keys (100000)."`
	Dist        string          `default:"" enum:",uniform,zipfian,latest,hotspot" placeholder:"NAME" help:"How often each key is used: uniform, zipfian, latest or hotspot (zipfian; latest with d)."`
	HotKeys     int             `default:"10" placeholder:"COUNT" help:"How many keys are hot with hotspot (10)."`
	HotShare    float64         `default:"0.9" placeholder:"SHARE" help:"Which share of the operations they get (0.9)."`
	Concurrency []int           `default:"64" placeholder:"COUNT" help:"Callers that each wait for their answer; a list for one run after the other (64)."`
	Rate        []float64       `placeholder:"NUMBER" help:"Operations a second that are due, whatever became of those before; a list for one run after the other. Without it, callers go on when they were answered."`
	Arrivals    string          `default:"even" enum:"even,poisson" placeholder:"NAME" help:"With --rate: operations are due evenly spaced or at random (even)."`
	Ramp        time.Duration   `placeholder:"DURATION" help:"With --rate: the rate grows from nothing for so long, from the warm-up on."`
	Duration    time.Duration   `default:"20s" placeholder:"DURATION" help:"How long to measure (20s)."`
	Warmup      time.Duration   `default:"3s" placeholder:"DURATION" help:"How long to run before that (3s)."`
	Interval    time.Duration   `placeholder:"DURATION" help:"A step of the timeline (1s, or more for long runs)."`
	Preload     bool            `default:"true" negatable:"" help:"Put each key once before the run."`
	Bucket      raw             `default:"bench" env:"RINGTAIL_BUCKET" placeholder:"NAME" help:"Where the keys are (bench)."`
	R           *int            `placeholder:"COUNT" help:"Replicas that a get waits for, 1 to N (the bucket's)."`
	W           *int            `placeholder:"COUNT" help:"Replicas that must have applied a put, 1 to N (the bucket's)."`
	DW          *int            `name:"dw" placeholder:"COUNT" help:"Replicas that must have it on disk, 0 to N (w)."`
	Strict      bool            `help:"Only owners of the key count, never stand-ins."`
	Timeout     time.Duration   `placeholder:"DURATION" help:"How long a request may take (2s)."`
	Door        string          `default:"native" enum:"native,resp,http" placeholder:"NAME" help:"native: the Go client; resp: GET and SET as Redis's clients send them, in bucket redis; http (native)."`
	Routing     string          `default:"client" enum:"client,server" placeholder:"WHO" help:"Who finds an owner of a key: the client, or the nodes, which then pass requests on (client)."`
	Conns       int             `default:"1" placeholder:"COUNT" help:"Connections to each node (1)."`
	Processes   int             `default:"1" placeholder:"COUNT" help:"Processes that make the load together (1)."`
	Staleness   bool            `help:"Measure as well how often a get at r=1 misses a put."`
	Delays      []time.Duration `placeholder:"DURATION" help:"With --staleness: how long after the put's acknowledgement (0 to 100ms)."`
	Probers     int             `default:"8" placeholder:"COUNT" help:"With --staleness: callers that measure it, beside the others (8)."`
	Seed        uint64          `default:"1" placeholder:"NUMBER" help:"Repeats the draws of keys and values (1)."`
	JSON        bool            `name:"json" help:"Print one JSON object for each run."`
	Save        string          `placeholder:"FILE" help:"Write the JSON into a file as well."`
	HTML        string          `name:"html" placeholder:"FILE" help:"Write a page with tables and drawings into a file."`
}

// Help is shown by ringtail bench run --help.
func (benchRunCmd) Help() string {
	return `Puts the cluster under load through the nodes' ports, which --addr tells of. The processor time is
that of all nodes, from their own accounts. Progress goes to standard error.

The keys stay in the bucket. Numbers of replicas that are not given are the bucket's. What each figure
means: docs/bench.md.

Examples:

    ringtail bench
    ringtail bench run --workload b --concurrency 1,16,64 --duration 10s
    ringtail bench --rate 5000,10000,20000 --arrivals poisson --html rates.html
    ringtail bench --door resp
    ringtail bench --staleness --w 1 --save stale.json
    ringtail bench --workload w --value-size 100 --w 1 --dw 0 --json`
}

// Run carries out the command.
func (c *benchRunCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	runs, err := c.runs()
	if err != nil {
		return err
	}
	addrs, about, err := c.addrs(ctx, d)
	if err != nil {
		return err
	}
	for _, path := range []string{c.Save, c.HTML} {
		if err := checkFile(path); err != nil {
			return err
		}
	}
	var reports []bench.Report
	for i, cfg := range runs {
		cfg.Addrs, cfg.CPU, cfg.Cluster = addrs, cpuMeter{d}, about
		report, err := c.one(ctx, cfg, s.err)
		if err != nil {
			return errors.Join(err, c.keep(reports))
		}
		reports = append(reports, report)
		if i > 0 && !c.JSON {
			fmt.Fprintln(s.out)
		}
		if err := c.print(s.out, report); err != nil {
			return err
		}
		if report.Interrupted {
			break
		}
	}
	return c.keep(reports)
}

// one makes one run.
func (c *benchRunCmd) one(ctx context.Context, cfg bench.Config, progress io.Writer) (bench.Report, error) {
	if cfg.Processes > 1 {
		return bench.RunProcesses(ctx, cfg, benchPart, progress)
	}
	return bench.Run(ctx, cfg, progress)
}

// runs returns the load of each run, or an error for one that is out of range.
func (c *benchRunCmd) runs() ([]bench.Config, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	rates := c.Rate
	if len(rates) == 0 {
		rates = []float64{0}
	}
	var runs []bench.Config
	for _, callers := range c.Concurrency {
		for _, rate := range rates {
			if cfg.Concurrency, cfg.Rate = callers, rate; rate == 0 && len(c.Rate) > 0 {
				return nil, usagef("--rate: 0 operations a second are no load")
			}
			if err := cfg.Validate(); err != nil {
				return nil, err
			}
			runs = append(runs, cfg)
		}
	}
	if len(runs) == 0 {
		return nil, usagef("--concurrency: there is no number")
	}
	return runs, nil
}

// config returns what all runs have in common.
func (c *benchRunCmd) config() (bench.Config, error) {
	cfg := bench.Default()
	cfg.Workload = bench.Workload(c.Workload)
	cfg.Keys, cfg.HotKeys, cfg.HotShare = c.Keys, c.HotKeys, c.HotShare
	if cfg.Workload == bench.WorkloadD {
		cfg.Distribution = bench.Latest
	}
	if c.Dist != "" {
		cfg.Distribution = bench.Distribution(c.Dist)
	}
	sizes, err := bench.ParseSizes(c.ValueSize)
	if err != nil {
		return cfg, err
	}
	var same bool
	if cfg.ValueBytes, same = sizes.Constant(); !same {
		cfg.Values = sizes
	}
	cfg.Arrivals, cfg.Ramp, cfg.Interval = bench.Arrivals(c.Arrivals), c.Ramp, c.Interval
	cfg.Duration, cfg.WarmUp, cfg.Preload = c.Duration, c.Warmup, c.Preload
	cfg.Bucket, cfg.Strict, cfg.Timeout = string(c.Bucket), c.Strict, c.Timeout
	cfg.Routing, cfg.Conns, cfg.Seed = bench.Routing(c.Routing), c.Conns, c.Seed
	cfg.Processes, cfg.Probers = c.Processes, c.Probers
	switch cfg.Door = bench.Door(c.Door); cfg.Door {
	case bench.DoorRESP:
		cfg.Routing, cfg.Bucket = bench.RoutingServer, kv.BucketRedis
	case bench.DoorHTTP:
		cfg.Routing = bench.RoutingServer
	}
	cfg.Lookup = !c.Preload && cfg.Door != bench.DoorRESP // which has no siblings
	if len(c.Delays) > 0 && !c.Staleness {
		return cfg, usagef("--delays: nothing is delayed without --staleness")
	}
	if c.Staleness {
		if cfg.Delays = c.Delays; len(c.Delays) == 0 {
			cfg.Delays = bench.DefaultDelays()
		}
	}
	for count, to := range map[*int]*int{c.R: &cfg.R, c.W: &cfg.W, c.DW: &cfg.DW} {
		if count != nil {
			*to = *count
		}
	}
	return cfg, nil
}

func (c *benchRunCmd) print(w io.Writer, r bench.Report) error {
	if !c.JSON {
		return r.WriteText(w)
	}
	return json.NewEncoder(w).Encode(r)
}

// keep writes the files that are wanted of the reports.
func (c *benchRunCmd) keep(reports []bench.Report) error {
	if len(reports) == 0 {
		return nil
	}
	if c.Save != "" {
		err := writeFile(c.Save, func(w io.Writer) error { return bench.WriteReports(w, reports) })
		if err != nil {
			return err
		}
	}
	if c.HTML != "" {
		return writeFile(c.HTML, func(w io.Writer) error { return bench.WriteHTML(w, reports) })
	}
	return nil
}

// checkFile returns an error when path, unless it is empty, cannot be written: before
// a long run rather than after it.
func checkFile(path string) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// writeFile makes a file of what write writes.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// addrs returns the ports to be loaded of the nodes that are in the ring and up,
// and says of what kind the cluster is. Nodes do not tell their ports for Redis's
// clients: those are taken to be where they are unless they are moved.
func (c *benchRunCmd) addrs(ctx context.Context, d door) ([]string, string, error) {
	var view httpapi.ClusterView
	if err := d.get(ctx, "/cluster", &view); err != nil {
		return nil, "", err
	}
	var addrs []string
	for _, m := range present(view) {
		if m.Status != "member" || !m.Up {
			continue
		}
		switch bench.Door(c.Door) {
		case bench.DoorRESP:
			addrs = append(addrs, shift(m.HTTP, respPort))
		case bench.DoorHTTP:
			addrs = append(addrs, m.HTTP)
		default:
			addrs = append(addrs, m.Peer)
		}
	}
	if len(addrs) == 0 {
		return nil, "", errors.New("bench: no node of the ring is up")
	}
	return addrs, fmt.Sprintf("%d nodes, N=%d R=%d W=%d", len(addrs), view.Ring.N, view.Ring.R, view.Ring.W), nil
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
