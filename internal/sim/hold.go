package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// message is what a link sees of a message.
type message struct {
	wire.Type
	answer  bool
	payload []byte
}

// sweepSteps name the steps of a sweep, in their order; a request's first byte
// is its step (package antientropy).
var sweepSteps = [...]string{"low", "report", "exchange", "check", "floor"}

// kind names the message as scenarios do: a request by its type, in a sweep with
// its step.
func (m message) kind() string {
	switch {
	case m.answer:
		return "answer"
	case m.Type == wire.TypeSweep:
		return "sweep-" + sweepSteps[m.payload[0]-1]
	}
	return strings.ReplaceAll(m.String(), " ", "-")
}

// holding are the kinds of messages that a link holds back: none while it is
// nil, all when it is empty.
type holding []string

func (h holding) back(m message) bool {
	return h != nil && (len(h) == 0 || slices.Contains(h, m.kind()))
}

// holds tells whether any link holds messages back.
func (w *World) holds() bool {
	for _, row := range w.links {
		if slices.ContainsFunc(row, func(l *link) bool { return l.holding != nil }) {
			return true
		}
	}
	return false
}

// hold holds messages of these kinds back as well, all if there are none.
func (l *link) hold(kinds []string) {
	switch {
	case len(kinds) == 0:
		l.holding = holding{}
	case l.holding == nil || len(l.holding) > 0:
		l.holding = append(l.holding, kinds...)
	}
}

// kinds are those that a step can name.
func kinds() []string {
	out := []string{message{answer: true}.kind()}
	for i := range sweepSteps {
		out = append(out, message{Type: wire.TypeSweep, payload: []byte{byte(i + 1)}}.kind())
	}
	for t := range wire.Type(wire.NumTypes) {
		if t != wire.TypeSweep {
			out = append(out, message{Type: t}.kind())
		}
	}
	return out
}

// linkStep does something to the links from a machine to another, either of
// which may be "all": with kinds of messages, if the step names any.
func linkStep(do func(w *World, l *link, kinds []string)) func(*World, Step) error {
	return func(w *World, st Step) error {
		if len(st.Args) < 2 {
			return fmt.Errorf("%s takes two machines", st.Verb)
		}
		froms, err := w.oneOrAll(st.Args[0])
		if err != nil {
			return err
		}
		tos, err := w.oneOrAll(st.Args[1])
		if err != nil {
			return err
		}
		for _, k := range st.Args[2:] {
			if !slices.Contains(kinds(), k) {
				return fmt.Errorf("%s: there are no messages %q", st.Verb, k)
			}
		}
		w.fault("%s %v to %v %v", st.Verb, froms, tos, st.Args[2:])
		for _, from := range froms {
			for _, to := range tos {
				do(w, w.links[from.index][to.index], st.Args[2:])
			}
		}
		w.cause = nil
		return nil
	}
}

func (w *World) oneOrAll(name string) ([]*machine, error) {
	if name == "all" {
		return w.machines, nil
	}
	m, err := w.machine(name)
	return []*machine{m}, err
}

// release holds nothing back any more, and delivers what was, however old it is.
func (l *link) release(w *World) {
	held := l.held
	l.holding, l.held = nil, nil
	for _, deliver := range held {
		deliver()
	}
	w.cause = nil
}
