package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// OverloadConfig is that of Overload.
type OverloadConfig struct {
	Engine string
	// Loads are what is offered, as parts of what a closed loop of 512 callers gets
	// a moment before, each for For.
	Loads []float64
	For   time.Duration
	// Rounds is how often each load is offered: the median counts.
	Rounds int
	// Gets is how many of 100 operations are gets.
	Gets       int
	ValueBytes int
	Keys       int
	// Timeout is that of operations.
	Timeout time.Duration
}

// DefaultOverload returns a ramp to three times what saturates the cluster.
func DefaultOverload() OverloadConfig {
	return OverloadConfig{
		Engine: "logstore", Loads: []float64{0.25, 0.5, 0.75, 0.9, 1, 1.25, 1.5, 2, 2.5, 3}, For: 5 * time.Second, Rounds: 1,
		ValueBytes: 1024, Keys: 100_000, Timeout: kv.DefaultTimeout,
	}
}

// Validate returns an error of KindInvalid for what is out of its range.
func (c OverloadConfig) Validate() error {
	wrong := []string{
		need(len(c.Loads) > 0 && len(c.Loads) <= 100, "%d loads are not within 1 to 100", len(c.Loads)),
		need(c.Rounds > 0 && c.Rounds <= 100, "%d rounds are not within 1 to 100", c.Rounds),
		need(c.Gets >= 0 && c.Gets <= 100, "%d of 100 gets are not possible", c.Gets),
		need(c.Timeout >= time.Millisecond && c.Timeout <= kv.MaxTimeout, "a timeout of %v is not within 1ms to %v", c.Timeout, kv.MaxTimeout),
		checkSlices(c.For, c.For), checkValues(c.Keys, c.ValueBytes),
	}
	for _, l := range c.Loads {
		wrong = append(wrong, need(l > 0 && l <= 10, "a load of %g is not within 0 to 10", l))
	}
	return firstOf("check overload", wrong...)
}

// Offered is what came of one load.
type Offered struct {
	// Load is a part of Saturation, what a closed loop of 512 callers got a moment
	// before; Rate is in operations a second.
	Load       float64 `json:"load"`
	Saturation float64 `json:"saturation"`
	Rate       float64 `json:"rate"`
	// Goodput is how many were done a second, Refused and Failed those that were
	// not, Unsent those that the load generator had no room or time for: then it is
	// the one that is overloaded.
	Goodput float64 `json:"goodput"`
	Refused float64 `json:"refused"`
	Failed  float64 `json:"failed"`
	Unsent  float64 `json:"unsent"`
	// Kinds counts those that failed by kind of error.
	Kinds map[string]uint64 `json:"kinds,omitempty"`
	// Done are the times of those that were done, since they were due; Refusal
	// those of the others that were refused.
	Done    Times `json:"done"`
	Refusal Times `json:"refusal"`
	// ServerMicros is the processor time of all nodes for each operation that was
	// done or refused.
	ServerMicros float64 `json:"server_us"`
}

// Overloaded is what Overload found.
type Overloaded struct {
	Config OverloadConfig `json:"config"`
	// With and Without are the loads with admission control and without.
	With    []Offered `json:"with"`
	Without []Offered `json:"without"`
}

// Overload offers two clusters, one after the other, the same loads, up to several
// times what saturates them. One of them refuses what it cannot serve in time.
func Overload(ctx context.Context, lab Lab, cfg OverloadConfig) (Result, error) {
	found := Overloaded{Config: cfg}
	for _, v := range []struct {
		name  string
		serve []string
		to    *[]Offered
	}{{"with", nil, &found.With}, {"without", []string{"--admission", "off"}, &found.Without}} {
		spec := Spec{Nodes: 3, Engine: cfg.Engine, Serve: v.serve, Apart: true}
		err := lab.Launch(ctx, spec, func(ctx context.Context, c *Cluster) (err error) {
			*v.to, err = c.ramp(ctx, lab, cfg, v.name)
			return err
		})
		if err != nil {
			return Result{}, err
		}
	}
	return found.result(), nil
}

const (
	// rest is how long a cluster is left alone after a load, once nothing is under
	// way; restFor bounds the wait for that.
	rest    = 2 * time.Second
	restFor = 30 * time.Second
)

// calm waits until no request is under way, and a little longer.
func (c *Cluster) calm(ctx context.Context) error {
	for began := time.Now(); ; {
		wait(ctx, rest)
		n, err := c.Sum(ctx, "ringtail_requests_in_flight")
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if n == 0 || time.Since(began) > restFor {
			return nil
		}
	}
}

// ramp offers a cluster all loads. What saturates it is looked for before each: what
// else the machine does changes it.
func (c *Cluster) ramp(ctx context.Context, lab Lab, cfg OverloadConfig, name string) ([]Offered, error) {
	load := Load{Gets: cfg.Gets, Keys: cfg.Keys, ValueBytes: cfg.ValueBytes, For: cfg.For, Slice: cfg.For, Timeout: cfg.Timeout, Callers: maxCallers}
	var out []Offered
	for _, l := range cfg.Loads {
		var all []Offered
		for range cfg.Rounds {
			if err := c.calm(ctx); err != nil {
				return nil, err
			}
			saturation, err := c.saturation(ctx, load)
			if err != nil {
				return nil, err
			}
			o, err := c.offer(ctx, load, l, saturation)
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
		out = append(out, middle(all))
		lab.say("%s", out[len(out)-1].line(name))
	}
	return out, nil
}

// saturationFor is for how long what saturates is looked for, and saturationCallers
// with how many callers: with few of them puts wait for the disk, and no processor
// is busy.
const (
	saturationFor     = 2 * time.Second
	saturationCallers = 512
)

// saturation returns how many operations a second a closed loop gets.
func (c *Cluster) saturation(ctx context.Context, load Load) (float64, error) {
	load.Rate, load.Callers, load.For, load.Slice = 0, saturationCallers, saturationFor, saturationFor
	slices, err := c.play(ctx, load)
	if err != nil {
		return 0, err
	}
	if slices[0].Done == 0 {
		return 0, fmt.Errorf("not one operation was done in %v", saturationFor)
	}
	return float64(slices[0].Done) / saturationFor.Seconds(), nil
}

// offer plays one load.
func (c *Cluster) offer(ctx context.Context, load Load, part, saturation float64) (Offered, error) {
	load.Rate = part * saturation
	before, err := c.CPU(ctx)
	if err != nil {
		return Offered{}, err
	}
	all, err := c.play(ctx, load)
	if err != nil {
		return Offered{}, err
	}
	after, err := c.CPU(ctx)
	s, seconds := all[0], load.For.Seconds()
	o := Offered{
		Load: part, Saturation: saturation, Rate: float64(s.Due) / seconds, Goodput: float64(s.Done) / seconds,
		Refused: float64(s.Refused) / seconds, Kinds: s.Kinds,
		Failed: float64(s.Failed-s.Kinds[unsent]) / seconds, Unsent: float64(s.Kinds[unsent]) / seconds,
		Done: s.Put, Refusal: s.Refusal,
		ServerMicros: float64((after - before).Microseconds()) / float64(max(s.Done+s.Refused, 1)),
	}
	if load.Gets > 50 {
		o.Done = s.Get
	}
	return o, err
}

// good is the goodput as a part of what a closed loop got.
func (o Offered) good() float64 { return o.Goodput / max(o.Saturation, 1) }

// middle returns the one with the median goodput.
func middle(all []Offered) Offered {
	slices.SortFunc(all, func(a, b Offered) int { return cmp.Compare(a.good(), b.good()) })
	return all[len(all)/2]
}

func (o Offered) line(name string) string {
	return fmt.Sprintf("%-8s %5.2f %8.0f %8.0f %7.2f %8.0f %7.0f %7.0f %8.1f %8.1f %8.1f %8.1f", name, o.Load, o.Rate, o.Goodput, o.good(), o.Refused, o.Failed, o.Unsent, o.Done.P50, o.Done.P999, o.Refusal.P99, o.ServerMicros)
}

func (f Overloaded) result() Result {
	var text strings.Builder
	fmt.Fprintf(&text, "loads and goodput are parts of what a closed loop of %d callers got a moment before\n", saturationCallers)
	fmt.Fprintf(&text, "admission load   rate/s goodput/s    part  refused  failed  unsent   p50 ms p99.9 ms refusal p99 server µs")
	good := chart.Chart{Title: "Goodput against offered load, with admission control and without", XLabel: "offered load, as a multiple of what saturates", YLabel: "done, thousands a second", MaxY: 1}
	tail := chart.Chart{Title: "99.9th percentile of what is done", XLabel: good.XLabel, YLabel: "p99.9, ms", LogY: true, MinY: 1}
	for _, k := range []struct {
		name string
		all  []Offered
	}{{"with", f.With}, {"without", f.Without}} {
		var done, slow chart.Line
		done.Name, slow.Name = k.name, k.name
		for _, o := range k.all {
			fmt.Fprintf(&text, "\n%s", o.line(k.name))
			done.Points = append(done.Points, chart.Point{X: o.Load, Y: o.Goodput / 1000})
			slow.Points = append(slow.Points, chart.Point{X: o.Load, Y: o.Done.P999})
			good.MaxY = max(good.MaxY, 1.1*o.Goodput/1000)
		}
		good.Lines, tail.Lines = append(good.Lines, done), append(tail.Lines, slow)
	}
	tail.MaxY = decade(tail.Lines)
	return Result{Name: "overload", Text: text.String(), Data: f, Charts: []chart.Chart{good, tail}}
}

// wait waits for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
