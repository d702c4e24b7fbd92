package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// show shows progress: on a terminal in place, elsewhere line by line.
type show struct {
	w        io.Writer
	terminal bool
	// lines is how many of them the last progress has taken on the terminal, last
	// the last line elsewhere.
	lines int
	last  string
}

func newShow(w io.Writer) *show { return &show{w: w, terminal: isTerminal(w)} }

// progress shows how far the change in v is.
func (s *show) progress(v httpapi.ClusterView, now time.Time) {
	if v.Transition == nil || v.Transition.Steps == 0 {
		return // it has only just begun
	}
	waits := ""
	for _, text := range waitWarnings(v.Transition) {
		waits += "\n! " + text
	}
	if !s.terminal {
		s.line(oneLine(v.Transition) + waits)
		return
	}
	var b bytes.Buffer
	printTransition(&b, v.Transition, now, true)
	s.over(strings.TrimSuffix(b.String(), "\n") + waits + "\n")
}

// line shows a line, or a few, unless they were the last ones.
func (s *show) line(text string) {
	if text == s.last {
		return
	}
	s.last = text
	if s.terminal {
		s.over(text + "\n")
		return
	}
	fmt.Fprintln(s.w, text)
}

// over writes text over what it wrote before.
func (s *show) over(text string) {
	if s.lines > 0 {
		// Up, and clear to the end of the screen.
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.lines)
	}
	s.lines = strings.Count(text, "\n")
	_, _ = io.WriteString(s.w, text)
}

// end takes what was shown away, as what came of it follows.
func (s *show) end() {
	if s.terminal {
		s.over("")
	}
}

// oneLine shows how far a change is to whoever reads lines.
func oneLine(t *httpapi.TransitionView) string {
	parts := []string{fmt.Sprintf("%d of %d steps done", t.Done, t.Steps)}
	if t.Steps > 0 {
		parts[0] += fmt.Sprintf(", %d%%", 100*t.Done/t.Steps)
	}
	for _, n := range byNode(t.Nodes) {
		if n.PartitionsLeft == 0 {
			continue
		}
		text := fmt.Sprintf("%s: %d of %d partitions, %s received, %s left", n.Node, n.Partitions-n.PartitionsLeft, n.Partitions, size(n.BytesReceived), size(n.BytesLeft))
		for _, more := range []string{rate(n.Rate), timeLeft(n)} {
			if more != "" {
				text += ", " + more
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
