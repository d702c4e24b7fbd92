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
	door := ""
	if r.Door == DoorRESP {
		door = "as Redis's clients, "
	}
	fmt.Fprintf(&b, "workload %s, %s%s-driven, %s keys %s, values of %s B, %d callers, %.1f s",
		r.Workload, door, r.Routing, thousands(int64(r.Keys)), r.Distribution, thousands(int64(r.ValueBytes)), r.Concurrency, r.Seconds)
	if r.Interrupted {
		b.WriteString(" (interrupted)")
	}
	fmt.Fprintf(&b, "\n%s ops/s\n\n", thousands(int64(r.OpsPerSec)))
	r.writeKinds(&b)
	fmt.Fprintf(&b, "\nerrors          %s\n", r.errorsText())
	if r.Missing > 0 {
		fmt.Fprintf(&b, "missing         %s reads of keys without a value\n", thousands(int64(r.Missing)))
	}
	fmt.Fprintf(&b, "siblings        %s gets saw more than one, %d at most\n", thousands(int64(r.Conflicts)), r.MostSiblings)
	cluster := fmt.Sprintf("%.1f µs", r.ClusterCPU)
	if r.ClusterCPUNote != "" {
		cluster = "not known (" + r.ClusterCPUNote + ")"
	}
	fmt.Fprintf(&b, "processor time  of an operation: cluster %s, load generator %.1f µs\n", cluster, r.OwnCPU)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r Report) writeKinds(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "operation\tcount\tp50 ms\tp99 ms\tp99.9 ms\tmax ms\t")
	for _, k := range r.Kinds {
		fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t\n", k.Kind, thousands(k.Count), k.P50, k.P99, k.P999, k.Max)
	}
	_ = t.Flush() // a strings.Builder takes all
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
