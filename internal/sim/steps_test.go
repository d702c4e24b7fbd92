package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// testWorld is a world in which nothing goes on.
func testWorld(t *testing.T, scenario string) *World {
	t.Helper()
	s, err := Parse(t.Name(), strings.NewReader(scenario))
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(s, 1, &Variant{})
}

// step takes a step, as a scenario's line has it after its moment.
func (w *World) step(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	if err := verbs[words[0]](w, Step{Verb: words[0], Args: words[1:]}); err != nil {
		t.Fatal(err)
	}
}

// TestHold: a link holds back what it is told to, and delivers it when it is
// released, after what was sent later.
func TestHold(t *testing.T) {
	sent := []message{
		{Type: wire.TypeHandoff}, {Type: wire.TypeReplicaPut}, {Type: wire.TypeHandoff, answer: true},
		{Type: wire.TypeSweep, payload: []byte{4}}, {Type: wire.TypeSweep, payload: []byte{5}},
	}
	for _, test := range []struct{ hold, passed, released string }{
		{"", "handoff replica-put answer sweep-check sweep-floor", ""},
		{"hold n1 n2 handoff sweep-check", "replica-put answer sweep-floor", "handoff sweep-check"},
		{"hold all n2 answer", "handoff replica-put sweep-check sweep-floor", "answer"},
		{"hold n1 all", "", "handoff replica-put answer sweep-check sweep-floor"},
		{"hold n2 n1", "handoff replica-put answer sweep-check sweep-floor", ""},
	} {
		w := testWorld(t, "nodes 3")
		if test.hold != "" {
			w.step(t, test.hold)
		}
		var got []string
		for _, m := range sent {
			w.send(w.machines[0], w.machines[1], m, false, func() { got = append(got, m.kind()) })
		}
		w.run(w.Links.Delay + w.Links.Jitter)
		if passed := strings.Join(got, " "); passed != test.passed {
			t.Errorf("%q: %q passed, want %q", test.hold, passed, test.passed)
		}
		got = nil
		w.step(t, "release all all")
		if released := strings.Join(got, " "); released != test.released {
			t.Errorf("%q: %q was released, want %q", test.hold, released, test.released)
		}
	}
}

// TestHoldUnknown: a kind of message that there is not is an error.
func TestHoldUnknown(t *testing.T) {
	w := testWorld(t, "nodes 3")
	if err := verbs["hold"](w, Step{Verb: "hold", Args: []string{"n1", "n2", "sweep"}}); err == nil {
		t.Error("no error")
	}
}

// TestMove: two machines change places, and keep the names that they were given.
func TestMove(t *testing.T) {
	w := testWorld(t, "nodes 5\nkeys 1")
	for _, m := range w.machines {
		m.start()
	}
	(&nemesis{world: w}).start()
	w.step(t, "name owner:k0:2 A")
	w.step(t, "name other:k0:1 B")
	a, b, before := w.names["A"].id(), w.names["B"].id(), w.ring()
	w.step(t, "move A B")
	w.run(5 * time.Second)
	if e := w.settled.Epoch(); e != before.Epoch()+1 {
		t.Errorf("the epoch is %d", e)
	}
	for p := range kv.Partition(w.Partitions) {
		want := slices.Clone(before.Owners(p))
		for i, id := range want {
			switch id {
			case a:
				want[i] = b
			case b:
				want[i] = a
			}
		}
		if got := w.settled.Owners(p); !slices.Equal(got, want) {
			t.Errorf("the owners of partition %d are %v, want %v", p, got, want)
		}
	}
	if m, err := w.machine("owner:k0:2"); err != nil || m != w.names["B"] || w.names["A"].id() != a {
		t.Errorf("the second owner is %v, %v", m, err)
	}
}
