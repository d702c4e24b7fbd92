package membership

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// A node that was killed can be removed as soon as the operator's node does not
// reach it any more, before gossip notices.
func TestRemoveRightAfterAKill(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		// It goes on for gossip alone, which could notice at any moment otherwise.
		gone := nodes[2].ID()
		nodes[0].away.Store(gone, time.Now())
		remove := Change{Action: Remove, Node: "n3"}
		if err := nodes[0].Stage(t.Context(), remove); kv.KindOf(err) != kv.KindRefused {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(awayFor)
		if err := nodes[0].Stage(t.Context(), remove); err != nil {
			t.Errorf("after %v: %v", awayFor, err)
		}
		if !nodes[0].live.of(gone).Up {
			t.Fatal("gossip has noticed: nothing is tested")
		}
		plan, err := nodes[0].Plan()
		if err != nil || !slices.ContainsFunc(plan.Warnings, func(w string) bool { return strings.Contains(w, "gossip has not noticed yet") }) {
			t.Errorf("the plan is %+v, %v", plan, err)
		}
		stopAll(t, nodes...)
	})
}

// A node that others hear is up, though the operator's node does not reach it.
func TestCutOffIsNotDead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		since := time.Now()
		nodes[0].away.Store(nodes[2].ID(), since)
		time.Sleep(gossipNotices)
		err := nodes[0].Stage(t.Context(), Change{Action: Remove, Node: "n3"})
		if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "n3 is up: other nodes hear it") {
			t.Errorf("removed: %v", err)
		}
		if _, err := nodes[0].lost(nodes[0].State(), []string{"n3"}); err == nil || !strings.Contains(err.Error(), "n3 is up: other nodes hear it") {
			t.Errorf("its loss: %v", err)
		}
		// What gossip heard after that counts at once: it was started anew.
		nodes[0].live.note(nodes[2].ID(), Liveness{Since: time.Now()})
		nodes[0].live.note(nodes[2].ID(), Liveness{Up: true, Since: time.Now()})
		nodes[0].away.Store(nodes[2].ID(), time.Now().Add(-2*awayFor))
		if !nodes[0].up(nodes[2].ID()) {
			t.Error("a node that is back is not up")
		}
		stopAll(t, nodes...)
	})
}

// A node that died before gossip knew, and was replaced as if it could still say
// that it holds nothing any more, does not stay: it is removed like any dead one.
func TestRemoveOneThatCannotSayThatItLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		fresh := newNode(t, nodes[0].link.f, 4, seededBy(1))
		fresh.run()
		eventually(t, "n4 is known", agreed(4, append(nodes[:3:3], fresh)...))
		old := nodes[1].ID()
		nodes[1].kill()
		rest := []*testNode{nodes[0], nodes[2], fresh}
		rest[0].stage(Change{Action: Replace, Node: "n2", By: "n4"})
		rest[0].commit()
		eventually(t, "n4 is in the place of n2", settled(3, rest...))
		if got := rest[0].State().Status(old); got != StatusLeaving {
			t.Fatalf("n2 is %v: nothing is tested", got)
		}
		down(t, old, rest...)
		rest[0].stage(Change{Action: Remove, Node: "n2"})
		if p := rest[2].commit(); p.Moved != 0 {
			t.Errorf("%d partitions move", p.Moved)
		}
		eventually(t, "n2 is removed", func() bool {
			return settled(4, rest...)() && rest[1].State().Status(old) == StatusRemoved
		})
		stopAll(t, rest...)
	})
}
