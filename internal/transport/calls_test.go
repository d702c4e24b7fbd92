package transport

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// check fails the test if an invariant of the type does not hold.
func (t *callTable) check(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	free := make(map[uint32]bool)
	for _, i := range t.mu.free {
		if free[i] {
			tb.Fatalf("slot %d is free twice", i)
		}
		free[i] = true
	}
	for i, s := range t.mu.slots {
		if s.used == free[uint32(i)] {
			tb.Fatalf("slot %d: used %v, free %v", i, s.used, free[uint32(i)])
		}
		if s.used && s.fate == nil && int64(s.deadline) < t.next.Load() {
			tb.Fatalf("slot %d ends at %v, before the next look at %v", i, s.deadline, time.Duration(t.next.Load()))
		}
	}
}

// The table against a map, under random steps.
func TestCallTableAgainstAModel(t *testing.T) {
	const seed = 4
	r := rand.New(rand.NewPCG(seed, seed))
	table, model := newCallTable(50), map[uint64]call{}
	var past []uint64
	now := time.Duration(0)
	for i := range 20000 {
		switch r.IntN(8) {
		case 0, 1, 2, 3:
			c := call{tag: uint32(i), deadline: now + time.Duration(1+r.IntN(100))}
			id, err := table.add(c)
			if full := len(model) == 50; full != (err != nil) {
				t.Fatalf("step %d: add with %d calls: %v", i, len(model), err)
			}
			if err != nil {
				wantError(t, "a full table", err, kv.KindOverloaded, kv.AppliedNo)
				break
			}
			if _, known := model[id]; known || id == 0 {
				t.Fatalf("step %d: id %#x is in use", i, id)
			}
			model[id] = c
		case 4, 5:
			for id, want := range model {
				if got, ok := table.take(id); !ok || got.tag != want.tag {
					t.Fatalf("step %d: take gave %+v, %v, want %+v", i, got, ok, want)
				}
				delete(model, id)
				past = append(past, id)
				break
			}
		case 6:
			now += time.Duration(r.IntN(30))
			for _, c := range table.expired(now, nil, nil) {
				if c.deadline > now {
					t.Fatalf("step %d: a call until %v expired at %v", i, c.deadline, now)
				}
			}
			for id, c := range model {
				if c.deadline <= now {
					delete(model, id)
					past = append(past, id)
				}
			}
		case 7:
			if len(past) > 0 {
				if c, ok := table.take(past[r.IntN(len(past))]); ok {
					t.Fatalf("step %d: an id of the past gave %+v", i, c)
				}
			}
		}
		if table.pending() != len(model) {
			t.Fatalf("step %d: %d calls pending, want %d", i, table.pending(), len(model))
		}
		table.check(t)
	}
}

// While an interim response is delivered nobody else ends the call; what would
// have ended it does so afterwards.
func TestLentCallsEndAfterwards(t *testing.T) {
	fate := errors.New("time is up")
	ends := map[string]func(*callTable) []call{
		"expired": func(t *callTable) []call { return t.expired(time.Hour, fate, nil) },
		"refuse":  func(t *callTable) []call { return t.refuse(&kv.Error{}, true, fate) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			table := newCallTable(10)
			id, err := table.add(call{tag: 3, deadline: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := table.lend(id); !ok || c.tag != 3 {
				t.Fatalf("lend gave %+v, %v", c, ok)
			}
			if ended := end(table); len(ended) != 0 {
				t.Errorf("%d calls ended while lent", len(ended))
			}
			if ended := end(table); len(ended) != 0 {
				t.Errorf("%d calls ended while lent, the second time", len(ended))
			}
			if err := table.giveBack(id); err != fate {
				t.Errorf("giveBack gave %v, want the fate", err)
			}
			if _, ok := table.take(id); ok || table.pending() != 0 {
				t.Error("the call is still there")
			}
			table.check(t)
		})
	}
}

func TestTableRefusesCallsButProbes(t *testing.T) {
	table := newCallTable(10)
	down, gone := kv.Errorf(kv.KindUnavailable, "call", "down"), kv.Errorf(kv.KindUnavailable, "call", "gone")
	try := func(what string, c call, want error) {
		t.Helper()
		if _, err := table.add(c); err != want {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	table.refuse(down, false, nil)
	var none error
	try("a call while down", call{}, down)
	try("a probe while down", call{probe: true}, none)
	table.resume()
	try("a call afterwards", call{}, none)
	table.refuse(gone, true, nil)
	table.resume()
	try("a call when gone", call{}, gone)
	try("a probe when gone", call{probe: true}, gone)
}
