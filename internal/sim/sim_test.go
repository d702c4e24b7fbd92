package sim

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

var (
	seeds = flag.Int("seeds", defaultSeeds, "worlds to play, dealt out among the scenarios")
	only  = flag.Int64("seed", -1, "the one seed to play, with its trace")
	real  = flag.String("engine", "", "a real storage engine in which nodes store: logstore or pebble")
	watch = flag.Int("write", 0, "the write of that key whose copies the trace follows")
	about = flag.String("key", "", "the key that the trace is about, all if empty")
)

// TestMain trades memory for time: a world's garbage is short-lived.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// load reads the scenarios of testdata.
func load(t testing.TB) []*Scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/*.scenario")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	var out []*Scenario
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(strings.TrimSuffix(filepath.Base(f), ".scenario"), bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// TestSim plays every scenario with its share of the seeds. A failure names the
// command that plays it alone, with its trace.
func TestSim(t *testing.T) {
	scenarios := load(t)
	onEngine(t, scenarios, *real)
	random := 0
	for _, s := range scenarios {
		if s.random() {
			random++
		}
	}
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			if *only >= 0 {
				playOnce(t, s, uint64(*only))
				return
			}
			t.Parallel()
			count := fixedSeeds
			if s.random() {
				count = max(1, *seeds/random)
			}
			playAll(t, s, count)
		})
	}
}

// regressions are seeds that have failed, each for the reason that it names.
var regressions = []struct {
	scenario string
	seed     uint64
	why      string
}{
	{"pairs", 1, "a hint whose owner had left went to an owner that had the write already"},
	{"pairs", 805, "a reaped tombstone was looked for when the nodes that had reaped it were gone"},
}

// TestRegressions plays the seeds that have failed.
func TestRegressions(t *testing.T) {
	scenarios := load(t)
	for _, g := range regressions {
		at := slices.IndexFunc(scenarios, func(s *Scenario) bool { return s.Name == g.scenario })
		if r := Play(scenarios[at], g.seed, nil, Trace{}); len(r.Violations) > 0 {
			t.Logf("once: %s", g.why)
			playAgain(t, scenarios[at], g.seed, r)
		}
	}
}

// random tells whether seeds differ in more than delays.
func (s *Scenario) random() bool { return len(s.Steps) == 0 }

// playAll plays s with the first seeds.
func playAll(t *testing.T, s *Scenario, count int) {
	var sum Counts
	for seed := range uint64(count) {
		r := Play(s, seed, nil, Trace{})
		sum.add(r.Counts)
		if len(r.Violations) > 0 {
			playAgain(t, s, seed, r)
			return
		}
	}
	t.Logf("%d seeds: %+v", count, sum)
	sum.checkUse(t, s)
}

// checkUse fails for a scenario that tests nothing.
func (c Counts) checkUse(t *testing.T, s *Scenario) {
	if s.Lives.Share > 0 && (c.Expiring == 0 || c.Mark == 0) {
		t.Errorf("nothing expired, or was reaped: %+v", c)
	}
	if c.Acked*2 < c.Puts || c.Answered*2 < c.Gets {
		t.Errorf("fewer than half of the requests succeeded: %+v", c)
	}
	if c.Excused*20 > c.Acked {
		t.Errorf("more than a twentieth of the acknowledged writes was excused: %+v", c)
	}
}

// playOnce plays one seed, with its trace.
func playOnce(t *testing.T, s *Scenario, seed uint64) {
	var out bytes.Buffer
	r := Play(s, seed, nil, Trace{&out, *about, *watch})
	t.Logf("%+v\n%s", r.Counts, out.String())
	if len(r.Violations) > 0 {
		t.Errorf("%v", r.Violations)
	}
}

// playAgain plays a seed that failed once more, with the trace of the key that
// it is about, and shows the end of that.
func playAgain(t *testing.T, s *Scenario, seed uint64, failed Result) {
	const last = 60
	var out bytes.Buffer
	trace := failed.trace()
	trace.Out = &out
	Play(s, seed, nil, trace)
	lines := strings.SplitAfter(out.String(), "\n")
	t.Errorf("%v\n\n  go test ./internal/sim -run 'TestSim/%s$' -seed %d -v -engine %q -key %q -write %d\n\nthe last lines of that, of %d:\n%s",
		failed.Violations, s.Name, seed, *real, trace.Key, trace.Write, len(lines), strings.Join(lines[max(0, len(lines)-last):], ""))
}

// trace is about what the first violation is about.
func (r Result) trace() Trace {
	v := r.Violations[0]
	var t Trace
	if v.Key != nil {
		t.Key = v.Key.String()
	}
	if v.Write != nil {
		t.Write = v.Write.id
	}
	return t
}

// TestSeedFixesRun plays one seed of each scenario twice.
func TestSeedFixesRun(t *testing.T) {
	for _, s := range load(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			a, b := Play(s, 1, nil, Trace{}), Play(s, 1, nil, Trace{})
			if a.Hash != b.Hash || fmt.Sprint(a.Counts) != fmt.Sprint(b.Counts) {
				t.Errorf("the same seed gave two runs: %x %+v, %x %+v", a.Hash, a.Counts, b.Hash, b.Counts)
			}
			if c := Play(s, 2, nil, Trace{}); c.Hash == a.Hash {
				t.Error("two seeds gave one run")
			}
		})
	}
}
