package experiment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/chart"
)

// slowStore takes its time for each operation, with as many at once as may be, and
// refuses or fails every so many.
type slowStore struct {
	takes        time.Duration
	slots        chan struct{}
	n            atomic.Int64
	refuse, fail int
}

func (s *slowStore) operate() (client.Result, error) {
	s.slots <- struct{}{}
	defer func() { <-s.slots }()
	n := int(s.n.Add(1))
	switch {
	case s.refuse > 0 && n%s.refuse == 0:
		return client.Result{}, &client.Error{Op: "put", Kind: client.KindOverloaded, Err: errors.New("no room")}
	case s.fail > 0 && n%s.fail == 0:
		return client.Result{}, &client.Error{Op: "put", Kind: client.KindTimeout, Err: errors.New("too late")}
	}
	time.Sleep(s.takes)
	return client.Result{}, nil
}

// Get implements bench.Store.
func (s *slowStore) Get(context.Context, string, ...client.Option) (client.Result, error) {
	return s.operate()
}

// Put implements bench.Store.
func (s *slowStore) Put(context.Context, string, client.Context, []byte, ...client.Option) (client.Result, error) {
	return s.operate()
}

// play plays a load of 10 s in two slices in virtual time.
func play(t *testing.T, l Load, s *slowStore, slots int) (out []Slice) {
	l.Keys, l.For, l.Slice, l.Timeout = 100, 10*time.Second, 5*time.Second, 2*time.Second
	synctest.Test(t, func(t *testing.T) {
		s.slots = make(chan struct{}, slots)
		out = l.Play(t.Context(), s)
	})
	return out
}

// TestOpenLoop: operations come at the rate, whatever those before take, and a time
// counts from when it was due: a store that serves half of what is due has them
// wait, and those beyond their time are not even sent.
func TestOpenLoop(t *testing.T) {
	all := play(t, Load{Rate: 1000, Callers: 100, Gets: 50}, &slowStore{takes: 10 * time.Millisecond}, 100)
	for _, s := range all {
		if s.Due < 4999 || s.Due > 5001 || s.Done != s.Due || s.Get.P99 > 13 || s.Put.P50 < 10 {
			t.Errorf("with room: %+v", s)
		}
	}
	all = play(t, Load{Rate: 1000, Callers: 10_000}, &slowStore{takes: 10 * time.Millisecond}, 5)
	if s := all[0]; s.Put.P99 < 1900 || s.Done+s.Failed+s.Refused != s.Due {
		t.Errorf("at twice what is served: %+v", s)
	}
	all = play(t, Load{Rate: 1000, Callers: 10}, &slowStore{takes: 20 * time.Millisecond}, 10)
	if s := all[1]; s.Kinds[unsent] == 0 || s.Put.P50 < 20 || s.Done < 2000 || s.Done > 2510 {
		t.Errorf("with too few callers: %+v", s)
	}
}

// TestClosedLoop: callers make the next when the last has ended.
func TestClosedLoop(t *testing.T) {
	all := play(t, Load{Callers: 4}, &slowStore{takes: 10 * time.Millisecond}, 4)
	if s := all[0]; s.Done != 2000 || s.Put.Max > 11 {
		t.Errorf("%+v", s)
	}
}

// TestOutcomes: refusals and failures are told apart.
func TestOutcomes(t *testing.T) {
	all := play(t, Load{Rate: 100, Callers: 10}, &slowStore{takes: time.Millisecond, refuse: 2, fail: 5}, 10)
	for _, s := range all {
		if s.Refused != 250 || s.Failed != 50 || s.Kinds[string(client.KindTimeout)] != 50 || s.Done != 200 {
			t.Errorf("%+v", s)
		}
	}
}

// TestParseMetrics: what /metrics says.
func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics(strings.NewReader("# HELP a b\na 1\nb{c=\"d e\"} 2.5e+07\n\n"))
	if err != nil || len(m) != 2 || m["a"] != 1 || m[`b{c="d e"}`] != 25e6 {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := parseMetrics(strings.NewReader("a b\n")); err == nil {
		t.Error("what is no number passes")
	}
}

// TestResults: what each experiment writes can be read and seen, also if nothing
// came of it.
func TestResults(t *testing.T) {
	slices := []Slice{{At: 0, Done: 10, Put: Times{P999: 20}}, {At: 1, Done: 10, Put: Times{P999: 2000}}}
	handed := Handed{Clients: slices, Left: []float64{10, 0}}
	handed.sum(ControllerConfig{Calm: 0, For: 2 * time.Second, Slice: time.Second})
	if handed.Took != 1 || handed.During.P999 != 20 {
		t.Errorf("a hand-off of a second: %+v", handed)
	}
	dir := t.TempDir()
	for _, r := range []Result{
		Buffered{Durable: slices, Buffered: slices}.result(), Buffered{}.result(),
		Overloaded{With: []Offered{{Load: 1, Goodput: 5}}}.result(), Overloaded{}.result(),
		Controlled{With: handed}.result(), Controlled{}.result(),
	} {
		if r.Text == "" {
			t.Errorf("%s says nothing", r.Name)
		}
		if err := r.Write(dir, time.Now()); err != nil {
			t.Error(err)
		}
		for _, suffix := range []string{".json", ".svg"} {
			b, err := os.ReadFile(filepath.Join(dir, r.Name+suffix))
			if err != nil || strings.Contains(string(b), "NaN") || strings.Contains(string(b), "Inf") {
				t.Errorf("%s: %v: %s", r.Name, err, b)
			}
		}
	}
	if got := decade([]chart.Line{{Points: []chart.Point{{Y: 101}}}}); got != 1000 {
		t.Errorf("the decade above 101 is %v", got)
	}
}

// TestValidate: what is out of its range is named before a cluster is started.
func TestValidate(t *testing.T) {
	for _, c := range []interface{ Validate() error }{DefaultBuffering(), DefaultOverload(), DefaultController()} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
	for i, change := range []func(*BufferingConfig, *OverloadConfig, *ControllerConfig){
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.Share, o.Loads, c.Share = 0, nil, 2
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.For, o.For, c.For = 0, 2*maxFor, 2*maxFor
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.Slice, o.Rounds, c.Slice = 0, 0, time.Hour
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.Keys, o.Keys, c.Keys = 0, maxKeys+1, 0
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.ValueBytes, o.Gets, c.ValueBytes = -1, 101, 1<<20+1
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.Share, o.Timeout, c.Calm = 2.1, 0, c.For
		},
		func(b *BufferingConfig, o *OverloadConfig, c *ControllerConfig) {
			b.Slice, o.Loads, c.Hints = time.Microsecond, []float64{11}, 0
		},
	} {
		b, o, c := DefaultBuffering(), DefaultOverload(), DefaultController()
		change(&b, &o, &c)
		for _, v := range []interface{ Validate() error }{b, o, c} {
			if v.Validate() == nil {
				t.Errorf("change %d: %+v passes", i, v)
			}
		}
	}
}
