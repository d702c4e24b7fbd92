package sim

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Scenario is a workload and the faults that it meets, as a text file lists
// them: one line each, a verb and what it takes. docs/simulation.md explains
// every line.
type Scenario struct {
	Name string
	// Nodes is the number of machines; N, R and W are the cluster's, Partitions
	// is Q.
	Nodes, N, R, W, Partitions int
	// Out is how many of the machines, the last ones, are not in the cluster at
	// first.
	Out int
	// Clients make requests one after the other, with pauses of Think on
	// average.
	Clients int
	Think   time.Duration
	// Keys is the number of keys, of which the last LWW are in an lww bucket.
	Keys, LWW int
	Mix       Mix
	Options   Options
	Lives     Lives
	Links     LinkFaults
	Faults    []Fault
	// HandoffRate bounds hand-off, in bytes a second; 0 means the default.
	HandoffRate int
	// ExchangeEvery is the time between two exchanges of a pair of nodes;
	// Unnoticed has them not begin one when a peer comes back.
	ExchangeEvery time.Duration
	Unnoticed     bool
	// SweepsAsked has nodes lead sweeps only when a step asks for one.
	SweepsAsked bool
	// SlowSyncs is how many fsyncs of a million take a hundred times as long;
	// FlushEvery is how often buffered writes are made durable.
	SlowSyncs  int
	FlushEvery time.Duration
	// LateAnswers lets answers come in from a process that has ended, over a
	// connection that was lost. FloorsFirst has disks that keep floors and marks
	// in a file of their own, in which they are durable before the data that was
	// written before them.
	LateAnswers, FloorsFirst bool
	Steps                    []Step
	// Engine, which no file has, opens the engine in which nodes store what they
	// store, and from which they read it, beside the model of one. FloorsFirst
	// goes without.
	Engine OpenEngine
	// Run is how long faults and clients go on, Settle how long the cluster may
	// take to converge after that.
	Run, Settle time.Duration
}

// Mix gives each kind of request its share.
type Mix [numOpKinds]int

func (m *Mix) draw(rng *rand.Rand) opKind {
	sum := 0
	for _, n := range m {
		sum += n
	}
	at := rng.IntN(sum)
	for k, n := range m {
		if at -= n; at < 0 {
			return opKind(k)
		}
	}
	panic("sim: unreachable")
}

// Options are the shares, in percent, of requests that are strict; that draw
// their quorums; that ask for no durable write; and of puts that want a body.
type Options struct {
	Strict, Any, Buffered, Body int
	Timeout                     time.Duration
}

func (o *Options) draw(rng *rand.Rand, s *Scenario) kv.Options {
	percent := func(p int) bool { return rng.IntN(100) < p }
	out := kv.Options{R: int8(s.R), W: int8(s.W), Timeout: o.Timeout, Strict: percent(o.Strict), ReturnBody: percent(o.Body)}
	if percent(o.Any) {
		out.R, out.W = int8(1+rng.IntN(s.N)), int8(1+rng.IntN(s.N))
	}
	out.DW = out.W
	if percent(o.Buffered) {
		out.DW = 0
	}
	return out
}

// Fault is something that happens again and again: Every on average, and For a
// time between the two.
type Fault struct {
	Kind  string
	Every time.Duration
	For   [2]time.Duration
}

// Step is something that happens at a moment.
type Step struct {
	At    time.Duration
	Verb  string
	Args  []string
	Extra map[string]string
}

// Parse reads a scenario.
func Parse(name string, in io.Reader) (*Scenario, error) {
	s := &Scenario{
		Name: name, Nodes: 5, N: 3, R: 2, W: 2, Partitions: 8, Clients: 4, Think: 40 * time.Millisecond, Keys: 6,
		Mix:           Mix{opGet: 4, opPut: 4, opBlind: 1, opOld: 1, opDelete: 1},
		Options:       Options{Strict: 50, Body: 30, Timeout: time.Second},
		Links:         LinkFaults{Delay: 200 * time.Microsecond, Jitter: time.Millisecond},
		ExchangeEvery: 1500 * time.Millisecond, SlowSyncs: million / 200, FlushEvery: 500 * time.Millisecond,
		Run: 10 * time.Second, Settle: 60 * time.Second,
	}
	lines := bufio.NewScanner(in)
	for number := 1; lines.Scan(); number++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			continue
		}
		l := line{words: words[1:], values: map[string]string{}}
		l.split()
		s.line(words[0], &l)
		if l.err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, number, l.err)
		}
	}
	return s, lines.Err()
}

// line is a line of a scenario after its verb: words, then name=value pairs.
type line struct {
	words  []string
	values map[string]string
	err    error
}

func (l *line) split() {
	for i, w := range l.words {
		if name, value, ok := strings.Cut(w, "="); ok {
			l.values[name] = value
			l.words[i] = ""
		}
	}
	l.words = slices.DeleteFunc(l.words, func(w string) bool { return w == "" })
}

func (s *Scenario) line(verb string, l *line) {
	switch verb {
	case "nodes":
		s.Nodes = l.number()
		l.ints(map[string]*int{"out": &s.Out})
	case "ring":
		l.ints(map[string]*int{"n": &s.N, "r": &s.R, "w": &s.W, "partitions": &s.Partitions})
	case "clients":
		s.Clients = l.number()
		l.duration("think", &s.Think)
	case "keys":
		s.Keys = l.number()
		l.ints(map[string]*int{"lww": &s.LWW})
	case "mix":
		s.Mix = Mix{}
		for k, name := range opNames {
			l.ints(map[string]*int{name: &s.Mix[k]})
		}
	case "options":
		l.duration("timeout", &s.Options.Timeout)
		l.ints(map[string]*int{"strict": &s.Options.Strict, "any": &s.Options.Any, "buffered": &s.Options.Buffered, "body": &s.Options.Body})
	case "ttl":
		l.ints(map[string]*int{"share": &s.Lives.Share})
		l.span("for", &s.Lives.For)
	case "links":
		f := &s.Links
		for name, d := range map[string]*time.Duration{"delay": &f.Delay, "jitter": &f.Jitter, "lateby": &f.LateBy} {
			l.duration(name, d)
		}
		for name, p := range map[string]*int{"loss": &f.Loss, "double": &f.Double, "reorder": &f.Reorder, "late": &f.Late} {
			l.share(name, p)
		}
	case "handoff":
		l.ints(map[string]*int{"rate": &s.HandoffRate})
	case "exchange":
		l.duration("every", &s.ExchangeEvery)
	case "disks":
		l.share("slow", &s.SlowSyncs)
		l.duration("flush", &s.FlushEvery)
	case "sweeps":
		if s.SweepsAsked = l.word() == "asked"; !s.SweepsAsked {
			l.fail("sweeps are led as they are wanted, unless they are asked for")
		}
	case "allow":
		switch what := l.word(); what {
		case "late-answers":
			s.LateAnswers = true
		case "floors-first":
			s.FloorsFirst = true
		case "unnoticed":
			s.Unnoticed = true
		default:
			l.fail("%q is not to be allowed", what)
		}
	case "run":
		l.duration("for", &s.Run)
		l.duration("settle", &s.Settle)
	case "fault":
		s.fault(l)
	case "at":
		s.step(l)
	default:
		l.fail("unknown verb %q", verb)
	}
	for name := range l.values {
		l.fail("%s does not take %q", verb, name)
	}
}

func (s *Scenario) fault(l *line) {
	f := Fault{Kind: l.word()}
	if _, ok := faults[f.Kind]; !ok {
		l.fail("unknown fault %q", f.Kind)
	}
	l.duration("every", &f.Every)
	if f.Every <= 0 {
		l.fail("a fault takes every=")
	}
	l.span("for", &f.For)
	s.Faults = append(s.Faults, f)
}

func (s *Scenario) step(l *line) {
	st := Step{At: l.parse(l.word()), Verb: l.word(), Args: l.words, Extra: l.values}
	l.values = nil
	if _, ok := verbs[st.Verb]; !ok {
		l.fail("unknown step %q", st.Verb)
	}
	s.Steps = append(s.Steps, st)
}

func (l *line) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf(format, args...)
	}
}

func (l *line) word() string {
	if len(l.words) == 0 {
		l.fail("a word is missing")
		return ""
	}
	w := l.words[0]
	l.words = l.words[1:]
	return w
}

func (l *line) take(name string) (string, bool) {
	v, ok := l.values[name]
	delete(l.values, name)
	return v, ok
}

func (l *line) number() int {
	n, err := strconv.Atoi(l.word())
	if err != nil {
		l.fail("%v", err)
	}
	return n
}

func (l *line) ints(into map[string]*int) {
	for name, p := range into {
		if v, ok := l.take(name); ok {
			n, err := strconv.Atoi(v)
			if err != nil {
				l.fail("%s: %v", name, err)
			}
			*p = n
		}
	}
}

func (l *line) parse(v string) time.Duration {
	d, err := time.ParseDuration(v)
	if err != nil {
		l.fail("%v", err)
	}
	return d
}

func (l *line) duration(name string, p *time.Duration) {
	if v, ok := l.take(name); ok {
		*p = l.parse(v)
	}
}

// span reads two durations, or one.
func (l *line) span(name string, p *[2]time.Duration) {
	if v, ok := l.take(name); ok {
		least, most, two := strings.Cut(v, "..")
		if !two {
			most = least
		}
		*p = [2]time.Duration{l.parse(least), l.parse(most)}
	}
}

// share reads a percentage.
func (l *line) share(name string, p *int) {
	if v, ok := l.take(name); ok {
		f, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
		if err != nil || f < 0 || f > 100 {
			l.fail("%s=%q is no percentage", name, v)
		}
		*p = int(f * million / 100)
	}
}
