package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// page is what the template shows: one file that needs no other, and no script.
type page struct {
	Title    string
	Sections []section
}

type section struct {
	Heading         string
	Notes, Warnings []string
	Tables          []table
	Figures         []template.HTML
}

type table struct {
	Caption string
	// Head is the names of the columns, nil for none.
	Head []string
	Rows [][]string
}

//go:embed page.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

func (s *section) draw(c chart.Chart) {
	var b strings.Builder
	_, _ = c.WriteTo(&b)                                     // a strings.Builder takes all
	s.Figures = append(s.Figures, template.HTML(b.String())) // the chart escapes what is not its own
}

// series draws a series of reports, if they have it.
func (s *section) series(d Drawing, reports []Report) {
	if c, err := Draw(d, reports); err == nil {
		c.LogY = c.LogY || spread(c)
		s.draw(c)
	}
}

// maxSpread is how many times the least value of a picture the greatest may be
// before only decades show both.
const maxSpread = 50

func spread(c chart.Chart) bool {
	if c.YLabel == yLabels[SeriesThroughput] || c.YLabel == yLabels[SeriesErrors] || c.YLabel == yLabels[SeriesBehind] {
		return false
	}
	least, most := 0.0, 0.0
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if p.Y > 0 && (least == 0 || p.Y < least) {
				least = p.Y
			}
			most = max(most, p.Y)
		}
	}
	return most > maxSpread*least
}

// WriteHTML writes reports as one page: a table of all runs, and of each what is to
// be told of it. It needs no other file, and no script. An error is w's, or of
// KindInvalid if there is no report.
func WriteHTML(w io.Writer, reports []Report) error {
	if len(reports) == 0 {
		return invalid("there is no report to be shown")
	}
	p := page{Title: "ringtail bench: " + reports[0].Setup.Text()}
	if len(reports) > 1 {
		p.Title = fmt.Sprintf("ringtail bench: %d runs", len(reports))
		p.Sections = append(p.Sections, overview(reports))
	}
	for i := range reports {
		p.Sections = append(p.Sections, reports[i].section(len(reports) > 1))
	}
	return pageTemplate.Execute(w, p)
}

// overview compares all runs.
func overview(reports []Report) section {
	t := table{Head: []string{"run", "ops/s", "errors", "operation", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "cluster µs/op"}}
	called := names(reports)
	for i, r := range reports {
		first := []string{called[i], thousands(int64(r.OpsPerSec)), r.errorsText()}
		for _, k := range r.Kinds {
			t.Rows = append(t.Rows, append(first, k.Kind, millis(k.P50), millis(k.P99), millis(k.P999), millis(k.Max), r.cpuText()))
			first = []string{"", "", ""}
		}
	}
	s := section{Heading: "All runs", Notes: []string{reports[0].Setup.Text()}, Tables: []table{t}}
	for _, k := range kindNames {
		s.series(Drawing{Title: "Percentiles: " + k, Series: SeriesPercentiles, Against: AgainstTime, Kind: k}, reports)
	}
	if len(reports) > 2 {
		s.series(Drawing{Title: "Throughput", Series: SeriesThroughput, Against: AgainstLoad}, reports)
		s.series(Drawing{Title: "p99.9", Series: SeriesP999, Against: AgainstLoad}, reports)
	}
	return s
}

func millis(v float64) string { return fmt.Sprintf("%.3f", v) }

// section tells of one run.
func (r *Report) section(among bool) section {
	s := section{Notes: []string{r.about()}}
	if among {
		s.Heading = names([]Report{*r})[0]
		if s.Heading == "" {
			s.Heading = r.loadText()
		}
	}
	if r.Interrupted {
		s.Warnings = append(s.Warnings, "The run was interrupted.")
	}
	if r.Open != nil {
		told := strings.SplitN(r.Open.text(), "\n", 2)
		s.Notes = append(s.Notes, told[0])
		if r.Open.keptUp() {
			s.Notes = append(s.Notes, told[1:]...)
		} else {
			s.Warnings = append(s.Warnings, told[1:]...)
		}
	}
	s.Tables = append(s.Tables, r.kindTable(), r.factTable())
	if len(r.Versions) > 0 {
		s.Tables = append(s.Tables, r.versionTable())
	}
	s.draw(r.curves())
	one := []Report{*r}
	s.series(Drawing{Title: "Throughput over time", Series: SeriesThroughput, Against: AgainstTime}, one)
	for _, k := range r.Kinds {
		s.draw(r.latencies(k.Kind))
	}
	if len(r.Errors) > 0 {
		s.series(Drawing{Title: "Errors over time", Series: SeriesErrors, Against: AgainstTime}, one)
	}
	if r.Open != nil {
		s.series(Drawing{Title: "How far the load was behind", Series: SeriesBehind, Against: AgainstTime}, one)
	}
	if r.Staleness != nil {
		s.Tables = append(s.Tables, r.Staleness.table())
		s.draw(r.staleness())
	}
	return s
}

// about tells what was measured, and when.
func (r *Report) about() string {
	parts := []string{r.Setup.Text()}
	if r.Cluster != "" {
		parts = append(parts, r.Cluster)
	}
	for _, q := range []struct {
		name string
		n    *int
	}{{"r", r.R}, {"w", r.W}, {"dw", r.DW}} {
		if q.n != nil {
			parts = append(parts, fmt.Sprintf("%s=%d", q.name, *q.n))
		}
	}
	parts = append(parts, fmt.Sprintf("%.1f s", r.Seconds))
	if !r.Started.IsZero() {
		parts = append(parts, "from "+r.Started.Format("2006-01-02 15:04:05")+" UTC")
	}
	return strings.Join(parts, ", ")
}

func (r *Report) kindTable() table {
	t := table{Head: []string{"operation", "count", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "p99.99 ms", "max ms"}}
	row := func(name, count string, l Latency) {
		t.Rows = append(t.Rows, []string{name, count, millis(l.P50), millis(l.P90), millis(l.P99), millis(l.P999), millis(l.P9999), millis(l.Max)})
	}
	for _, k := range r.Kinds {
		row(k.Kind, thousands(k.Count), k.Latency)
		if k.Service != nil {
			row(k.Kind+", once begun", "", *k.Service)
		}
	}
	return t
}

func (r *Report) factTable() table {
	t := table{}
	add := func(name, value string) { t.Rows = append(t.Rows, []string{name, value}) }
	add("operations a second", thousands(int64(r.OpsPerSec)))
	if r.Open != nil {
		add("operations due a second", thousands(int64(r.Open.Offered)))
	}
	add("processor time of an operation, cluster", r.cpuText())
	add("processor time of an operation, load generator", fmt.Sprintf("%.1f µs", r.OwnCPU))
	if len(r.Errors) == 0 {
		add("errors", "none")
	}
	for _, k := range slices.Sorted(maps.Keys(r.Errors)) {
		add("errors: "+string(k), thousands(int64(r.Errors[k])))
	}
	if r.Missing > 0 {
		add("reads of keys without a value", thousands(int64(r.Missing)))
	}
	return t
}

// versionTable tells how many versions gets saw (§6.3).
func (r *Report) versionTable() table {
	t := table{Caption: "Versions of its key that a get saw", Head: []string{"versions", "gets", "share %"}}
	var total uint64
	for _, n := range r.Versions {
		total += n
	}
	for n, gets := range r.Versions {
		if gets > 0 {
			text := fmt.Sprint(n)
			if n == kv.MaxSiblings {
				text += " or more"
			}
			t.Rows = append(t.Rows, []string{text, thousands(int64(gets)), shareText(float64(gets) / float64(total))})
		}
	}
	return t
}

func (s *StalenessReport) table() table {
	t := table{Caption: "Gets at r=1 that missed a put", Head: []string{"ms after the acknowledgement", "gets", "misses", "share %", "95 % within"}}
	for _, d := range s.Delays {
		if d.Gets > 0 {
			t.Rows = append(t.Rows, []string{
				fmt.Sprintf("%g", d.DelayMillis), thousands(int64(d.Gets)), thousands(int64(d.Misses)), shareText(d.Share), shareText(d.Low) + " to " + shareText(d.High),
			})
		}
	}
	return t
}

// curves draws the percentiles of each kind, of an open loop also those of the time
// once it was begun.
func (r *Report) curves() chart.Chart {
	c := chart.Chart{Title: "Percentiles", XLabel: "share of the operations", YLabel: "ms", TailX: true}
	for _, k := range r.Kinds {
		c.Lines = append(c.Lines, curveLine(k.Kind, k.Histogram))
		if k.Service != nil {
			c.Lines = append(c.Lines, curveLine(k.Kind+", once begun", k.Service.Histogram))
		}
	}
	c.LogY = spread(c)
	return c
}

// curveLine returns a curve; one of a histogram that cannot be read has no points.
func curveLine(name, histogram string) chart.Line {
	points, _ := curve(histogram)
	return chart.Line{Name: name, Points: points}
}

// latencies draws percentiles of a kind over time.
func (r *Report) latencies(kind string) chart.Chart {
	c := chart.Chart{Title: "Latency over time: " + kind, XLabel: "seconds", YLabel: "ms"}
	for _, s := range []Series{SeriesP50, SeriesP99, SeriesP999} {
		d := Drawing{Series: s, Against: AgainstTime, Kind: kind}
		for _, l := range d.overTime([]Report{*r}) {
			l.Name = string(s)
			c.Lines = append(c.Lines, l)
		}
	}
	c.LogY = spread(c)
	return c
}

// WriteComparisonHTML writes comparisons as one page, with the curves of both runs
// over one another. The error is w's.
func WriteComparisonHTML(w io.Writer, comparisons []Comparison) error {
	p := page{Title: "ringtail bench: old and new"}
	for _, c := range comparisons {
		p.Sections = append(p.Sections, c.section())
	}
	return pageTemplate.Execute(w, p)
}

func (c *Comparison) section() section {
	t := table{Head: []string{"figure", "old", "new", "unit", "new / old"}}
	for _, r := range c.Rows {
		t.Rows = append(t.Rows, r.cells())
	}
	s := section{
		Heading: c.New.loadText(), Notes: []string{"old: " + c.Old.about(), "new: " + c.New.about()},
		Warnings: c.Warnings, Tables: []table{t},
	}
	both := []Report{c.Old, c.New}
	both[0].Label, both[1].Label = "old", "new"
	for _, k := range kindNames {
		s.series(Drawing{Title: "Percentiles: " + k, Series: SeriesPercentiles, Against: AgainstTime, Kind: k}, both)
	}
	s.series(Drawing{Title: "Throughput over time", Series: SeriesThroughput, Against: AgainstTime}, both)
	for _, k := range kindNames {
		s.series(Drawing{Title: "p99.9 over time: " + k, Series: SeriesP999, Against: AgainstTime, Kind: k}, both)
	}
	return s
}
