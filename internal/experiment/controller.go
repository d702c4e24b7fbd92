package experiment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// ControllerConfig is that of Controller.
type ControllerConfig struct {
	Engine string
	// Share is the rate of the clients' puts, as a part of what saturates.
	Share float64
	// Hints is how many objects are put while a node is away.
	Hints int
	// Calm is how long clients are served before the node comes back, For how long
	// in all, in points of Slice each.
	Calm, For, Slice time.Duration
	ValueBytes       int
	Keys             int
}

// DefaultController returns 60,000 hints and half a minute.
func DefaultController() ControllerConfig {
	return ControllerConfig{
		Engine: "pebble", Share: 0.4, Hints: 60_000, Calm: 8 * time.Second, For: 40 * time.Second, Slice: time.Second, ValueBytes: 1024, Keys: 10_000,
	}
}

// Validate returns an error of KindInvalid for what is out of its range.
func (c ControllerConfig) Validate() error {
	return firstOf("check controller",
		need(c.Share > 0 && c.Share <= 1, "a share of %g is not within 0 to 1", c.Share),
		need(c.Hints > 0 && c.Hints <= maxKeys, "%d hints are not within 1 to %d", c.Hints, maxKeys),
		need(c.Calm >= 0 && c.Calm < c.For, "%v before the node comes back are not within 0 to %v", c.Calm, c.For),
		checkSlices(c.For, c.Slice), checkValues(c.Keys, c.ValueBytes),
	)
}

// Handed is what came of one hand-off.
type Handed struct {
	Clients []Slice `json:"clients"`
	// Left are the hints that were still to be delivered at the beginning of each
	// slice.
	Left []float64 `json:"left"`
	// Before and During are medians of the slices' times before the node came back,
	// and until its hints were delivered; Took is how long that was in seconds, 0 if
	// it was not over by the end.
	Before Times   `json:"before"`
	During Times   `json:"during"`
	Took   float64 `json:"took"`
}

// Controlled is what Controller found.
type Controlled struct {
	Config ControllerConfig `json:"config"`
	// Rate is that of the clients' puts.
	Rate    float64 `json:"rate"`
	With    Handed  `json:"with"`
	Without Handed  `json:"without"`
}

// Controller plays the same hand-off twice beside the same load of clients: a node
// is away while objects are put, and comes back; once work in the background takes
// its pace from how clients fare (§6.5), and once it does not.
func Controller(ctx context.Context, lab Lab, cfg ControllerConfig) (Result, error) {
	found := Controlled{Config: cfg}
	for _, v := range []struct {
		name  string
		serve []string
		to    *Handed
	}{{"with", nil, &found.With}, {"without", []string{"--no-yield"}, &found.Without}} {
		spec := Spec{Nodes: 4, Engine: cfg.Engine, Serve: v.serve, Apart: true}
		err := lab.Launch(ctx, spec, func(ctx context.Context, c *Cluster) (err error) {
			if found.Rate == 0 {
				load := Load{Keys: cfg.Keys, ValueBytes: cfg.ValueBytes, Timeout: kv.DefaultTimeout}
				saturation, err := c.saturation(ctx, load)
				if err != nil {
					return err
				}
				found.Rate = cfg.Share * saturation
			}
			*v.to, err = c.handOff(ctx, lab, cfg, found.Rate)
			lab.say("%s the controller: %s", v.name, v.to)
			return err
		})
		if err != nil {
			return Result{}, err
		}
	}
	return found.result(), nil
}

// hintsKeys is the metric that counts hints.
const hintsKeys = "ringtail_hints_keys"

// handOff has the last node miss puts, and come back while clients put.
func (c *Cluster) handOff(ctx context.Context, lab Lab, cfg ControllerConfig, rate float64) (h Handed, err error) {
	last := c.Nodes[len(c.Nodes)-1]
	if err := last.Pause(); err != nil {
		return h, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, last.Resume())
		}
	}()
	wait(ctx, rest) // until the others know
	if err := c.fill(ctx, cfg); err != nil {
		return h, err
	}
	left, err := c.Total(ctx, hintsKeys, last)
	if err != nil {
		return h, err
	}
	lab.say("%.0f hints for %s", left, last.Name)
	var resumed error
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for began, n := time.Now(), 0; n < int(cfg.For/cfg.Slice); n++ {
			wait(ctx, time.Until(began.Add(time.Duration(n)*cfg.Slice)))
			if at := time.Duration(n) * cfg.Slice; at >= cfg.Calm && at < cfg.Calm+cfg.Slice {
				resumed = last.Resume()
			}
			if left, err := c.Total(ctx, hintsKeys, last); err == nil {
				h.Left = append(h.Left, left)
			} else {
				h.Left = append(h.Left, -1)
			}
		}
	})
	h.Clients, err = c.play(ctx, Load{
		Rate: rate, Keys: cfg.Keys, ValueBytes: cfg.ValueBytes, Callers: maxCallers, Timeout: kv.DefaultTimeout, For: cfg.For, Slice: cfg.Slice,
	})
	watcher.Wait()
	h.sum(cfg)
	return h, errors.Join(err, resumed)
}

// fillAttempts is how often one of them is tried.
const fillAttempts = 10

// fill puts objects with names of their own, once each.
func (c *Cluster) fill(ctx context.Context, cfg ControllerConfig) error {
	cl, err := client.Dial(ctx, c.Peers())
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := c.Prepare(ctx, nil); err != nil {
		return err
	}
	b, value := cl.Bucket(Bucket), make([]byte, cfg.ValueBytes)
	failed := make(chan error, limitCallers)
	var callers sync.WaitGroup
	for i := range limitCallers {
		callers.Go(func() {
			for n := i; n < cfg.Hints; n += limitCallers {
				var err error
				for range fillAttempts {
					if _, err = b.Put(ctx, fmt.Sprintf("away-%d", n), nil, value); err == nil || ctx.Err() != nil {
						break
					}
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	callers.Wait()
	close(failed)
	return <-failed
}

// sum works out what the slices say.
func (h *Handed) sum(cfg ControllerConfig) {
	first, end := int(cfg.Calm/cfg.Slice), len(h.Left)
	for i := first + 1; i < len(h.Left); i++ {
		if h.Left[i] == 0 {
			end, h.Took = i, float64(i-first)*cfg.Slice.Seconds()
			break
		}
	}
	put := func(s Slice) Times { return s.Put }
	h.Before, h.During = mid(h.Clients[:min(first, len(h.Clients))], put), mid(h.Clients[min(first, len(h.Clients)):min(end, len(h.Clients))], put)
}

// String says it in a line.
func (h Handed) String() string {
	took := "not over at the end"
	if h.Took > 0 {
		took = fmt.Sprintf("over in %.0f s", h.Took)
	}
	return fmt.Sprintf("p99.9 of puts %.1f ms before, %.1f ms during the hand-off, which was %s; p50 %.1f and %.1f ms; %d failed",
		h.Before.P999, h.During.P999, took, h.Before.P50, h.During.P50, failures(h.Clients))
}

func (f Controlled) result() Result {
	var text strings.Builder
	fmt.Fprintf(&text, "%d objects were put while one of four nodes was away; clients put %.0f/s\n", f.Config.Hints, f.Rate)
	fmt.Fprintf(&text, "with the controller:    %s\nwithout the controller: %s", f.With, f.Without)
	tail := chart.Chart{Title: fmt.Sprintf("99.9th percentile of clients' puts; a node comes back after %v", f.Config.Calm), XLabel: "seconds", YLabel: "p99.9, ms", LogY: true, MinY: 1}
	left := chart.Chart{Title: "Hints still to be delivered to it", XLabel: "seconds", YLabel: "hints"}
	for _, k := range []struct {
		name string
		h    Handed
	}{{"with the controller", f.With}, {"without", f.Without}} {
		tail.Lines = append(tail.Lines, chart.Line{Name: k.name, Points: points(k.h.Clients, func(s Slice) float64 { return s.Put.P999 })})
		line := chart.Line{Name: k.name}
		for i, n := range k.h.Left {
			if n >= 0 {
				line.Points = append(line.Points, chart.Point{X: (time.Duration(i) * f.Config.Slice).Seconds(), Y: n})
				left.MaxY = max(left.MaxY, 1.1*n)
			}
		}
		left.Lines = append(left.Lines, line)
	}
	tail.MaxY = decade(tail.Lines)
	return Result{Name: "controller", Text: text.String(), Data: f, Charts: []chart.Chart{tail, left}}
}
