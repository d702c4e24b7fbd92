package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// play puts Bucket under a load, with a client of its own.
func (c *Cluster) play(ctx context.Context, load Load) ([]Slice, error) {
	cl, err := client.Dial(ctx, c.Peers())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	if err := c.Prepare(ctx, nil); err != nil {
		return nil, err
	}
	out := load.Play(ctx, cl.Bucket(Bucket))
	return out, ctx.Err()
}

// points are one figure of each slice, over time.
func points(all []Slice, figure func(Slice) float64) []chart.Point {
	var out []chart.Point
	for _, s := range all {
		out = append(out, chart.Point{X: s.At, Y: figure(s)})
	}
	return out
}

// mid returns the medians of the slices' times.
func mid(all []Slice, of func(Slice) Times) Times {
	return Times{
		P50:  median(all, func(s Slice) float64 { return of(s).P50 }),
		P99:  median(all, func(s Slice) float64 { return of(s).P99 }),
		P999: median(all, func(s Slice) float64 { return of(s).P999 }),
		Max:  median(all, func(s Slice) float64 { return of(s).Max }),
	}
}

func median(all []Slice, figure func(Slice) float64) float64 {
	var values []float64
	for _, s := range all {
		values = append(values, figure(s))
	}
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// failures counts the operations that failed or were refused.
func failures(all []Slice) uint64 {
	n := uint64(0)
	for _, s := range all {
		n += s.Failed + s.Refused
	}
	return n
}

// decade returns the power of ten, 10 at least, above all points of lines.
func decade(lines []chart.Line) float64 {
	top := 10.0
	for _, l := range lines {
		for _, p := range l.Points {
			top = max(top, p.Y, p.High)
		}
	}
	return math.Pow(10, math.Ceil(math.Log10(top)))
}

// Limits of what the experiments take.
const (
	maxFor    = time.Hour
	maxSlices = 10_000
	maxKeys   = 4 << 20
)

func checkSlices(whole, slice time.Duration) string {
	switch {
	case whole <= 0 || whole > maxFor:
		return fmt.Sprintf("%v is not within 0 to %v", whole, maxFor)
	case slice < time.Millisecond || slice > whole || whole/slice > maxSlices:
		return fmt.Sprintf("slices of %v of %v are not within a millisecond to all, %d at most", slice, whole, maxSlices)
	}
	return ""
}

func checkValues(keys, bytes int) string {
	switch {
	case keys < 1 || keys > maxKeys:
		return fmt.Sprintf("%d keys are not within 1 to %d", keys, maxKeys)
	case bytes < 0 || bytes > kv.MaxValue:
		return fmt.Sprintf("values of %d bytes are not within 0 to %d", bytes, kv.MaxValue)
	}
	return ""
}

// need returns what is wrong unless ok.
func need(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// firstOf returns an error of KindInvalid for the first thing that is wrong.
func firstOf(op string, wrong ...string) error {
	for _, w := range wrong {
		if w != "" {
			return kv.Errorf(kv.KindInvalid, op, "%s", w)
		}
	}
	return nil
}
