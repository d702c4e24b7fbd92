package experiment

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// SlowReplicaConfig is that of SlowReplica.
type SlowReplicaConfig struct {
	Engine string
	// Delay is by how much one of the three nodes is slower, and how long it pauses;
	// Every is how often it does.
	Delay, Every time.Duration
	// Rate is in operations a second, of which nine in ten are gets.
	Rate float64
	// For is how long each kind of trouble lasts in each of Rounds, in points of
	// Slice each.
	For, Slice time.Duration
	Rounds     int
	ValueBytes int
	Keys       int
}

// Validate returns an error of KindInvalid for what is out of its range.
func (c SlowReplicaConfig) Validate() error {
	return firstOf("check slow replica",
		need(c.Delay >= time.Millisecond && c.Delay <= 400*time.Millisecond, "a delay of %v is not within 1ms to 400ms", c.Delay),
		need(c.Every >= 2*c.Delay, "a pause of %v each %v is more than half of it", c.Delay, c.Every),
		need(c.Rate > 0 && c.Rate <= 1e6, "a rate of %g is not within 0 to 1,000,000", c.Rate),
		need(c.Rounds >= 1 && c.Rounds <= 100, "%d rounds are not within 1 to 100", c.Rounds),
		checkSlices(c.For, c.Slice), checkValues(c.Keys, c.ValueBytes),
	)
}

// SlowPhase is what came of one kind of trouble.
type SlowPhase struct {
	Name string `json:"name"`
	// Hedged tells that slow nodes were gone round.
	Hedged bool    `json:"hedged"`
	Slices []Slice `json:"slices"`
	// Get are the medians of the slices, Hedges what the client and the nodes sent
	// to second nodes, for each get.
	Get    Times   `json:"get"`
	Put    Times   `json:"put"`
	Hedges float64 `json:"hedges_per_get"`
}

// SlowReplicas is what SlowReplica found.
type SlowReplicas struct {
	Config SlowReplicaConfig `json:"config"`
	Phases []SlowPhase       `json:"phases"`
}

// trouble is what the slow node suffers from.
type trouble struct {
	name    string
	delayed bool
	pauses  bool
}

var troubles = []trouble{{name: "calm"}, {name: "pauses", pauses: true}, {name: "delayed", delayed: true}}

// SlowReplica has one of three nodes be slow, by a delay of all that it receives,
// or by pauses of its process, and tells what gets take: with hedges, and requests
// that go round a node that is slow, and without.
func SlowReplica(ctx context.Context, lab Lab, cfg SlowReplicaConfig) (Result, error) {
	found := SlowReplicas{Config: cfg}
	for _, hedged := range []bool{true, false} {
		for _, t := range troubles {
			name := t.name
			if !hedged {
				name += ", not gone round"
			}
			found.Phases = append(found.Phases, SlowPhase{Name: name, Hedged: hedged})
		}
	}
	for range cfg.Rounds {
		for i, hedged := range []bool{true, false} {
			for _, delayed := range []bool{false, true} {
				phases := found.Phases[i*len(troubles) : (i+1)*len(troubles)]
				if err := found.launch(ctx, lab, phases, hedged, delayed); err != nil {
					return Result{}, err
				}
			}
		}
	}
	for i := range found.Phases {
		p := &found.Phases[i]
		p.Get = mid(p.Slices, func(s Slice) Times { return s.Get })
		p.Put = mid(p.Slices, func(s Slice) Times { return s.Put })
		p.Hedges /= float64(cfg.Rounds)
	}
	return found.result(), nil
}

// launch plays on a new cluster what can be played on one.
func (f *SlowReplicas) launch(ctx context.Context, lab Lab, phases []SlowPhase, hedged, delayed bool) error {
	spec := Spec{Nodes: 3, Engine: f.Config.Engine}
	if !hedged {
		spec.Serve = append(spec.Serve, "--no-hedge", "--read-all", "1")
	}
	if delayed {
		spec.ServeLast = append(spec.ServeLast, "--delay", f.Config.Delay.String())
	}
	return lab.Launch(ctx, spec, func(ctx context.Context, c *Cluster) error {
		var opts []client.DialOption
		if !hedged {
			opts = append(opts, client.Unhedged())
		}
		cl, err := client.Dial(ctx, c.Peers(), opts...)
		if err != nil {
			return err
		}
		defer cl.Close()
		if err := c.Prepare(ctx, nil); err != nil {
			return err
		}
		if err := f.warm(ctx, cl); err != nil {
			return err
		}
		for i, t := range troubles {
			if t.delayed == delayed {
				lab.say("%s: %.0f operations/s for %v", phases[i].Name, f.Config.Rate, f.Config.For)
				if err := f.play(ctx, c, cl, t, &phases[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (f *SlowReplicas) load() Load {
	return Load{
		Rate: f.Config.Rate, Gets: 90, Keys: f.Config.Keys, ValueBytes: f.Config.ValueBytes,
		Callers: maxCallers, Timeout: kv.DefaultTimeout, For: f.Config.For, Slice: f.Config.Slice,
	}
}

// warm writes all keys, and has client and nodes learn what answers take.
func (f *SlowReplicas) warm(ctx context.Context, cl *client.Client) error {
	if err := fill(ctx, cl.Bucket(Bucket), f.Config.Keys, f.Config.ValueBytes); err != nil {
		return err
	}
	load := f.load()
	load.For, load.Slice = 3*time.Second, time.Second
	load.Play(ctx, cl.Bucket(Bucket))
	return ctx.Err()
}

// fillers is how many callers write the keys.
const fillers = 16

// fill puts each key of a load once.
func fill(ctx context.Context, b *client.Bucket, keys, bytes int) error {
	var callers sync.WaitGroup
	failed := make(chan error, fillers)
	for i := range fillers {
		callers.Go(func() {
			value := make([]byte, bytes)
			for k := i; k < keys && ctx.Err() == nil; k += fillers {
				if _, err := b.Put(ctx, loadKey(k), nil, value); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	callers.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return ctx.Err()
	}
}

// play has the last node suffer from t under load, and adds what came of it to p.
func (f *SlowReplicas) play(ctx context.Context, c *Cluster, cl *client.Client, t trouble, p *SlowPhase) error {
	const sent = `ringtail_hedges_total{event="sent"}`
	before, err := c.Sum(ctx, sent)
	if err != nil {
		return err
	}
	asked := cl.Stats().Hedged
	inner, stop := context.WithCancel(ctx)
	var pauses sync.WaitGroup
	if t.pauses {
		pauses.Go(func() { f.pause(inner, c.Nodes[len(c.Nodes)-1]) })
	}
	slices := f.load().Play(ctx, cl.Bucket(Bucket))
	stop()
	pauses.Wait()
	after, err := c.Sum(ctx, sent)
	if err != nil {
		return err
	}
	gets := 1.0
	for _, s := range slices {
		s.At = float64(len(p.Slices)) * f.Config.Slice.Seconds()
		gets += 0.9 * float64(s.Done)
		p.Slices = append(p.Slices, s)
	}
	p.Hedges += (after - before + float64(cl.Stats().Hedged-asked)) / gets
	return ctx.Err()
}

// pause stops a node's process for Delay, now and then, until ctx ends.
func (f *SlowReplicas) pause(ctx context.Context, n Node) {
	for idle(ctx, f.Config.Every-f.Config.Delay) {
		if n.Pause() != nil {
			return // it has ended, and the load tells
		}
		time.Sleep(f.Config.Delay)
		_ = n.Resume()
	}
}

// idle waits for d; false tells that ctx has ended.
func idle(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// result draws and says what was found.
func (f SlowReplicas) result() Result {
	var text strings.Builder
	fmt.Fprintf(&text, "%.0f operations/s, 90 %% gets of %d B at r=2; one of three nodes is slow by %v; medians of %d slices of %v\n",
		f.Config.Rate, f.Config.ValueBytes, f.Config.Delay, len(f.Phases[0].Slices), f.Config.Slice)
	fmt.Fprintf(&text, "%-26s p50 ms  p99 ms  p99.9 ms  of calm  failed  hedged", "gets")
	c := chart.Chart{
		Title:  fmt.Sprintf("99.9th percentile of gets while one of three nodes is slow by %v", f.Config.Delay),
		XLabel: "seconds", YLabel: "p99.9, ms", LogY: true, MinY: 0.1,
	}
	calm := max(f.Phases[0].Get.P999, 0.001)
	for _, p := range f.Phases {
		fmt.Fprintf(&text, "\n%-26s %6.2f %7.2f %9.2f %8.1f %7d %6.2f%%", p.Name, p.Get.P50, p.Get.P99, p.Get.P999,
			p.Get.P999/calm, failures(p.Slices), 100*p.Hedges)
		c.Lines = append(c.Lines, chart.Line{Name: p.Name, Points: points(p.Slices, func(s Slice) float64 { return s.Get.P999 })})
	}
	c.MaxY = decade(c.Lines)
	return Result{Name: "slow-replica", Text: text.String(), Data: f, Charts: []chart.Chart{c}}
}
