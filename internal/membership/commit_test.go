package membership

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// grown returns a cluster that has all its nodes in the ring.
func grown(t *testing.T, f *fabric, count int) []*testNode {
	t.Helper()
	nodes := cluster(t, f, count)
	if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first growth is over", settled(2, nodes...))
	return nodes
}

// settled says whether all nodes agree on a ring of that epoch, and on nothing
// being under way.
func settled(epoch uint64, nodes ...*testNode) func() bool {
	return func() bool {
		for _, n := range nodes {
			c := n.Current()
			if c.Ring.Epoch() != epoch || c.Progress != nil || n.State().Transition() != nil || n.State().hashes != nodes[0].State().hashes {
				return false
			}
		}
		return true
	}
}

func (n *testNode) stage(changes ...Change) {
	n.t.Helper()
	for _, c := range changes {
		if err := n.Stage(n.t.Context(), c); err != nil {
			n.t.Fatal(err)
		}
	}
}

func TestCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		began := time.Now()
		plan, err := nodes[1].Commit(t.Context(), CommitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// All know of it already, without gossip.
		for _, n := range nodes {
			if tr := n.State().Transition(); n.Ring().Epoch() == 1 && tr == nil || n.State().Latest().Epoch() != 2 {
				t.Errorf("%s has epoch %d, and %+v", n.cfg.Name, n.Ring().Epoch(), tr)
			}
		}
		eventually(t, "the change is over", settled(2, nodes...))
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		for _, n := range nodes {
			if string(n.Ring().AppendTo(nil)) != string(plan.Next.AppendTo(nil)) {
				t.Errorf("%s has another ring than was planned", n.cfg.Name)
			}
			for _, m := range n.Members() {
				if m.Status != StatusMember {
					t.Errorf("%s takes %s for %v", n.cfg.Name, m.Name, m.Status)
				}
			}
		}
		if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "nothing is staged") {
			t.Errorf("a second commit: got %v", err)
		}
		// It is on disk.
		nodes[2].restart()
		if got := nodes[2].Ring().Epoch(); got != 2 {
			t.Errorf("after a crash n3 has epoch %d", got)
		}
		stopAll(t, nodes...)
	})
}

// Commits by all nodes at once, each of which would make another ring, begin one
// change; who had another is told, and it stays staged.
func TestCommitRace(t *testing.T) {
	wins, told := 0, 0
	for delay := range 8 {
		bubble(t, func(t *testing.T) {
			nodes := cluster(t, newFabric(), 3)
			defer stopAll(t, nodes...)
			if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first growth is over", settled(2, nodes...))
			// The nodes plan differently: each knows of a joiner that the others
			// do not.
			for i, n := range nodes {
				joiner := Member{ID: kv.NodeID(1000 + i), Profile: Profile{Name: "x" + string(rune('1'+i)), Weight: 1, Boot: 1, Speaks: ChangesNeed}, Decision: Decision{Status: StatusStaged, Version: 1}}
				n.state.Store(n.State().withMember(joiner))
			}
			errs := make([]error, len(nodes))
			var all sync.WaitGroup
			for i, n := range nodes {
				all.Go(func() {
					time.Sleep(time.Duration(i*delay) * latency / 2)
					_, errs[i] = n.Commit(t.Context(), CommitOptions{})
				})
			}
			all.Wait()
			eventually(t, "the nodes agree", agreed(6, nodes...))
			tr, won := nodes[0].State(), 0
			for i, err := range errs {
				joined := tr.Latest().Contains(kv.NodeID(1000 + i))
				switch {
				case err == nil && joined:
					won++
				case err != nil && !joined && strings.Contains(err.Error(), "another change was chosen") &&
					strings.Contains(err.Error(), "still staged for the next commit: join x"):
					told++
				case err != nil && !joined && i*delay > 8 && strings.Contains(err.Error(), "is under way: commit again"):
				default:
					t.Errorf("delay %d, node %d: in the ring: %v, error %v", delay, i, joined, err)
				}
			}
			wins += won
			if won == 0 || tr.Latest().Epoch() != 3 || len(tr.Orders()) != 3-won {
				t.Errorf("%d won, the epoch is %d, %q is staged", won, tr.Latest().Epoch(), tr.describeAll(tr.Orders()))
			}
		})
	}
	if told == 0 {
		t.Error("there was no race")
	}
}

// Both sides of a cut know at once whether they can change the ring.
func TestCommitNeedsAMajority(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := grown(t, f, 5)
		few, many := append(host(1), host(2)...), append(append(host(3), host(4)...), host(5)...)
		f.isolate(true, few, many)
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 2})
		began := time.Now()
		_, err := nodes[0].Commit(t.Context(), CommitOptions{})
		if kv.KindOf(err) != kv.KindUnavailable || !strings.Contains(err.Error(), "2 of 5 members answer, a change of membership takes 3") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("that took %v", took)
		}
		nodes[2].stage(Change{Action: Weight, Node: "n3", Weight: 2})
		if _, err := nodes[2].Commit(t.Context(), CommitOptions{}); err != nil {
			t.Errorf("the majority: %v", err)
		}
		f.isolate(false, few, many)
		eventually(t, "the majority's change is everywhere", settled(3, nodes...))
		if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); err != nil {
			t.Errorf("after healing: %v", err)
		}
		eventually(t, "the minority's change is everywhere", settled(4, nodes...))
		for _, m := range nodes[4].Members() {
			if want := m.Name == "n1" || m.Name == "n3"; (m.Weight == 2) != want {
				t.Errorf("%s has weight %d", m.Name, m.Weight)
			}
		}
		stopAll(t, nodes...)
	})
}

// propose has a proposer at a node, by hand, get as far as having its value
// accepted by some of the voters.
func (n *testNode) propose(t *testing.T, accepting ...*testNode) *Transition {
	t.Helper()
	tr, _, err := n.Service.propose(CommitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var voters []kv.NodeID
	for _, v := range n.Ring().Nodes() {
		voters = append(voters, v.ID)
	}
	p := NewProposer(n.ID(), 77, tr.Slot, voters, tr.Value())
	for _, ask := range []func() Ask{p.Begin, p.Accept} {
		ask := ask()
		for _, v := range accepting {
			a, err := v.cast(t.Context(), ask)
			if err != nil || a.Verdict != Granted {
				t.Fatalf("%s: %+v, %v", v.cfg.Name, a, err)
			}
			p.Step(v.ID(), a)
		}
	}
	if p.Outcome() != BallotChosen {
		t.Fatalf("the ballot has the outcome %v", p.Outcome())
	}
	return tr
}

// A proposer dies when its change is chosen and nobody knows. Whoever commits
// next finishes that change, and is told so; restarts of the others between are
// no matter.
func TestProposerDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 3})
		begun := nodes[0].propose(t, nodes[0], nodes[2])
		nodes[0].kill()
		nodes[2].restart()
		nodes[1].stage(Change{Action: Weight, Node: "n2", Weight: 5}, Change{Action: Weight, Node: "n1", Weight: 4})
		eventually(t, "n1 is down, the others are up", func() bool { return !nodes[1].up(nodes[0].ID()) && sees(nodes[1:]...)() })
		_, err := nodes[1].Commit(t.Context(), CommitOptions{})
		if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "another change was chosen: weight n1 3, by node n1; still staged for the next commit: weight n") {
			t.Errorf("got %v", err)
		}
		eventually(t, "the dead proposer's change is over", settled(3, nodes[1:]...))
		if r := nodes[1].Ring(); string(r.AppendTo(nil)) != string(begun.To.AppendTo(nil)) {
			t.Error("it is another ring")
		}
		if _, err := nodes[1].Commit(t.Context(), CommitOptions{}); err != nil {
			t.Error(err)
		}
		eventually(t, "the next one is over", settled(4, nodes[1:]...))
		nodes[0].run()
		eventually(t, "all agree", settled(4, nodes...))
		stopAll(t, nodes...)
	})
}

// A member that has promised, or accepted, and restarts, stands by it.
func TestVoteSurvivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		n, slot := nodes[1], Slot{Epoch: 3}
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 3})
		value := (&Transition{Slot: slot, To: nodes[0].mustPlan().Next}).Value()
		cast := func(ask Ask, want Verdict) Answer {
			t.Helper()
			a, err := n.cast(t.Context(), ask)
			if err != nil || a.Verdict != want {
				t.Errorf("got %+v, %v, want %v", a, err, want)
			}
			return a
		}
		low, mid, high := Ballot{1, 9, 9}, Ballot{2, 9, 9}, Ballot{3, 9, 9}
		cast(Ask{Slot: slot, Ballot: mid}, Granted)
		n.restart()
		cast(Ask{Slot: slot, Ballot: low}, Overtaken)
		cast(Ask{Slot: slot, Ballot: low, Value: value}, Overtaken)
		cast(Ask{Slot: slot, Ballot: mid, Value: value}, Granted)
		n.restart()
		if a := cast(Ask{Slot: slot, Ballot: high}, Granted); a.Accepted != mid || string(a.Value) != string(value) {
			t.Errorf("it has accepted in %v", a.Accepted)
		}
		stopAll(t, nodes...)
	})
}

func (n *testNode) mustPlan() *Plan {
	n.t.Helper()
	p, err := n.Plan()
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}
