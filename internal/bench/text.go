package bench

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// WriteText writes the report for a person to read. The error is w's.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %.1f s", r.Setup.Text(), r.Seconds)
	if r.Interrupted {
		b.WriteString(" (interrupted)")
	}
	fmt.Fprintf(&b, "\n%s ops/s\n", thousands(int64(r.OpsPerSec)))
	if r.Open != nil {
		fmt.Fprintln(&b, r.Open.text())
	}
	b.WriteString("\n")
	r.writeKinds(&b)
	fmt.Fprintf(&b, "\nerrors          %s\n", r.errorsText())
	if r.Missing > 0 {
		fmt.Fprintf(&b, "missing         %s reads of keys without a value\n", thousands(int64(r.Missing)))
	}
	fmt.Fprintf(&b, "siblings        %s gets saw more than one, %d at most\n", thousands(int64(r.Conflicts)), r.MostSiblings)
	if v := r.versionsText(); v != "" {
		fmt.Fprintf(&b, "versions seen   %s\n", v)
	}
	fmt.Fprintf(&b, "processor time  of an operation: cluster %s, load generator %.1f µs\n", r.cpuText(), r.OwnCPU)
	if r.Staleness != nil {
		b.WriteString("\n")
		r.Staleness.write(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Text describes the setup in some words.
func (s Setup) Text() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	add("workload %s", s.Workload)
	switch s.Door {
	case DoorRESP:
		add("as Redis's clients")
	case DoorHTTP:
		add("over HTTP")
	}
	add("%s-driven", s.Routing)
	distribution := string(s.Distribution)
	if s.Distribution == Hotspot {
		distribution += fmt.Sprintf(" (%g %% for %s)", 100*s.HotShare, thousands(int64(s.HotKeys)))
	}
	add("%s keys %s", thousands(int64(s.Keys)), distribution)
	if s.Values != "" {
		add("values of %s B", s.Values)
	} else {
		add("values of %s B", thousands(int64(s.ValueBytes)))
	}
	add("%d callers", s.Concurrency)
	if s.Processes > 1 {
		add("%d processes", s.Processes)
	}
	if s.Rate > 0 {
		add("open loop of %s ops/s %s", thousands(int64(s.Rate)), s.Arrivals)
	}
	return strings.Join(parts, ", ")
}

// keptUp tells whether hardly an operation was left at the end: one in a hundred.
func (o *OpenReport) keptUp() bool { return o.Unbegun <= o.Due/100 }

// text tells how an open loop went.
func (o *OpenReport) text() string {
	s := fmt.Sprintf("%s ops/s were due; begun late by p50 %.3f, p99 %.3f, at most %.3f ms", thousands(int64(o.Offered)), o.Behind.P50, o.Behind.P99, o.Behind.Max)
	if o.Unbegun > 0 {
		s += fmt.Sprintf("\n%s%s operations were not begun at the end, the oldest %.0f ms after it was due, and are in no percentile",
			unless(o.keptUp(), "not kept up with: "), thousands(int64(o.Unbegun)), o.BehindAtEnd)
	}
	return s
}

func (r Report) writeKinds(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operation\tcount\tp50 ms\tp99 ms\tp99.9 ms\tp99.99 ms\tmax ms\t")
	row := func(name, count string, l Latency) {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", name, count, l.P50, l.P99, l.P999, l.P9999, l.Max)
	}
	for _, k := range r.Kinds {
		row(k.Kind, thousands(k.Count), k.Latency)
		if k.Service != nil {
			row("once begun", "", *k.Service)
		}
	}
	_ = t.Flush() // a strings.Builder takes all
}

func (r Report) cpuText() string {
	if r.ClusterCPUNote != "" {
		return "not known (" + r.ClusterCPUNote + ")"
	}
	return fmt.Sprintf("%.1f µs", r.ClusterCPU)
}

// versionsText tells which share of the gets saw one version, and so on.
func (r Report) versionsText() string {
	var total uint64
	for _, n := range r.Versions {
		total += n
	}
	var parts []string
	for n, gets := range r.Versions {
		if gets > 0 {
			parts = append(parts, fmt.Sprintf("%d: %s %%", n, shareText(float64(gets)/float64(total))))
		}
	}
	return strings.Join(parts, ", ")
}

// shareText shows a share in percent; what is not all is never shown as all.
func shareText(share float64) string {
	text := strconv.FormatFloat(100*share, 'f', 4, 64)
	switch {
	case share < 1 && strings.HasPrefix(text, "100"):
		return "above 99.9999"
	case share > 0 && share < 0.000001:
		return strconv.FormatFloat(100*share, 'g', 2, 64)
	case strings.Contains(text, "."):
		return strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func (s *StalenessReport) write(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "ms after the ack\tgets at r=1\tmisses\tshare %\t95 % within\t")
	for _, d := range s.Delays {
		if d.Gets > 0 {
			fmt.Fprintf(t, "%g\t%s\t%s\t%s\t%s to %s\t\n", d.DelayMillis, thousands(int64(d.Gets)), thousands(int64(d.Misses)), shareText(d.Share), shareText(d.Low), shareText(d.High))
		}
	}
	_ = t.Flush() // a strings.Builder takes all
	if s.Failed > 0 {
		fmt.Fprintf(b, "%s of the probers' operations failed\n", thousands(int64(s.Failed)))
	}
}

// errorsText lists the errors, the most frequent first.
func (r Report) errorsText() string {
	if len(r.Errors) == 0 {
		return "none"
	}
	kinds := slices.Sorted(maps.Keys(r.Errors))
	slices.SortStableFunc(kinds, func(x, y client.Kind) int { return cmp.Compare(r.Errors[y], r.Errors[x]) })
	var parts []string
	for _, k := range kinds {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(int64(r.Errors[k])), k))
	}
	return strings.Join(parts, ", ")
}

// thousands writes n with a comma after each thousand.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func millisText(d time.Duration) string { return fmt.Sprintf("%.2f ms", micros(d)/1000) }
