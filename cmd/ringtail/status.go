package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// statusCmd is ringtail status.
type statusCmd struct {
	addrFlags
	JSON bool `name:"json" help:"Print what the node answers, as JSON."`
}

// Help is shown by ringtail status --help.
func (statusCmd) Help() string {
	return `Shows each node as the one that answers sees it. SHARE is its part of all replicas, KEYS the records
that it stores, roughly: one for each key of which it has a copy. GET and PUT are the percentiles of
what it served over the last minute, in milliseconds. The lines that begin with sla say which objectives
were kept over the last minute, and where time went if not: own (waiting at the node), storage, fsync,
replicas (other owners), hop (the node to which it was passed on), refused.

Examples:

    ringtail status
    ringtail status --addr 127.0.0.1:7410,127.0.0.1:7420
    ringtail status --json`
}

// Run carries out the command.
func (c *statusCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	if c.JSON {
		var page json.RawMessage
		if err := d.get(ctx, "/cluster", &page); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s\n", page)
		return err
	}
	var view httpapi.ClusterView
	if err := d.get(ctx, "/cluster", &view); err != nil {
		return err
	}
	printStatus(s.out, view, time.Now(), isTerminal(s.out))
	return nil
}

// printStatus shows the cluster to a person, with bars on a terminal.
func printStatus(w io.Writer, v httpapi.ClusterView, now time.Time, bars bool) {
	fmt.Fprintf(w, "cluster %s, epoch %d: n=%d r=%d w=%d, %d partitions by %s\n",
		v.ClusterID, v.Ring.Epoch, v.Ring.N, v.Ring.R, v.Ring.W, v.Ring.Partitions, v.Ring.Partitioner)
	members := present(v)
	if all := releases(members); len(all) == 1 && all[0].protocol > 0 {
		fmt.Fprintf(w, "release %v\n", all[0])
	}
	fmt.Fprintf(w, "as %s sees it; gets and puts of the last minute, in ms\n\n", v.Node)
	printMembers(w, members, now)
	printSLA(w, members)
	if t := v.Transition; t != nil {
		fmt.Fprintln(w)
		printTransition(w, t, now, bars)
	}
	for i, h := range v.Hints {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "hints: %s keeps %d keys, %s, for %s, the oldest for %s\n", h.Node, h.Keys, size(h.Bytes), h.Owner, age(now.Sub(h.Oldest)))
	}
	if list := warnings(v, members, now); len(list) > 0 {
		fmt.Fprintf(w, "\n! %s\n", strings.Join(list, "\n! "))
	}
}

// present returns the members that are not gone for good, by name: n2 before
// n10.
func present(v httpapi.ClusterView) []httpapi.MemberView {
	var list []httpapi.MemberView
	for _, m := range v.Members {
		if m.Status != "removed" {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b httpapi.MemberView) int { return byName(a.Name, b.Name) })
	return list
}

// byName orders names so that numbers at their ends count as such.
func byName(a, b string) int {
	trim := func(s string) string { return strings.TrimRight(s, "0123456789") }
	if trim(a) != trim(b) {
		return strings.Compare(a, b)
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func printMembers(w io.Writer, members []httpapi.MemberView, now time.Time) {
	t := newTable(left("NODE"), left("ADDRESS"), left("ZONE"), left("STATUS"), left("STATE"), right("SHARE"),
		right("KEYS"), right("DISK"), right("GET p50"), right("p99"), right("p99.9"), right("PUT p50"), right("p99"), right("p99.9"))
	for _, m := range members {
		cells := []string{m.Name, m.HTTP, m.Zone, m.Status, state(m, now), percent(m.Share)}
		if s := m.Stats; s != nil {
			cells = append(cells, strconv.FormatUint(s.Keys, 10), size(s.DiskBytes))
			cells = append(cells, latency(s.SLA.Get)...)
			cells = append(cells, latency(s.SLA.Put)...)
		}
		t.row(cells...)
	}
	t.print(w)
}

func state(m httpapi.MemberView, now time.Time) string {
	word := "down"
	if m.Up {
		word = "up"
	}
	if m.Since.IsZero() {
		return word
	}
	return word + " " + age(now.Sub(m.Since))
}

// age returns d with the one unit that a person would use.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

// size returns bytes with three digits or so and a unit.
func size(bytes uint64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	v, units := float64(bytes)/1000, []string{"kB", "MB", "GB", "TB"}
	for len(units) > 1 && v >= 999.5 {
		v, units = v/1000, units[1:]
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, units[0])
	}
	return fmt.Sprintf("%.0f %s", v, units[0])
}

// latency returns p50, p99 and p99.9, empty when nothing was served.
func latency(l metrics.Latency) []string {
	if l.Count == 0 {
		return make([]string, 3)
	}
	return []string{millis(l.P50), millis(l.P99), millis(l.P999)}
}

// millis returns milliseconds with two digits that count.
func millis(ms float64) string {
	switch {
	case ms < 0.995:
		return fmt.Sprintf("%.2f", ms)
	case ms < 9.95:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}
