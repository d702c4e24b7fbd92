package contest

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
	"github.com/ringtaildb/ringtail/bench/peers/internal/store"
)

// fake is a store in this process, beside a process that sleeps.
type fake struct {
	name  string
	dir   string
	fails error
	group *fleet.Group
	// log is of all stores of a test.
	log *[]string

	mu   sync.Mutex
	keys map[string]bool
}

func (s *fake) Name() string                { return s.name }
func (s *fake) Version() string             { return "1.0" }
func (s *fake) Group() *fleet.Group         { return s.group }
func (s *fake) Whole(context.Context) error { return nil }
func (s *fake) Close()                      {}

func (s *fake) Start(context.Context) (err error) {
	if s.group, err = fleet.NewGroup(s.dir); err != nil {
		return err
	}
	return s.group.Start("sleep", "/bin/sh", "-c", "exec sleep 1000")
}

func (s *fake) Open(_ context.Context, v store.View) (store.Session, error) {
	if v != store.Plain {
		return nil, errors.New("no such view")
	}
	*s.log = append(*s.log, s.name)
	return s, nil
}

func (s *fake) Get(_ context.Context, key string, _ ...client.Option) (client.Result, error) {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := client.Result{Context: client.Context("c")}
	if s.keys[key] {
		r.Siblings = make([]client.Sibling, 1)
	}
	return r, s.fails
}

func (s *fake) Put(_ context.Context, key string, _ client.Context, _ []byte, _ ...client.Option) (client.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[key] = true
	return client.Result{Context: client.Context("c")}, nil
}

// runner has two stores, and what they did is in the log.
func runner(t *testing.T, rounds int) (*Runner, []*fake, *[]string) {
	t.Helper()
	runtime.LockOSThread()
	var log []string
	r := &Runner{Dir: t.TempDir(), Out: io.Discard, Config: Config{
		Rounds: rounds, Callers: 4, Keys: 50, ValueBytes: 8, Distribution: bench.Uniform, Duration: 30 * time.Millisecond,
	}}
	var fakes []*fake
	for _, name := range []string{"a", "b"} {
		s := &fake{name: name, dir: t.TempDir(), log: &log, keys: map[string]bool{}}
		fakes = append(fakes, s)
		r.Stores = append(r.Stores, s)
		t.Cleanup(func() {
			if s.group != nil {
				_ = s.group.Stop()
			}
		})
	}
	return r, fakes, &log
}

func contests() []Contest {
	return []Contest{{ID: "get", Title: "Gets", Workload: bench.WorkloadC, Rows: []Row{
		{Label: "A", Store: "a", View: store.Plain, Ours: true}, {Label: "B", Store: "b", View: store.Plain},
	}}}
}

func TestRun(t *testing.T) {
	r, fakes, log := runner(t, 3)
	results, err := r.Run(t.Context(), contests())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(*log, ""); got != "ab"+"ab"+"ba"+"ab" {
		t.Errorf("the order, with the loading, was %s", got)
	}
	for _, s := range fakes {
		if len(s.keys) != 50 {
			t.Errorf("%s has %d keys", s.name, len(s.keys))
		}
	}
	rows := results[0].Rows
	if len(rows) != 2 || len(rows[0].Rounds) != 3 || len(rows[1].Rounds) != 3 || rows[0].Version != "1.0" || len(results[0].Ratios) != 1 {
		t.Fatalf("got %+v", results)
	}
	if f := rows[0].Median; f.OpsPerSec <= 0 || f.Missing != 0 || f.Failed != 0 || f.Get == (Latency{}) {
		t.Errorf("got %+v", f)
	}
}

func TestRunEndsWithWhatFails(t *testing.T) {
	r, fakes, _ := runner(t, 1)
	fakes[1].fails = errors.New("out of order")
	if _, err := r.Run(t.Context(), contests()); !errors.Is(err, errNothing) || !strings.Contains(err.Error(), "Gets: B") {
		t.Errorf("got %v", err)
	}
}

func TestRunEndsWhenItIsTold(t *testing.T) {
	r, _, _ := runner(t, 1)
	r.Duration = time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.Run(ctx, contests()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Rounds: maxRounds, Callers: 64, Keys: 100, ValueBytes: 8, Distribution: bench.Zipfian, Duration: time.Second}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"no rounds": func(c *Config) { c.Rounds = 0 }, "rounds": func(c *Config) { c.Rounds = maxRounds + 1 },
		"no callers": func(c *Config) { c.Callers = 0 }, "no time": func(c *Config) { c.Duration = 0 },
		"distribution": func(c *Config) { c.Distribution = "normal" },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
