package sim

import (
	"slices"
	"testing"
)

// brokenSeeds is how many seeds the checkers may take to notice a variant.
const brokenSeeds = 200

// TestBroken plays each broken variant until a checker notices it.
func TestBroken(t *testing.T) {
	scenarios := load(t)
	for _, b := range Variants {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(brokenSeeds) {
				for _, name := range b.Scenarios {
					at := slices.IndexFunc(scenarios, func(s *Scenario) bool { return s.Name == name })
					if at < 0 {
						t.Fatalf("no scenario %q", name)
					}
					if r := Play(scenarios[at], seed, &b.Variant, Trace{}); len(r.Violations) > 0 {
						if r.Violations[0].Promise == "scenario" {
							t.Fatalf("%s, seed %d: %v", name, seed, r.Violations[0])
						}
						t.Logf("noticed by %s with seed %d of %s: %v", r.Violations[0].Promise, seed, name, r.Violations[0])
						return
					}
				}
			}
			t.Errorf("nothing was noticed in %d seeds of %v", brokenSeeds, b.Scenarios)
		})
	}
}
