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
	var list, staged, todo []string
	inRing := 0
	for _, m := range members {
		switch m.Status {
		case "none":
			todo = append(todo, m.Name+" is not staged; run: ringtail cluster join "+m.Name)
			continue
		case "awaiting replace":
			todo = append(todo, fmt.Sprintf("%s (new disk) waits; run: ringtail cluster replace %s", m.Name, m.Name))
			continue
		case "staged":
			staged = append(staged, m.Name)
		case "member", "removing":
			inRing++
		case "leaving":
			if m.Replicas > 0 {
				inRing++
			} else {
				list = append(list, leaveWarning(v, m))
				continue
			}
		}
		list = append(list, memberWarnings(m, now)...)
	}
	list = append(list, waitWarnings(v.Transition)...)
	list = append(list, sweepWarnings(v, members, now)...)
	list = append(list, releaseWarnings(members)...)
	if inRing < v.Ring.N {
		list = append(list, fmt.Sprintf("nodes in the ring: %d, fewer than n=%d; each key has only so many copies", inRing, v.Ring.N))
	}
	if len(staged) > 0 {
		list = append(list, "staged: "+strings.Join(staged, ", ")+"; run: ringtail cluster plan")
	}
	return append(list, todo...)
}

// leaveWarning says what keeps a node that has left the ring.
func leaveWarning(v httpapi.ClusterView, m httpapi.MemberView) string {
	text := m.Name + " has left the ring, and ends once it holds nothing any more"
	if m.Stats == nil {
		return fmt.Sprintf("%s; it does not answer: start it, or, if it is gone for good, run: ringtail cluster remove %v && ringtail cluster commit", text, m.ID)
	}
	text += fmt.Sprintf(": %d copies", m.Stats.Copies)
	for _, h := range v.Hints {
		if h.Node == m.Name {
			text += fmt.Sprintf(", hints for %s", h.Owner)
		}
	}
	return text
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
		if s.Damaged > 0 {
			list = append(list, fmt.Sprintf("%s: %d partitions have lost data and are being refilled from other owners", m.Name, s.Damaged))
		}
		if s.Building > 0 {
			list = append(list, fmt.Sprintf("%s: %d hash trees are being rebuilt after a crash; repair waits for them", m.Name, s.Building))
		}
	}
	return list
}

// sweepWarnings names the node that keeps what was deleted from being cleared
// away, while there is any.
func sweepWarnings(v httpapi.ClusterView, members []httpapi.MemberView, now time.Time) []string {
	if v.Sweep.StoppedBy == "" {
		return nil
	}
	for _, m := range members {
		if m.Name == v.Node && m.Stats != nil && m.Stats.Reapable > 0 {
			return []string{fmt.Sprintf("%s keeps deleted keys from being cleared away, for %s; %d wait at %s",
				v.Sweep.StoppedBy, age(now.Sub(v.Sweep.Since)), m.Stats.Reapable, m.Name)}
		}
	}
	return nil
}

func failures(node, what string, l metrics.Latency) []string {
	if l.Failed == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d of %d %s failed in the last minute", node, l.Failed, l.Count, what)}
}
