package sim

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var (
	seeds = flag.Uint64("seeds", 20, "seeds to play each scenario with")
	only  = flag.Int64("seed", -1, "the one seed to play, with a trace")
)

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

// TestSim plays every scenario with every seed. A failure names the command
// that plays it alone, with its trace.
func TestSim(t *testing.T) {
	for _, s := range load(t) {
		t.Run(s.Name, func(t *testing.T) {
			if *only >= 0 {
				report(t, s, uint64(*only), nil)
				return
			}
			t.Parallel()
			playAll(t, s)
		})
	}
}

// playAll plays s with all seeds, on all processors.
func playAll(t *testing.T, s *Scenario) {
	var mu sync.Mutex
	var sum Counts
	next, failed := uint64(0), false
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				stop := failed || seed >= *seeds
				mu.Unlock()
				if stop {
					return
				}
				r := Play(s, seed, nil, nil, "")
				mu.Lock()
				sum.add(r.Counts)
				first := len(r.Violations) > 0 && !failed
				failed = failed || first
				mu.Unlock()
				if first {
					report(t, s, seed, r.Violations)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%+v", sum)
}

// report plays a seed again with its trace, and shows the end of it.
func report(t *testing.T, s *Scenario, seed uint64, found []Violation) {
	var out bytes.Buffer
	r := Play(s, seed, nil, &out, key(found))
	t.Logf("%+v", r.Counts)
	if len(r.Violations) == 0 {
		if testing.Verbose() {
			t.Log("\n" + out.String())
		}
		return
	}
	lines := strings.SplitAfter(out.String(), "\n")
	if *only < 0 {
		lines = lines[max(0, len(lines)-60):]
	}
	t.Errorf("%v\n\ngo test ./internal/sim -run 'TestSim/%s$' -seed %d -v\n\n%s", r.Violations, s.Name, seed, strings.Join(lines, ""))
}

func key(found []Violation) string {
	if len(found) == 0 || found[0].key == nil {
		return ""
	}
	return found[0].key.String()
}

// TestSeedFixesRun plays one seed of each scenario twice.
func TestSeedFixesRun(t *testing.T) {
	for _, s := range load(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			a, b := Play(s, 1, nil, nil, ""), Play(s, 1, nil, nil, "")
			if a.Hash != b.Hash || fmt.Sprint(a.Counts) != fmt.Sprint(b.Counts) {
				t.Errorf("the same seed gave two runs: %x %+v, %x %+v", a.Hash, a.Counts, b.Hash, b.Counts)
			}
			if c := Play(s, 2, nil, nil, ""); c.Hash == a.Hash {
				t.Error("two seeds gave one run")
			}
		})
	}
}
