package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/bench"
)

// reportFile writes reports that tell of rates, and returns the file.
func reportFile(t *testing.T, name string, rates ...float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	var b strings.Builder
	for _, rate := range rates {
		r := bench.Report{
			Format: bench.Format, Setup: bench.Setup{Rate: rate}, OpsPerSec: rate / 2, ClusterCPU: 10,
			Kinds:    []bench.KindReport{{Kind: "read", Count: 1, Latency: bench.Latency{P999: rate / 100}}},
			Timeline: []bench.Interval{{Seconds: 1, OpsPerSec: rate / 2, Kinds: []bench.IntervalKind{{Kind: "read", Count: 1, P999: 1}}}},
		}
		if err := bench.WriteReports(&b, []bench.Report{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBenchCompare(t *testing.T) {
	old, new := reportFile(t, "old", 1000, 2000), reportFile(t, "new", 1000, 3000)
	page := filepath.Join(t.TempDir(), "page.html")
	got := ringtail(t, "", "bench", "compare", old, new, "--html", page)
	for _, want := range []string{"throughput", " 1.50\n", "warning: the set-ups differ in rate: 2000, then 3000"} {
		if got.status != exitOK || !strings.Contains(got.out, want) {
			t.Errorf("%+v, want %q", got, want)
		}
	}
	if html, err := os.ReadFile(page); err != nil || strings.Count(string(html), "new / old") != 2 {
		t.Errorf("%v, %s", err, html)
	}
	got = ringtail(t, "", "bench", "compare", old, new, "--json")
	var first struct {
		Warnings []string    `json:"warnings"`
		Figures  []ratioBody `json:"figures"`
	}
	if err := json.NewDecoder(strings.NewReader(got.out)).Decode(&first); err != nil || first.Warnings == nil || first.Figures[0] != (ratioBody{"throughput", "ops/s", 500, 500, 1}) {
		t.Errorf("%v, %+v", err, got)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"1 runs to be compared with 2": {reportFile(t, "one", 1), old},
		"no such file":                 {old, "/nothing/is/here"},
		"none of ringtail bench":       {empty, old},
	} {
		if got := ringtail(t, "", append([]string{"bench", "compare"}, args...)...); got.status == exitOK || !strings.Contains(got.err, want) {
			t.Errorf("%q: %+v, want %q", args, got, want)
		}
	}
}

func TestBenchDraw(t *testing.T) {
	a, b := reportFile(t, "a", 1000, 2000), reportFile(t, "b", 1000)
	out := filepath.Join(t.TempDir(), "out.svg")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"one=" + a, "two=" + b}, []string{">one, 1,000 ops/s<", ">one, 2,000 ops/s<", ">two<", ">p99.9<", "p99.9, ms"}},
		{[]string{"--series", "throughput", "--against", "load", "--title", "Goodput", "one=" + a, "two=" + b}, []string{">one<", ">two<", ">Goodput<"}},
		{[]string{"--kind", "read", "--log-y", "one=" + a}, []string{">p99.9 of read<"}},
	} {
		got := ringtail(t, "", append([]string{"bench", "draw", "--out", out}, c.args...)...)
		svg, err := os.ReadFile(out)
		if err != nil || got.status != exitOK {
			t.Fatalf("%q: %v, %+v", c.args, err, got)
		}
		for _, want := range c.want {
			if !strings.Contains(string(svg), want) {
				t.Errorf("%q: no %q in %s", c.args, want, svg)
			}
		}
	}
	for args, want := range map[string]string{
		"x": "LABEL=REPORT.json", "=x": "LABEL=REPORT.json", "x=": "LABEL=REPORT.json", "--series p98 x=" + a: "--series must be one of",
		"--kind none x=" + a: "no kind of operation", "--kind insert x=" + a: "nothing of the series",
	} {
		got := ringtail(t, "", append([]string{"bench", "draw", "--out", out}, strings.Fields(args)...)...)
		if got.status != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}
