package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// samples are made once: they take some seconds.
var samples []Report

// sample returns reports of a closed loop and of two open ones, with all that a
// report can have.
func sample(t *testing.T) []Report {
	t.Helper()
	for _, rate := range []float64{0, 4000, 12_000} {
		if len(samples) == 3 {
			break
		}
		synctest.Test(t, func(t *testing.T) { samples = append(samples, sampleOf(t, rate)) })
	}
	return slices.Clone(samples)
}

func sampleOf(t *testing.T, rate float64) Report {
	cfg := small(WorkloadF)
	cfg.Rate, cfg.Preload, cfg.Keys, cfg.Duration = rate, true, 50, 5*time.Second
	cfg.Delays = []time.Duration{0, time.Millisecond}
	store := &fakeStore{getTime: time.Millisecond, putTime: 2 * time.Millisecond, fail: func(n int) error {
		if n%1000 == 999 {
			return &client.Error{Op: "test", Kind: client.KindTimeout, Err: errTest}
		}
		return nil
	}}
	return runVirtually(t, cfg, store)
}

func TestReportsAreReadAgain(t *testing.T) {
	reports := sample(t)
	var b bytes.Buffer
	if err := WriteReports(&b, reports); err != nil {
		t.Fatal(err)
	}
	got, err := ReadReports(&b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reports, got); diff != "" {
		t.Errorf("written (-), read (+):\n%s", diff)
	}
}

func TestReadReportsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "there is none",
		"{}":                                 "none of ringtail bench",
		`{"format":2}`:                       "format 2",
		`{"format":1}{"format":1}{`:          "report 3",
		"null 5":                             "none of ringtail bench",
		strings.Repeat(`{"format":1}`, 1001): "more than 1000",
		`{"format":1,"versions":[` + strings.Repeat("1,", 101) + `1]}`: "versions",
		`{"format":1,"kinds":[{"kind":"read","histogram":"AAAA"}]}`:    "histogram",
	} {
		if r, err := ReadReports(strings.NewReader(text)); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %d reports, %v; want %q", text, len(r), err, want)
		}
	}
	if r, err := ReadReports(strings.NewReader(strings.Repeat(`{"format":1}`, MaxReports))); err != nil || len(r) != MaxReports {
		t.Errorf("of the most reports: %d, %v", len(r), err)
	}
}

// checkPage fails unless a page is well-formed, and needs nothing from outside.
func checkPage(t *testing.T, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if e.Name.Local == "script" || a.Name.Local == "src" || a.Name.Local == "href" {
					t.Errorf("<%s %s=%q> needs something", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if outside := regexp.MustCompile(`@import|url\(|<script|NaN|Inf|%!`).FindString(text); outside != "" {
		t.Errorf("the page has %q", outside)
	}
}

func TestHTML(t *testing.T) {
	reports := sample(t)
	for _, c := range []struct {
		reports []Report
		svgs    int
		want    []string
	}{
		{reports[:1], 8, []string{"workload f", "99.9 %", "read-modify-write", "Versions of its key", "errors: timeout", "Gets at r=1", "prefers-color-scheme: dark"}},
		{reports[1:2], 9, []string{"4,000 ops/s were due", "once begun"}},
		{reports, 4 + 2 + 8 + 9 + 9, []string{"3 runs", "All runs", "8 callers", "12,000 ops/s", "not kept up with"}},
	} {
		var b strings.Builder
		if err := WriteHTML(&b, c.reports); err != nil {
			t.Fatal(err)
		}
		checkPage(t, b.String())
		if got := strings.Count(b.String(), "<svg "); got != c.svgs {
			t.Errorf("of %d runs: %d drawings, want %d", len(c.reports), got, c.svgs)
		}
		for _, want := range c.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("of %d runs: no %q", len(c.reports), want)
			}
		}
	}
	if err := WriteHTML(io.Discard, nil); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("of no report: %v", err)
	}
	if err := WriteHTML(io.Discard, []Report{{}}); err != nil {
		t.Errorf("of an empty report: %v", err)
	}
}

// What a report says of itself is shown, and does nothing.
func TestHTMLEscapes(t *testing.T) {
	r := sample(t)[0]
	r.Cluster, r.Label = "<script>alert(1)</script>", `"><b>`
	var b strings.Builder
	if err := WriteHTML(&b, []Report{r, r}); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.String())
	if strings.Contains(b.String(), "<b>") {
		t.Error("a label is a tag")
	}
}

func TestCompare(t *testing.T) {
	reports := sample(t)
	old, new := reports[0], reports[0]
	all, err := Compare([]Report{old}, []Report{new})
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, r := range all[0].Rows {
		if r.Old > 0 && r.Ratio() != 1 {
			t.Errorf("%+v: a run is not as it is itself", r)
		}
	}
	if w := all[0].Warnings; len(w) != 2 || !strings.Contains(w[0], "operations of the new run failed") {
		t.Errorf("of equal runs: %q", w)
	}
	two := 2
	new.OpsPerSec *= 2
	new.Keys, new.R, new.Cluster, new.Interrupted, new.Errors = 77, &two, "3 nodes", true, nil
	all, err = Compare([]Report{old, old}, []Report{new, reports[2]})
	if err != nil {
		t.Fatal(err)
	}
	var text, page strings.Builder
	for _, c := range all {
		if err := c.WriteText(&text); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteComparisonHTML(&page, all); err != nil {
		t.Fatal(err)
	}
	checkPage(t, page.String())
	for _, want := range []string{
		"differ in keys: 50, then 77", "differ in r: not set, then 2", "differ in cluster: not set, then 3 nodes", "the new run was interrupted", " 2.00\n",
		"differ in rate: not set, then 12000", "not kept up with",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if _, err := Compare(reports[:1], reports); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("of one run and three: %v", err)
	}
}

func TestDraw(t *testing.T) {
	reports := sample(t)
	for i := range reports {
		reports[i].Label = []string{"closed", "open", "open"}[i]
	}
	for _, c := range []struct {
		d     Drawing
		names string
		err   string
	}{
		{d: Drawing{Series: SeriesP999, Against: AgainstTime, Kind: "read"}, names: "closed; open, 4,000 ops/s; open, 12,000 ops/s"},
		{d: Drawing{Series: SeriesThroughput, Against: AgainstTime}, names: "closed; open, 4,000 ops/s; open, 12,000 ops/s"},
		{d: Drawing{Series: SeriesThroughput, Against: AgainstLoad}, names: "closed; open"},
		{d: Drawing{Series: SeriesErrors, Against: AgainstLoad}, names: "closed; open"},
		{d: Drawing{Series: SeriesBehind, Against: AgainstLoad}, names: "open"},
		{d: Drawing{Series: SeriesMax, Against: AgainstLoad, Kind: "update"}, names: "closed; open"},
		{d: Drawing{Series: SeriesPercentiles, Against: AgainstTime, Kind: "update"}, names: "closed; open, 4,000 ops/s; open, 12,000 ops/s"},
		{d: Drawing{Series: SeriesP50, Against: AgainstLoad}, names: "closed, read; closed, update; closed, read before update; closed, read-modify-write; open, read; open, update; open, read before update; open, read-modify-write"},
		{d: Drawing{Series: "p98", Against: AgainstTime}, err: "none of"},
		{d: Drawing{Series: SeriesP50, Against: "size"}, err: "time or load"},
		{d: Drawing{Series: SeriesP50, Against: AgainstTime, Kind: "x"}, err: "no kind"},
		{d: Drawing{Series: SeriesP50, Against: AgainstTime, Kind: "insert"}, err: "nothing of"},
	} {
		drawn, err := Draw(c.d, reports)
		if c.err != "" {
			if kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%+v: %v, want %q", c.d, err, c.err)
			}
			continue
		}
		var names []string
		for _, l := range drawn.Lines {
			names = append(names, l.Name)
			if len(l.Points) == 0 {
				t.Errorf("%+v: %s has no points", c.d, l.Name)
			}
		}
		if got := strings.Join(names, "; "); err != nil || got != c.names {
			t.Errorf("%+v: %q, %v; want %q", c.d, got, err, c.names)
		}
	}
	over, err := Draw(Drawing{Series: SeriesThroughput, Against: AgainstLoad}, reports)
	if err != nil || over.Lines[1].Points[0].X != 4000 || over.Lines[1].Points[1].X != 12_000 || over.Lines[0].Points[0].X != 8 {
		t.Errorf("%+v, %v", over.Lines, err)
	}
}

// A curve goes from the least to the longest, and never down.
func TestCurve(t *testing.T) {
	r := newRecord()
	for i := range 10_000 {
		r.done(read, time.Duration(i+1)*time.Microsecond)
	}
	points, err := curve(encode(r.latencies[read]))
	if err != nil || len(points) < 4*perDecade {
		t.Fatalf("%d points, %v", len(points), err)
	}
	for i, p := range points {
		if i > 0 && (p.Y < points[i-1].Y || p.X < points[i-1].X) || p.X < 0 || p.X >= 1 {
			t.Errorf("%+v after %+v", p, points[max(i-1, 0)])
		}
		if want := max(10*p.X, 0.001); p.Y < want*0.998-0.001 || p.Y > want*1.002+0.002 {
			t.Errorf("%v ms at %v, want %v", p.Y, p.X, want)
		}
	}
}

func FuzzReadReports(f *testing.F) {
	f.Add(`{"format":1,"kinds":[{"kind":"read","count":2,"histogram":"` + encode(recorded(5, 0, 1, 2).latencies[read]) + `"}],"timeline":[{"at":1,"seconds":0}]}`)
	f.Add(`{"format":1,"staleness":{"delays":[{"gets":1}]},"open":{"due":1},"versions":[0,1]}`)
	f.Fuzz(func(t *testing.T, text string) {
		reports, err := ReadReports(strings.NewReader(text))
		if err != nil {
			return
		}
		for i, c := range []Drawing{{Series: SeriesPercentiles, Against: AgainstTime}, {Series: SeriesP99, Against: AgainstLoad}} {
			if _, err := Draw(c, reports); err != nil && kv.KindOf(err) != kv.KindInvalid {
				t.Fatalf("drawing %d: %v", i, err)
			}
		}
		if err := WriteHTML(io.Discard, reports); err != nil {
			t.Fatal(err)
		}
		if _, err := Compare(reports, reports); err != nil {
			t.Fatal(err)
		}
	})
}
