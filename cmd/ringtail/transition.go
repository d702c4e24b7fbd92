package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

const (
	// barWidth is a progress bar's, in columns.
	barWidth = 24
	// stalledAfter is how long nothing moves before a person is told.
	stalledAfter = 30 * time.Second
)

// printTransition shows how far a change of the ring is. A terminal gets bars.
func printTransition(w io.Writer, t *httpapi.TransitionView, now time.Time, bars bool) {
	head := fmt.Sprintf("changing to epoch %d", t.Epoch)
	if len(t.Changes) > 0 {
		head += " (" + inWords(t.Changes) + ")"
	}
	if !t.Since.IsZero() {
		head += " for " + age(now.Sub(t.Since))
	}
	fmt.Fprintf(w, "%s: %d of %d steps done%s\n", head, t.Done, t.Steps, inBar(t.Done, t.Steps, bars))
	if len(t.Lost) > 0 {
		fmt.Fprintf(w, "without %s and what they had\n", strings.Join(t.Lost, ", "))
	}
	nodes := slices.DeleteFunc(byNode(t.Nodes), func(n httpapi.MoveView) bool {
		return n.Partitions+n.Former == 0 && n.BytesSent+n.BytesReceived == 0
	})
	if len(nodes) == 0 {
		return
	}
	table := newTable(left("MOVES"), left("PARTITIONS"), right("LEFT"), right("RECEIVED"), right("SENT"), right("RATE"), right("TIME LEFT"))
	for _, n := range nodes {
		done := ""
		if n.Partitions > 0 {
			done = fmt.Sprintf("%d of %d%s", n.Partitions-n.PartitionsLeft, n.Partitions, inBar(n.Partitions-n.PartitionsLeft, n.Partitions, bars))
		}
		table.row(n.Node, done, leftOf(n), size(n.BytesReceived), size(n.BytesSent), rate(n.Rate), timeLeft(n))
	}
	table.print(w)
}

func byNode(nodes []httpapi.MoveView) []httpapi.MoveView {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b httpapi.MoveView) int { return byName(a.Node, b.Node) })
	return nodes
}

func leftOf(n httpapi.MoveView) string {
	if n.PartitionsLeft == 0 {
		return ""
	}
	return size(n.BytesLeft)
}

func rate(bytes uint64) string {
	if bytes == 0 {
		return ""
	}
	return size(bytes) + "/s"
}

func timeLeft(n httpapi.MoveView) string {
	if n.PartitionsLeft == 0 || n.EtaSeconds <= 0 {
		return ""
	}
	return age(time.Duration(n.EtaSeconds*float64(time.Second)) + time.Second - 1)
}

// inBar returns a part as a bar, or as a percentage, to be appended.
func inBar(part, whole int, bars bool) string {
	if whole == 0 {
		return ""
	}
	if !bars {
		return ", " + fmt.Sprintf("%d%%", 100*part/whole)
	}
	full := barWidth * part / whole
	return "  [" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// waitWarnings names those that keep a change from going on: who is down, and
// everybody once nothing moves any more.
func waitWarnings(t *httpapi.TransitionView) []string {
	if t == nil {
		return nil
	}
	var list, slow []string
	for _, w := range t.WaitsFor {
		if w.Down {
			list = append(list, fmt.Sprintf("%s, which is down, is waited for: %s", w.Node, stepsOf(w)))
		} else {
			slow = append(slow, w.Node)
		}
	}
	if idle := time.Duration(t.IdleSeconds * float64(time.Second)); idle >= stalledAfter && len(slow) > 0 {
		list = append(list, fmt.Sprintf("nothing has moved for %s; waited for: %s", age(idle), strings.Join(slow, ", ")))
	}
	return list
}

func stepsOf(w httpapi.WaitView) string {
	var parts []string
	if w.Fills > 0 {
		parts = append(parts, fmt.Sprintf("%d steps until it is filled", w.Fills))
	}
	if w.StepsBack > 0 {
		parts = append(parts, fmt.Sprintf("%d steps until it steps back", w.StepsBack))
	}
	return strings.Join(parts, ", ")
}
