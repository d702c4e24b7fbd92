package contest

import (
	"fmt"
	"strconv"
	"strings"
)

// Report is all of a run, as it is written as JSON.
type Report struct {
	// Command made it.
	Command string      `json:"command"`
	Machine Machine     `json:"machine"`
	Load    Load        `json:"load"`
	Stores  [][2]string `json:"stores"` // name and version
	Results []Result    `json:"contests"`
}

// Load is the part of a Config that belongs to every figure.
type Load struct {
	Rounds       int     `json:"rounds"`
	Callers      int     `json:"callers"`
	Keys         int     `json:"keys"`
	ValueBytes   int     `json:"value_bytes"`
	Distribution string  `json:"distribution"`
	WarmUp       float64 `json:"warm_up_seconds"`
	Seconds      float64 `json:"seconds"`
}

// Load returns what the report says of the config.
func (c Config) Load() Load {
	return Load{
		Rounds: c.Rounds, Callers: c.Callers, Keys: c.Keys, ValueBytes: c.ValueBytes, Distribution: string(c.Distribution),
		WarmUp: c.WarmUp.Seconds(), Seconds: c.Duration.Seconds(),
	}
}

// Markdown returns the report as tables, which a terminal shows well enough.
func (r Report) Markdown() string {
	var b strings.Builder
	l, m := r.Load, r.Machine
	fmt.Fprintf(&b, "`%s`: %s, %d processors, load %.1f before and %.1f after; %s; a sync of 1 KiB takes %.2f ms (p50).\n",
		r.Command, m.Day, m.Processors, m.LoadBefore, m.LoadAfter, m.Filesystem, m.SyncMillis)
	fmt.Fprintf(&b, "%d callers, values of %s B, %s keys, %s; medians of %d rounds of %g s each.\n",
		l.Callers, thousands(float64(l.ValueBytes)), thousands(float64(l.Keys)), l.Distribution, l.Rounds, l.Seconds)
	var versions []string
	for _, s := range r.Stores {
		versions = append(versions, s[0]+" "+s[1])
	}
	fmt.Fprintf(&b, "Versions: %s.\n", strings.Join(versions, ", "))
	for _, result := range r.Results {
		result.markdown(&b)
	}
	return b.String()
}

func (r Result) markdown(b *strings.Builder) {
	gets, puts := r.kinds()
	fmt.Fprintf(b, "\n### %s\n\n", r.Title)
	head := []string{"", "acknowledged, or answered, means", "ops/s", "server µs/op", "client µs/op"}
	if gets {
		head = append(head, "get p50 / p99 / p99.9 ms")
	}
	if puts {
		head = append(head, "put p50 / p99 / p99.9 ms")
	}
	t := [][]string{head}
	for _, row := range r.Rows {
		f := row.Median
		cells := []string{row.Label + note(f), row.Acked, thousands(f.OpsPerSec), micros(f.ServerMicros), micros(f.ClientMicros)}
		if gets {
			cells = append(cells, f.Get.text())
		}
		if puts {
			cells = append(cells, f.Put.text())
		}
		t = append(t, cells)
	}
	writeTable(b, t)
	if len(r.Ratios) == 0 {
		return
	}
	b.WriteString("\n")
	t = [][]string{{"median of rounds (least–most)", "times the ops/s of", "times less server time than"}}
	for _, q := range r.Ratios {
		t = append(t, []string{q.Ours + " : " + q.Peer, q.Ops.text(), q.Server.text()})
	}
	writeTable(b, t)
}

// kinds tells whether there are gets and puts.
func (r Result) kinds() (gets, puts bool) {
	for _, row := range r.Rows {
		gets = gets || row.Median.Get != Latency{}
		puts = puts || row.Median.Put != Latency{}
	}
	return gets, puts
}

// note tells of what should not have been.
func note(f Figures) string {
	var notes []string
	if f.Failed > 0 {
		notes = append(notes, fmt.Sprintf("%.2g %% failed", 100*f.Failed))
	}
	if f.Missing > 0 {
		notes = append(notes, fmt.Sprintf("%.2g %% of gets found nothing", 100*f.Missing))
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}

// writeTable writes a table in Markdown, its columns as wide as their widest cell.
func writeTable(b *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)), 3)
		}
	}
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(b, "| %-*s ", width[j], cell)
		}
		b.WriteString("|\n")
		if i > 0 {
			continue
		}
		for j := range row {
			b.WriteString("|" + strings.Repeat("-", width[j]+2))
		}
		b.WriteString("|\n")
	}
}

func (l Latency) text() string {
	return fmt.Sprintf("%s / %s / %s", millis(l.P50), millis(l.P99), millis(l.P999))
}

func (s Spread) text() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// millis keeps two or three digits.
func millis(ms float64) string {
	if ms < 10 {
		return strconv.FormatFloat(ms, 'f', 2, 64)
	}
	return strconv.FormatFloat(ms, 'f', 0, 64)
}

func micros(us float64) string {
	if us < 100 {
		return strconv.FormatFloat(us, 'f', 1, 64)
	}
	return thousands(us)
}

// thousands writes a whole number with a comma after each thousand.
func thousands(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
