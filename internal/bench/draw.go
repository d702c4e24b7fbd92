package bench

import (
	"fmt"
	"math"
	"slices"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/internal/chart"
)

// Series is what is drawn of reports.
type Series string

const (
	// SeriesPercentiles is the whole distribution: how long each share of the
	// operations took at most.
	SeriesPercentiles Series = "percentiles"
	// SeriesThroughput and SeriesErrors are in operations a second.
	SeriesThroughput Series = "throughput"
	SeriesErrors     Series = "errors"
	// SeriesP50 to SeriesMax are in milliseconds.
	SeriesP50  Series = "p50"
	SeriesP99  Series = "p99"
	SeriesP999 Series = "p99.9"
	SeriesMax  Series = "max"
	// SeriesBehind is how far an open loop was behind, in milliseconds.
	SeriesBehind Series = "behind"
)

// Against is what a series is drawn against; percentiles stand for themselves.
type Against string

const (
	// AgainstTime has a line for each run, over the seconds of the measurement.
	AgainstTime Against = "time"
	// AgainstLoad has a line for each label, with a point for each of its runs: over
	// the rate that was due, or the callers of closed loops.
	AgainstLoad Against = "load"
)

// Drawing says what to draw.
type Drawing struct {
	Title   string
	Series  Series
	Against Against
	// Kind is the kind of operation, "" for all of them, each with its own line. It
	// has no meaning for series that count operations of all kinds.
	Kind string
	// LogY has the y axis in decades.
	LogY bool
}

// ofAll tells whether the series knows no kinds of operations.
func (s Series) ofAll() bool {
	return s == SeriesThroughput || s == SeriesErrors || s == SeriesBehind
}

var yLabels = map[Series]string{
	SeriesPercentiles: "ms", SeriesThroughput: "operations a second", SeriesErrors: "errors a second", SeriesP50: "p50, ms",
	SeriesP99: "p99, ms", SeriesP999: "p99.9, ms", SeriesMax: "longest, ms", SeriesBehind: "furthest behind, ms",
}

// Draw draws reports over one another. Reports of one label are runs that belong
// together. An error is of KindInvalid.
func Draw(d Drawing, reports []Report) (chart.Chart, error) {
	c := chart.Chart{Title: d.Title, LogY: d.LogY, YLabel: yLabels[d.Series]}
	switch {
	case c.YLabel == "":
		return c, invalid("series %q is none of percentiles, throughput, errors, p50, p99, p99.9, max, behind", d.Series)
	case d.Against != AgainstTime && d.Against != AgainstLoad:
		return c, invalid("a series is drawn against time or load, not %q", d.Against)
	case d.Kind != "" && !slices.Contains(kindNames[:], d.Kind):
		return c, invalid("%q is no kind of operation", d.Kind)
	}
	var err error
	switch {
	case d.Series == SeriesPercentiles:
		c.XLabel, c.TailX = "share of the operations", true
		c.Lines, err = d.curves(reports)
	case d.Against == AgainstTime:
		c.XLabel = "seconds"
		c.Lines = d.overTime(reports)
	default:
		c.XLabel = loadLabel(reports)
		c.Lines = d.overLoad(reports)
	}
	if err == nil && len(c.Lines) == 0 {
		err = invalid("the reports have nothing of the series %s", d.Series)
	}
	return c, err
}

// kinds returns the kinds to be drawn of reports, in their usual order.
func (d Drawing) kinds(reports []Report) (out []string) {
	if d.Series.ofAll() {
		return []string{""}
	}
	for _, name := range kindNames {
		if (d.Kind == "" || d.Kind == name) && slices.ContainsFunc(reports, func(r Report) bool { return r.kind(name) != nil }) {
			out = append(out, name)
		}
	}
	return out
}

// name returns a line's: the parts that are needed to tell it from others.
func name(parts ...string) string {
	s := ""
	for _, p := range parts {
		switch {
		case s == "":
			s = p
		case p != "":
			s += ", " + p
		}
	}
	return s
}

// names returns what each report is called: its label, and its load where others
// have that label too.
func names(reports []Report) []string {
	count := map[string]int{}
	for _, r := range reports {
		count[r.Label]++
	}
	out := make([]string, len(reports))
	for i, r := range reports {
		if out[i] = r.Label; count[r.Label] > 1 {
			out[i] = name(r.Label, r.loadText())
		}
	}
	return out
}

// loadText tells how great the load was.
func (s Setup) loadText() string {
	if s.Rate > 0 {
		return thousands(int64(s.Rate)) + " ops/s"
	}
	return fmt.Sprintf("%d callers", s.Concurrency)
}

// load returns how great it was.
func (s Setup) load() float64 {
	if s.Rate > 0 {
		return s.Rate
	}
	return float64(s.Concurrency)
}

func loadLabel(reports []Report) string {
	if slices.ContainsFunc(reports, func(r Report) bool { return r.Rate > 0 }) {
		return "operations due a second"
	}
	return "callers"
}

func (d Drawing) curves(reports []Report) (lines []chart.Line, err error) {
	kinds, called := d.kinds(reports), names(reports)
	for i, r := range reports {
		for _, k := range kinds {
			kr := r.kind(k)
			if kr == nil {
				continue
			}
			points, err := curve(kr.Histogram)
			if err != nil {
				return nil, err
			}
			lines = append(lines, chart.Line{Name: name(called[i], unless(len(kinds) == 1 && called[i] != "", k)), Points: points})
		}
	}
	return lines, nil
}

func unless(yes bool, s string) string {
	if yes {
		return ""
	}
	return s
}

// perDecade is how many points a curve has for each tenth of the rest.
const perDecade = 20

// curve returns how long each share of the operations took at most.
func curve(histogram string) (points []chart.Point, err error) {
	h, err := decode(histogram, longest)
	if err != nil || h == nil {
		return nil, err
	}
	most := math.Log10(float64(h.TotalCount()))
	for at := 0.0; at < most; at += 1.0 / perDecade {
		points = append(points, pointAt(h, 1-math.Pow(10, -at)))
	}
	return append(points, pointAt(h, 1-1/float64(h.TotalCount()))), nil
}

func pointAt(h *hdrhistogram.Histogram, share float64) chart.Point {
	return chart.Point{X: share, Y: millisAt(h, 100*share)}
}

func (d Drawing) overTime(reports []Report) (lines []chart.Line) {
	kinds, called := d.kinds(reports), names(reports)
	for i, r := range reports {
		for _, k := range kinds {
			l := chart.Line{Name: name(called[i], unless(len(kinds) == 1 && called[i] != "", k))}
			for _, step := range r.Timeline {
				if y, ok := step.value(d.Series, k); ok {
					l.Points = append(l.Points, chart.Point{X: step.At + step.Seconds/2, Y: y})
				}
			}
			if len(l.Points) > 0 {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// value returns a figure of a step, if it has one.
func (i *Interval) value(s Series, kind string) (float64, bool) {
	switch s {
	case SeriesThroughput:
		return i.OpsPerSec, true
	case SeriesBehind:
		return i.Behind, true
	case SeriesErrors:
		return perSecond(i.Errors, i.Seconds), true
	}
	for _, k := range i.Kinds {
		if k.Kind == kind {
			l := Latency{P50: k.P50, P99: k.P99, P999: k.P999, Max: k.Max}
			return l.value(s), true
		}
	}
	return 0, false
}

func perSecond[K comparable](counts map[K]uint64, seconds float64) float64 {
	var all uint64
	for _, n := range counts {
		all += n
	}
	if seconds <= 0 {
		return 0
	}
	return float64(all) / seconds
}

func (l *Latency) value(s Series) float64 {
	switch s {
	case SeriesP50:
		return l.P50
	case SeriesP99:
		return l.P99
	case SeriesP999:
		return l.P999
	}
	return l.Max
}

func (d Drawing) overLoad(reports []Report) (lines []chart.Line) {
	var labels []string
	for _, r := range reports {
		if !slices.Contains(labels, r.Label) {
			labels = append(labels, r.Label)
		}
	}
	kinds := d.kinds(reports)
	for _, label := range labels {
		for _, k := range kinds {
			l := chart.Line{Name: name(label, unless(len(kinds) == 1 && label != "", k))}
			for _, r := range reports {
				if y, ok := r.value(d.Series, k); ok && r.Label == label {
					l.Points = append(l.Points, chart.Point{X: r.load(), Y: y})
				}
			}
			slices.SortStableFunc(l.Points, func(a, b chart.Point) int { return int(math.Copysign(1, a.X-b.X)) })
			if len(l.Points) > 0 {
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// value returns a figure of a run, if it has one.
func (r *Report) value(s Series, kind string) (float64, bool) {
	switch s {
	case SeriesThroughput:
		return r.OpsPerSec, true
	case SeriesErrors:
		return perSecond(r.Errors, r.Seconds), true
	case SeriesBehind:
		if r.Open == nil {
			return 0, false
		}
		return r.Open.Behind.Max, true
	}
	if k := r.kind(kind); k != nil {
		return k.value(s), true
	}
	return 0, false
}

// staleness draws what was found of stale gets.
func (r *Report) staleness() chart.Chart {
	c := chart.Chart{Title: "Gets at r=1 that missed an acknowledged put", XLabel: "ms after the acknowledgement (the leftmost: at once)", YLabel: "share, % (bars: 95 % within)", LogX: true}
	l := chart.Line{Name: "misses"}
	least := 1.0
	for _, d := range r.Staleness.Delays {
		if d.DelayMillis > 0 {
			least = d.DelayMillis
			break
		}
	}
	for _, d := range r.Staleness.Delays {
		if d.Gets > 0 {
			l.Points = append(l.Points, chart.Point{X: max(d.DelayMillis, least/10), Y: 100 * d.Share, Low: 100 * d.Low, High: 100 * d.High})
		}
	}
	c.Lines = []chart.Line{l}
	return c
}
