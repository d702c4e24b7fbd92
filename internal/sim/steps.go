package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// verbs are the steps that a scenario can name, after `at TIME`. Machines are
// n1, n2, …, or have the names that steps gave them; clients of steps are given
// names of their own, keys are k0, k1, ….
var verbs = map[string]func(*World, Step) error{
	"crash":   onMachine(func(m *machine) { m.crash(0) }),
	"kill":    onMachine(func(m *machine) { m.crash(len(m.disk.log)) }),
	"start":   onMachine((*machine).start),
	"wipe":    onMachine(func(m *machine) { m.wipe(); m.start() }),
	"lose":    onMachine((*machine).wipe),
	"backup":  onMachine((*machine).backUp),
	"restore": onMachine(func(m *machine) { m.restore(); m.start() }),
	"ruin":    onMachine(func(m *machine) { m.ruin(); m.start() }),
	"damage":  onMachine(func(m *machine) { m.damage(m.rng) }),
	"fill":    onMachine(func(m *machine) { m.fill() }),
	"pause":   onMachine(func(m *machine) { m.pause() }),
	"resume": onMachine(func(m *machine) {
		if m.node != nil && m.node.paused {
			m.node.resume()
			m.world.review()
		}
	}),
	"move":    moveStep,
	"enter":   onMachine((*machine).enter),
	"join":    onMachine((*machine).join),
	"leave":   onMachine((*machine).leave),
	"replace": replaceStep,
	"propose": onMachine(proposeStep),
	"name":    nameStep,
	"cut":     cutStep(true),
	"heal":    cutStep(false),
	"hold":    linkStep(func(_ *World, l *link, kinds []string) { l.hold(kinds) }),
	"pass":    linkStep(func(_ *World, l *link, _ []string) { l.holding = nil }),
	"release": linkStep(func(w *World, l *link, _ []string) { l.release(w) }),
	"sweep":   onMachine(func(m *machine) { m.askToSweep() }),
	"get":     opStep(opGet), "put": opStep(opPut), "blind": opStep(opBlind), "delete": opStep(opDelete), "wipeout": opStep(opWipeout),
}

// onMachine does something to each machine that the step names; "all" names
// them all, "owner:K:I" the I-th owner of key K, "other:K:I" the I-th node of
// its preference list after the owners, both counted from 1.
func onMachine(do func(*machine)) func(*World, Step) error {
	return func(w *World, st Step) error {
		for _, name := range st.Args {
			if name == "all" {
				for _, m := range w.machines {
					do(m)
				}
				continue
			}
			m, err := w.machine(name)
			if err != nil {
				return err
			}
			do(m)
		}
		return nil
	}
}

// machine returns the machine of that name.
func (w *World) machine(name string) (*machine, error) {
	if m := w.names[name]; m != nil {
		return m, nil
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "n")); err == nil && n >= 1 && n <= len(w.machines) {
		return w.machines[n-1], nil
	}
	role, rest, _ := strings.Cut(name, ":")
	key, number, _ := strings.Cut(rest, ":")
	k, err := w.key(key)
	if err != nil {
		return nil, fmt.Errorf("%q names no machine", name)
	}
	i, err := strconv.Atoi(number)
	p := w.ring().Preference(w.keys[k].partition, nil)
	if role == "other" {
		i += w.N
	}
	if err != nil || i < 1 || i > len(p) || role != "owner" && role != "other" {
		return nil, fmt.Errorf("%q names no machine", name)
	}
	return w.ids[p[i-1]], nil
}

// nameStep gives a machine a name, by which it goes whatever it owns later.
func nameStep(w *World, st Step) error {
	if len(st.Args) != 2 {
		return fmt.Errorf("%s takes a machine and its name", st.Verb)
	}
	m, err := w.machine(st.Args[0])
	if err != nil {
		return err
	}
	w.names[st.Args[1]] = m
	w.say(nil, "%v is %s", m, st.Args[1])
	return nil
}

// key returns the number of the key of that name.
func (w *World) key(name string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "k"))
	if err != nil || n < 0 || n >= len(w.keys) {
		return 0, fmt.Errorf("%q names no key", name)
	}
	return n, nil
}

// cutStep cuts the links between the first machine and each of the others, or
// heals them; with "one-way", only from the first. Without machines it is about
// all links.
func cutStep(cut bool) func(*World, Step) error {
	return func(w *World, st Step) error {
		var named []*machine
		oneWay := false
		for _, name := range st.Args {
			if name == "one-way" {
				oneWay = true
				continue
			}
			m, err := w.machine(name)
			if err != nil {
				return err
			}
			named = append(named, m)
		}
		if len(named) == 0 {
			named = w.machines
		}
		from := named[:1]
		if len(st.Args) == 0 {
			from = named
		}
		for _, x := range from {
			for _, y := range named {
				if x != y {
					w.cut(x, y, cut)
					w.cut(y, x, cut && !oneWay)
				}
			}
		}
		w.fault("links of %v to %v: cut %v", from, named, cut)
		w.review()
		return nil
	}
}

// opStep has a client make a request: `put alice k0 via=n1 w=1 strict=1`. The
// client goes on from what it was told last.
func opStep(kind opKind) func(*World, Step) error {
	return func(w *World, st Step) error {
		if len(st.Args) != 2 {
			return fmt.Errorf("%s takes a client and a key", st.Verb)
		}
		key, err := w.key(st.Args[1])
		if err != nil {
			return err
		}
		o := kv.Options{R: int8(w.R), W: int8(w.W), DW: kv.Unset, Timeout: time.Second}
		m := w.machines[0]
		for name, v := range st.Extra {
			if name == "via" {
				if m, err = w.machine(v); err != nil {
					return err
				}
				continue
			}
			if name == "timeout" {
				if o.Timeout, err = time.ParseDuration(v); err != nil {
					return err
				}
				continue
			}
			n, err := strconv.Atoi(v)
			if err != nil {
				return err
			}
			switch name {
			case "r":
				o.R = int8(n)
			case "w":
				o.W = int8(n)
			case "dw":
				o.DW = int8(n)
			case "strict":
				o.Strict = n != 0
			case "body":
				o.ReturnBody = n != 0
			default:
				return fmt.Errorf("%s does not take %q", st.Verb, name)
			}
		}
		if o.DW == kv.Unset {
			o.DW = o.W
		}
		if m.node == nil {
			return fmt.Errorf("%v does not run at %v", m, st.At)
		}
		w.actor(st.Args[0]).request(m.node, kind, key, o)
		return nil
	}
}

// actor returns the client of that name, which acts by steps alone.
func (w *World) actor(name string) *client {
	for _, c := range w.clients {
		if c.name == name {
			return c
		}
	}
	c := &client{world: w, name: name, rng: w.random("actor %s", name), stopped: true, sessions: make([][]session, len(w.keys))}
	w.clients = append(w.clients, c)
	return c
}
