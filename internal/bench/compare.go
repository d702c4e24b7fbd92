package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Comparison is two runs side by side.
type Comparison struct {
	Old, New Report
	// Warnings tell why the ratios may say little: the runs were not alike.
	Warnings []string
	Rows     []Ratio
}

// Ratio is one figure of both runs. Of throughput more is better, of all others
// less.
type Ratio struct {
	Figure   string
	Old, New float64
	Unit     string
}

// Ratio returns how often Old goes into New, 0 when that is not known.
func (r Ratio) Ratio() float64 {
	if r.Old == 0 {
		return 0
	}
	return r.New / r.Old
}

// Compare compares runs one by one: the first of both, the second, and so on. An
// error is of KindInvalid: there are more of one.
func Compare(old, new []Report) ([]Comparison, error) {
	if len(old) != len(new) {
		return nil, invalid("there are %d runs to be compared with %d", len(old), len(new))
	}
	var out []Comparison
	for i := range old {
		c := Comparison{Old: old[i], New: new[i]}
		c.Warnings = c.warnings()
		c.Rows = c.rows()
		out = append(out, c)
	}
	return out, nil
}

// warnings tells what was not alike.
func (c *Comparison) warnings() (out []string) {
	old, new := fields(c.Old.Setup), fields(c.New.Setup)
	for k := range new {
		if _, ok := old[k]; !ok {
			old[k] = nil
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if was, is := fieldText(old[k]), fieldText(new[k]); was != is {
			out = append(out, fmt.Sprintf("the set-ups differ in %s: %s, then %s", k, was, is))
		}
	}
	for when, r := range map[string]*Report{"old": &c.Old, "new": &c.New} {
		if r.Interrupted {
			out = append(out, "the "+when+" run was interrupted")
		}
		if r.Open != nil && !r.Open.keptUp() {
			out = append(out, "the "+when+" run was not kept up with: its percentiles leave out the worst")
		}
		if n := perSecond(r.Errors, 1); n > 0 {
			out = append(out, fmt.Sprintf("%s operations of the %s run failed", thousands(int64(n)), when))
		}
	}
	slices.Sort(out)
	return out
}

// fields returns a setup by the names of its JSON.
func fields(s Setup) map[string]any {
	var out map[string]any
	b, err := json.Marshal(s)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.UseNumber()
		err = dec.Decode(&out)
	}
	if err != nil {
		panic("bench: a setup is no JSON: " + err.Error())
	}
	return out
}

func fieldText(v any) string {
	if v == nil {
		return "not set"
	}
	return fmt.Sprint(v)
}

func (c *Comparison) rows() (out []Ratio) {
	add := func(figure string, old, new float64, unit string) {
		out = append(out, Ratio{figure, old, new, unit})
	}
	add("throughput", c.Old.OpsPerSec, c.New.OpsPerSec, "ops/s")
	for _, name := range kindNames {
		old, new := c.Old.kind(name), c.New.kind(name)
		if old == nil || new == nil {
			continue
		}
		for _, f := range []struct {
			text     string
			old, new float64
		}{
			{"p50", old.P50, new.P50}, {"p90", old.P90, new.P90}, {"p99", old.P99, new.P99}, {"p99.9", old.P999, new.P999},
			{"p99.99", old.P9999, new.P9999}, {"max", old.Max, new.Max},
		} {
			add(name+" "+f.text, f.old, f.new, "ms")
		}
	}
	if c.Old.ClusterCPUNote == "" && c.New.ClusterCPUNote == "" {
		add("processor time, cluster", c.Old.ClusterCPU, c.New.ClusterCPU, "µs/op")
	}
	add("processor time, load generator", c.Old.OwnCPU, c.New.OwnCPU, "µs/op")
	return out
}

// WriteText writes the comparison for a person to read. The error is w's.
func (c Comparison) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", c.New.Setup.Text())
	for _, warning := range c.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	b.WriteByte('\n')
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\told\tnew\tunit\tnew / old\t")
	for _, r := range c.Rows {
		fmt.Fprintln(t, strings.Join(r.cells(), "\t")+"\t")
	}
	_ = t.Flush() // a strings.Builder takes all
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Ratio) cells() []string {
	number := func(v float64) string {
		if r.Unit == "ops/s" {
			return thousands(int64(v))
		}
		return fmt.Sprintf("%.3f", v)
	}
	ratio := "-"
	if r.Old > 0 {
		ratio = fmt.Sprintf("%.2f", r.Ratio())
	}
	return []string{r.Figure, number(r.Old), number(r.New), r.Unit, ratio}
}
