package experiment

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// BufferingConfig is that of Buffering.
type BufferingConfig struct {
	// Engine is what the nodes store their data in.
	Engine string
	// Share is the rate as a part of what durable puts reach.
	Share float64
	// For is how long each kind of put lasts, in points of Slice each.
	For, Slice time.Duration
	ValueBytes int
	Keys       int
}

// DefaultBuffering returns a minute each, at nine tenths of the disk's limit.
func DefaultBuffering() BufferingConfig {
	return BufferingConfig{Engine: "pebble", Share: 0.9, For: time.Minute, Slice: 2 * time.Second, ValueBytes: 1024, Keys: 100_000}
}

// Validate returns an error of KindInvalid for what is out of its range.
func (c BufferingConfig) Validate() error {
	return firstOf("check buffering",
		need(c.Share > 0 && c.Share <= 2, "a share of %g is not within 0 to 2", c.Share),
		checkSlices(c.For, c.Slice), checkValues(c.Keys, c.ValueBytes),
	)
}

// Buffered is what Buffering found.
type Buffered struct {
	Config BufferingConfig `json:"config"`
	// Limit is how many durable puts a second 64 callers got, Rate what was asked
	// for of both kinds.
	Limit float64 `json:"limit"`
	Rate  float64 `json:"rate"`
	// Durable and Buffered are the puts over time, SyncsPerPut the fsyncs of all
	// nodes for each.
	Durable          []Slice `json:"durable"`
	Buffered         []Slice `json:"buffered"`
	DurableSyncsPut  float64 `json:"durable_syncs_per_put"`
	BufferedSyncsPut float64 `json:"buffered_syncs_per_put"`
}

// limitCallers and limitFor are with how many callers, and for how long, the limit
// of a cluster is looked for.
const (
	limitCallers = 64
	limitFor     = 5 * time.Second
	// maxCallers bounds the operations of an open loop that are under way.
	maxCallers = 32768
)

// Buffering plays the paper's figure 5: puts at a rate near what the disks bear,
// first each acknowledged from two disks, then from memory, dw=0 (§6.1).
func Buffering(ctx context.Context, lab Lab, cfg BufferingConfig) (Result, error) {
	found := Buffered{Config: cfg}
	load := Load{Keys: cfg.Keys, ValueBytes: cfg.ValueBytes, For: cfg.For, Slice: cfg.Slice, Timeout: kv.DefaultTimeout, Callers: maxCallers}
	spec := Spec{Nodes: 3, Engine: cfg.Engine, Apart: true}
	err := lab.Launch(ctx, spec, func(ctx context.Context, c *Cluster) error {
		rate, err := c.limit(ctx, load, 2)
		if err != nil {
			return err
		}
		found.Limit, found.Rate = rate, cfg.Share*rate
		load.Rate = found.Rate
		lab.say("durable: %.0f puts/s are the limit; %.0f for %v", rate, load.Rate, cfg.For)
		found.Durable, found.DurableSyncsPut, err = c.puts(ctx, load, 2)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	err = lab.Launch(ctx, spec, func(ctx context.Context, c *Cluster) error {
		// What came before the other kind comes before this one.
		if _, err := c.limit(ctx, load, 2); err != nil {
			return err
		}
		lab.say("buffered: %.0f puts/s for %v", load.Rate, cfg.For)
		found.Buffered, found.BufferedSyncsPut, err = c.puts(ctx, load, 0)
		return err
	})
	return found.result(), err
}

// limit returns how many puts a second a closed loop gets.
func (c *Cluster) limit(ctx context.Context, load Load, dw int) (float64, error) {
	load.Rate, load.Callers, load.For, load.Slice = 0, limitCallers, limitFor, limitFor
	slices, _, err := c.puts(ctx, load, dw)
	if err != nil {
		return 0, err
	}
	rate := float64(slices[0].Done) / limitFor.Seconds()
	if rate == 0 {
		return 0, fmt.Errorf("not one put was done in %v", limitFor)
	}
	return rate, nil
}

// puts plays a load of puts, and returns what came of it with the fsyncs for each.
func (c *Cluster) puts(ctx context.Context, load Load, dw int) ([]Slice, float64, error) {
	const syncs = "ringtail_storage_syncs_total"
	load.Options = []client.Option{client.DW(dw)}
	before, err := c.Sum(ctx, syncs)
	if err != nil {
		return nil, 0, err
	}
	slices, err := c.play(ctx, load)
	if err != nil {
		return nil, 0, err
	}
	after, err := c.Sum(ctx, syncs)
	done := uint64(1)
	for _, s := range slices {
		done += s.Done
	}
	return slices, (after - before) / float64(done), err
}

// result draws and says what was found.
func (f Buffered) result() Result {
	var text strings.Builder
	fmt.Fprintf(&text, "%.0f puts/s of %d B; the limit of durable ones is %.0f\n", f.Rate, f.Config.ValueBytes, f.Limit)
	fmt.Fprintf(&text, "             p50 ms  p99 ms  p99.9 ms  failed  fsyncs/put   (medians of %d slices)", len(f.Durable))
	c := chart.Chart{
		Title:  fmt.Sprintf("99.9th percentile of puts, durable and buffered: %.0f puts/s, %.0f %% of the disks' limit", f.Rate, 100*f.Config.Share),
		XLabel: "seconds", YLabel: "p99.9, ms", LogY: true, MinY: 1,
	}
	for _, k := range []struct {
		name   string
		slices []Slice
		syncs  float64
	}{{"durable (dw=2)", f.Durable, f.DurableSyncsPut}, {"buffered (dw=0)", f.Buffered, f.BufferedSyncsPut}} {
		t := mid(k.slices, func(s Slice) Times { return s.Put })
		fmt.Fprintf(&text, "\n%-15s %7.2f %7.2f %9.2f %7d  %.3f", k.name, t.P50, t.P99, t.P999, failures(k.slices), k.syncs)
		c.Lines = append(c.Lines, chart.Line{Name: k.name, Points: points(k.slices, func(s Slice) float64 { return s.Put.P999 })})
	}
	c.MaxY = decade(c.Lines)
	return Result{Name: "figure5", Text: text.String(), Data: f, Charts: []chart.Chart{c}}
}
