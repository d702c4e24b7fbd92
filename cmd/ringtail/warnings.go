package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// warnings returns what a person should know or do, the most urgent first.
func warnings(v httpapi.ClusterView, members []httpapi.MemberView, now time.Time) []string {
	var list, staged, announced []string
	inRing := 0
	for _, m := range members {
		switch m.Status {
		case "none":
			announced = append(announced, m.Name)
			continue
		case "staged":
			staged = append(staged, m.Name)
		default:
			inRing++
		}
		list = append(list, memberWarnings(m, now)...)
	}
	if inRing < v.Ring.N {
		list = append(list, fmt.Sprintf("nodes in the ring: %d, fewer than n=%d; each key has only so many copies", inRing, v.Ring.N))
	}
	if len(staged) > 0 {
		list = append(list, "staged: "+strings.Join(staged, ", ")+"; run: ringtail cluster plan")
	}
	for _, name := range announced {
		list = append(list, name+" is not staged; run: ringtail cluster join "+name)
	}
	return list
}

// memberWarnings returns what is amiss with one node.
func memberWarnings(m httpapi.MemberView, now time.Time) []string {
	var list []string
	switch {
	case !m.Up && m.Since.IsZero():
		list = append(list, m.Name+" is down")
	case !m.Up:
		list = append(list, fmt.Sprintf("%s is down since %s (%s)", m.Name, m.Since.Format(time.RFC3339), age(now.Sub(m.Since))))
	case m.Stats == nil:
		list = append(list, m.Name+" did not tell its figures in time")
	}
	if s := m.Stats; s != nil {
		list = append(list, failures(m.Name, "gets", s.SLA.Get)...)
		list = append(list, failures(m.Name, "puts", s.SLA.Put)...)
	}
	return list
}

func failures(node, what string, l metrics.Latency) []string {
	if l.Failed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of %d %s failed in the last minute", node, l.Failed, l.Count, what)}
}
