package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// started is a group with a shell that runs script.
func started(t *testing.T, script string) *Group {
	t.Helper()
	runtime.LockOSThread()
	g, err := NewGroup(filepath.Join(t.TempDir(), "g"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start("sh", "/bin/sh", "-c", script); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	return g
}

// states are those of the group's processes, R, S, T and so on, in no order.
func states(t *testing.T, g *Group) string {
	t.Helper()
	stats, err := groupsStats("/proc", g.leaders())
	if err != nil {
		t.Fatal(err)
	}
	var found string
	for _, s := range stats {
		found += string(s.state)
	}
	return found
}

func awaitStates(t *testing.T, g *Group, good func(states string) bool) {
	t.Helper()
	err := g.Await(t.Context(), time.Minute, "state", func(context.Context) error {
		if s := states(t, g); !good(s) {
			return fmt.Errorf("states are %s", s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPauseHoldsAllOfAGroup(t *testing.T) {
	g := started(t, "sleep 1000 & sleep 1000 & wait")
	awaitStates(t, g, func(s string) bool { return len(s) == 3 })
	if err := g.Pause(); err != nil {
		t.Fatal(err)
	}
	awaitStates(t, g, func(s string) bool { return s == "TTT" })
	if err := g.Resume(); err != nil {
		t.Fatal(err)
	}
	awaitStates(t, g, func(s string) bool { return len(s) == 3 && !strings.Contains(s, "T") })
}

func TestStopEndsWhatStandsStill(t *testing.T) {
	g := started(t, "trap '' TERM; sleep 1000 & sleep 1000 & wait")
	awaitStates(t, g, func(s string) bool { return len(s) == 3 })
	if err := g.Pause(); err != nil {
		t.Fatal(err)
	}
	leaders := g.leaders()
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	if left, err := groupsStats("/proc", leaders); err != nil || slices.ContainsFunc(left, stat.alive) {
		t.Errorf("%v are left, %v", left, err)
	}
}

func TestCPUHasChildren(t *testing.T) {
	g := started(t, "i=0; (while [ $i -lt 300000 ]; do i=$((i+1)); done); echo did it; exec sleep 1000")
	err := g.Await(t.Context(), time.Minute, "work", func(context.Context) error {
		b, err := os.ReadFile(g.procs[0].log)
		if err == nil && len(b) == 0 {
			err = errors.New("it is at it")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if used, err := g.CPU(t.Context()); err != nil || used < tick {
		t.Errorf("got %v, %v", used, err)
	}
}

func TestAnEndIsNoticed(t *testing.T) {
	g := started(t, "echo its last words; exit 3")
	<-g.procs[0].ended
	never := func(context.Context) error { return errors.New("not yet") }
	for name, err := range map[string]error{
		"check": g.Check(), "pause": g.Pause(),
		"await": g.Await(t.Context(), time.Hour, "start", never),
	} {
		if err == nil || !strings.Contains(err.Error(), "its last words") || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := g.CPU(t.Context()); err == nil {
		t.Error("the processor time of what has ended is told")
	}
}

func TestAwaitGivesUp(t *testing.T) {
	g := started(t, "exec sleep 1000")
	not := errors.New("not yet")
	err := g.Await(t.Context(), 0, "start", func(context.Context) error { return not })
	if !errors.Is(err, not) || !strings.Contains(err.Error(), "start: not within") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Await(ctx, time.Hour, "start", func(context.Context) error { return not }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStartTellsWhatIsMissing(t *testing.T) {
	g, err := NewGroup(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Start("x", "/no/such/program"); err == nil || !strings.Contains(err.Error(), "start x") {
		t.Errorf("got %v", err)
	}
	if err := g.Stop(); err != nil {
		t.Errorf("stop nothing: %v", err)
	}
}
