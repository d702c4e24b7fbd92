package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// printSLA shows how the nodes kept to what was promised, and what gets saw.
func printSLA(w io.Writer, members []httpapi.MemberView) {
	lines := slaLines(members)
	lines = append(lines, versionsLine(members)...)
	lines = append(lines, stalenessLine(members)...)
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	}
}

// promised is one objective, as all nodes kept it.
type promised struct {
	bucket, text string
	requests     uint64
	nodes        int
	missed       []string
	// breaches and minutes are those since the nodes started.
	breaches, minutes uint64
}

// slaLines has a line for each objective, the cluster's first.
func slaLines(members []httpapi.MemberView) []string {
	var list []*promised
	for _, m := range members {
		if m.Stats == nil {
			continue
		}
		for _, o := range m.Stats.SLA.Objectives {
			i := slices.IndexFunc(list, func(p *promised) bool { return p.bucket == o.Bucket && p.text == o.Text })
			if i < 0 {
				i, list = len(list), append(list, &promised{bucket: o.Bucket, text: o.Text})
			}
			list[i].add(m.Name, o)
		}
	}
	slices.SortStableFunc(list, func(a, b *promised) int { return strings.Compare(a.bucket, b.bucket) })
	var lines []string
	for _, p := range list {
		lines = append(lines, p.String())
	}
	return lines
}

func (p *promised) add(node string, o metrics.Objective) {
	p.requests += o.Count
	p.nodes++
	p.breaches += o.BreachesTotal
	p.minutes += o.MinutesMissed
	if !o.Met {
		p.missed = append(p.missed, fmt.Sprintf("  %s: %d of %d, p99.9 %s ms, %s", node, o.Breaches, o.Count, millis(o.P999), because(o)))
	}
}

// because says where most of the breaches spent their time.
func because(o metrics.Objective) string {
	text := fmt.Sprintf("%d by %s", o.Stages[o.Stage], o.Stage)
	if len(o.Peers) == 0 || o.Stage != "replicas" && o.Stage != "hop" {
		return text
	}
	names := slices.SortedFunc(maps.Keys(o.Peers), func(a, b string) int {
		if o.Peers[a] != o.Peers[b] {
			return int(o.Peers[b]) - int(o.Peers[a])
		}
		return byName(a, b)
	})
	return text + ", most at " + names[0]
}

// String is the objective's line, and one for each node that missed it.
func (p *promised) String() string {
	text := "sla: " + p.text
	if p.bucket != "" {
		text += " in " + p.bucket
	}
	switch {
	case len(p.missed) > 0:
		text += fmt.Sprintf(": missed at %d of %d nodes", len(p.missed), p.nodes)
	case p.requests == 0:
		text += ": met, no requests"
	default:
		text += ": met"
	}
	if p.breaches > 0 {
		text += fmt.Sprintf("; since the start %d breaches, %d minutes missed", p.breaches, p.minutes)
	}
	return strings.Join(append([]string{text}, p.missed...), "\n")
}

// versionsLine says how many versions gets found (the paper's 6.3).
func versionsLine(members []httpapi.MemberView) []string {
	var counts []uint64
	found := uint64(0)
	for _, m := range members {
		if m.Stats == nil {
			continue
		}
		for i, n := range m.Stats.Versions {
			if i >= len(counts) {
				counts = append(counts, 0)
			}
			if counts[i] += n; i > 0 {
				found += n
			}
		}
	}
	if found == 0 {
		return nil
	}
	var parts []string
	for i, n := range counts {
		if i == 0 || n == 0 {
			continue
		}
		more := ""
		if i == len(counts)-1 {
			more = " or more"
		}
		parts = append(parts, fmt.Sprintf("%d%s: %.4g%%", i, more, 100*float64(n)/float64(found)))
	}
	return []string{fmt.Sprintf("versions seen by %d gets that found a value: %s", found, strings.Join(parts, ", "))}
}

// stalenessLine says how likely it is that an owner lacks what was acknowledged.
func stalenessLine(members []httpapi.MemberView) []string {
	var all metrics.Staleness
	for _, m := range members {
		if m.Stats == nil || m.Stats.Staleness.Owners == 0 {
			continue
		}
		s := m.Stats.Staleness
		all.Puts, all.Owners = all.Puts+s.Puts, all.Owners+s.Owners
		for i, miss := range s.Misses {
			if i >= len(all.Misses) {
				all.Misses = append(all.Misses, metrics.Miss{AfterMS: miss.AfterMS})
			}
			all.Misses[i].P += miss.P * float64(s.Owners)
		}
	}
	if all.Owners == 0 {
		return nil
	}
	var parts []string
	for _, miss := range all.Misses {
		parts = append(parts, fmt.Sprintf("%.3g%% after %g ms", 100*miss.P/float64(all.Owners), miss.AfterMS))
	}
	return []string{fmt.Sprintf("owners that lack a put, since its answer (%d puts followed): %s", all.Puts, strings.Join(parts, ", "))}
}
