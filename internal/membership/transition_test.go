package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func (n *testNode) commit() *Plan {
	n.t.Helper()
	p, err := n.Commit(n.t.Context(), CommitOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return p
}

// down waits until all of nodes take one for dead.
func down(t *testing.T, id kv.NodeID, nodes ...*testNode) {
	t.Helper()
	eventually(t, "the node is known to be down", func() bool {
		return !slices.ContainsFunc(nodes, func(n *testNode) bool { return n.up(id) })
	})
}

// A node's wiped disk end to end: it comes up again under its name and address,
// at once, waits, and replaces what it was.
func TestWipedDisk(t *testing.T) {
	for _, how := range []struct {
		name   string
		change Change
		soon   bool
	}{
		{"by name", Change{Action: Replace, Node: "n2", By: "n2"}, true},
		{"by the name alone", Change{Action: Replace, Node: "n2"}, false},
	} {
		bubble(t, func(t *testing.T) {
			f := newFabric()
			nodes := grown(t, f, 4)
			old := nodes[1].ID()
			nodes[1].kill()
			if !how.soon {
				down(t, old, nodes[0], nodes[2], nodes[3])
			}
			wiped := newNode(t, f, 2, seededBy(1, 2, 3))
			wiped.run()
			nodes[1] = wiped
			eventually(t, "the new node is known", agreed(5, nodes...))
			down(t, old, nodes...)
			for _, n := range nodes {
				if got := n.State().Status(wiped.ID()); got != StatusWaiting || n.State().Status(old) != StatusMember {
					t.Errorf("%s: %s takes the new node for %v", how.name, n.cfg.Name, got)
				}
			}
			if got := wiped.journal.matching("joined a cluster"); len(got) != 1 || !strings.Contains(got[0], "status=awaiting replace") {
				t.Errorf("it says %q", got)
			}
			nodes[0].stage(how.change)
			held := nodes[0].Ring().Load(old)
			if p := nodes[3].commit(); p.Moved != held || p.Next.Load(wiped.ID()) != held {
				t.Errorf("%s: %d partitions move, it had %d", how.name, p.Moved, held)
			}
			eventually(t, "it is over", settled(3, nodes...))
			st := nodes[0].State()
			if st.Status(old) != StatusRemoved || st.Status(wiped.ID()) != StatusMember || st.Ring().Contains(old) {
				t.Errorf("%s: the old one is %v, the new one %v", how.name, st.Status(old), st.Status(wiped.ID()))
			}
			wiped.restart()
			eventually(t, "it is in the ring after a restart", settled(3, nodes...))
			stopAll(t, nodes...)
		})
	}
}

// A node that leaves is let go when it says that it holds nothing; then it is
// told to use another directory.
func TestLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 4)
		leaver := nodes[3]
		if err := leaver.Left(t.Context()); kv.KindOf(err) != kv.KindRefused {
			t.Errorf("a member says that it has left: %v", err)
		}
		nodes[0].stage(Change{Action: Leave, Node: "n4"})
		if got := nodes[1].Members(); !slices.ContainsFunc(got, func(m MemberView) bool { return m.Staged == "leave n4" && m.Status == StatusMember }) {
			t.Errorf("n2 shows %+v", got)
		}
		nodes[0].commit()
		eventually(t, "the change is over", settled(3, nodes...))
		if !leaver.State().Gone(leaver.ID()) || leaver.State().Status(leaver.ID()) != StatusLeaving {
			t.Errorf("n4 is %v", leaver.State().Status(leaver.ID()))
		}
		// It may restart on its way out.
		leaver.restart()
		eventually(t, "n4 is back", sees(nodes...))
		if err := leaver.Left(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes[:3] {
			if got := n.State().Status(leaver.ID()); got != StatusRemoved {
				t.Errorf("%s takes n4 for %v", n.cfg.Name, got)
			}
		}
		if err := leaver.stop(); err != nil {
			t.Errorf("it ended with %v", err)
		}
		leaver.fs = leaver.fs.CrashClone(vfs.CrashCloneCfg{})
		if err := leaver.open(); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "was removed from cluster") {
			t.Errorf("its next start: %v", err)
		}
		stopAll(t, nodes[:3]...)
	})
}

// A node that hears that it was removed ends.
func TestRemovedNodeEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		if _, _, err := nodes[0].update(t.Context(), func(st *State) (*State, error) {
			return decide(st, nodes[2].ID(), nodes[0].ID(), StatusRemoved), nil
		}); err != nil {
			t.Fatal(err)
		}
		err := <-nodes[2].ended
		nodes[2].ended <- err
		if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "was removed from cluster") {
			t.Errorf("got %v", err)
		}
		nodes[2].stop()
		stopAll(t, nodes[:2]...)
	})
}

// So does one that was away meanwhile, and is refused when it comes back.
func TestRemovedNodeComesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 4)
		nodes[3].kill()
		down(t, nodes[3].ID(), nodes[:3]...)
		nodes[0].stage(Change{Action: Remove, Node: "n4"})
		nodes[0].commit()
		eventually(t, "it is removed", settled(3, nodes[:3]...))
		nodes[3].run()
		err := <-nodes[3].ended
		nodes[3].ended <- err
		if kv.KindOf(err) != kv.KindOldCopy || !strings.Contains(err.Error(), "was removed from the cluster; use an empty data directory") {
			t.Errorf("got %v", err)
		}
		nodes[3].stop()
		stopAll(t, nodes[:3]...)
	})
}

// A joiner that dies for good neither stops a change nor stands in the way of the
// next one.
func TestJoinerDies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := grown(t, f, 4)
		joiner := newNode(t, f, 5, seededBy(1))
		joiner.idle.Store(true)
		joiner.run()
		eventually(t, "n5 has joined", agreed(5, append(nodes, joiner)...))
		nodes[0].commit()
		joiner.kill()
		eventually(t, "the change is over", settled(3, nodes...))
		down(t, joiner.ID(), nodes...)
		nodes[0].stage(Change{Action: Remove, Node: "n5"})
		nodes[0].commit()
		eventually(t, "it is removed", settled(4, nodes...))
		if nodes[1].State().Status(joiner.ID()) != StatusRemoved {
			t.Error("n5 is not removed")
		}
		stopAll(t, nodes...)
	})
}

// Without a majority for good a human decides, and accepts what is lost.
func TestForceAndAcceptLoss(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := grown(t, newFabric(), 3)
		for _, n := range nodes[1:] {
			n.kill()
		}
		down(t, nodes[1].ID(), nodes[0])
		down(t, nodes[2].ID(), nodes[0])
		one := nodes[0]
		if _, err := one.Commit(t.Context(), CommitOptions{AcceptLoss: []string{"n2"}}); err == nil || !strings.Contains(err.Error(), "nothing is staged") {
			t.Errorf("loss without a change: %v", err)
		}
		one.stage(Change{Action: Remove, Node: "n2"}, Change{Action: Remove, Node: "n3"})
		if _, err := one.Commit(t.Context(), CommitOptions{}); kv.KindOf(err) != kv.KindUnavailable || !strings.Contains(err.Error(), "1 of 3 members answer, a change of membership takes 2") {
			t.Errorf("without force: %v", err)
		}
		if _, err := one.Commit(t.Context(), CommitOptions{Force: true, AcceptLoss: []string{"n1"}}); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "n1 is up") {
			t.Errorf("the loss of a node that is up: %v", err)
		}
		plan, err := one.Commit(t.Context(), CommitOptions{Force: true})
		if err != nil || len(plan.Lapsed) != 0 {
			t.Fatalf("%+v, %v", plan, err)
		}
		if tr := one.State().Transition(); !tr.Forced || !slices.Equal(tr.Accepted, []kv.NodeID{one.ID()}) {
			t.Errorf("got %+v", tr.Certificate)
		}
		if got := one.journal.matching("without a majority, by a human's word"); len(got) != 1 {
			t.Errorf("the log says %q", got)
		}
		// It does not end: what the others had is waited for.
		time.Sleep(time.Minute)
		before := one.Current()
		if before.Progress == nil || before.Progress.Over() {
			t.Fatal("the change is over")
		}
		if _, err := one.Commit(t.Context(), CommitOptions{}); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "under way") {
			t.Errorf("a second change meanwhile: %v", err)
		}
		both := CommitOptions{Force: true, AcceptLoss: []string{"n2", "n3"}}
		if plan, err := one.PlanLoss(both.AcceptLoss); err != nil || len(plan.Lapsed) != testParams.Q {
			t.Errorf("the plan: %+v, %v", plan, err)
		}
		plan, err = one.Commit(t.Context(), both)
		if err != nil || len(plan.Lapsed) != testParams.Q || !strings.Contains(strings.Join(plan.Warnings, "\n"), "16 partitions have lost so many owners that acknowledged writes may be gone") {
			t.Errorf("%+v, %v", plan, err)
		}
		eventually(t, "it is over", settled(3, one))
		if r := one.Ring(); len(r.Nodes()) != 1 {
			t.Errorf("the ring has %v", r.Nodes())
		}
		if _, err := one.PlanLoss([]string{"n2"}); kv.KindOf(err) != kv.KindRefused {
			t.Errorf("loss without a transition: %v", err)
		}
		stopAll(t, one)
	})
}

// An amendment needs a majority as any change does, and keeps the marks.
func TestAmendment(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := grown(t, f, 5)
		for _, n := range nodes {
			n.idle.Store(true)
		}
		nodes[0].stage(Change{Action: Leave, Node: "n5"})
		nodes[0].commit()
		nodes[0].idle.Store(false)
		nodes[0].wake <- struct{}{}
		p := nodes[2].Current().Progress
		all := marksOf(p, nodes[0].ID())
		eventually(t, "n3 has n1's marks", func() bool { return p.Marks(all[len(all)-1].Step)&all[len(all)-1].Marks != 0 })
		nodes[4].kill()
		down(t, nodes[4].ID(), nodes[:4]...)
		if _, err := nodes[2].Commit(t.Context(), CommitOptions{AcceptLoss: []string{"n4"}}); kv.KindOf(err) != kv.KindRefused {
			t.Errorf("n4 is up: %v", err)
		}
		if _, err := nodes[2].Commit(t.Context(), CommitOptions{AcceptLoss: []string{"n5"}}); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes[:4] {
			c := n.Current()
			if tr := n.State().Transition(); tr.Slot != (Slot{3, 1}) || !slices.Equal(c.Progress.Lost(), []kv.NodeID{nodes[4].ID()}) {
				t.Errorf("%s has %+v", n.cfg.Name, tr)
			}
			for _, m := range append(all, marksOf(c.Progress, nodes[4].ID())...) {
				if c.Progress.Marks(m.Step)&m.Marks == 0 {
					t.Errorf("%s does not know of mark %+v", n.cfg.Name, m)
				}
			}
		}
		if _, err := nodes[1].Commit(t.Context(), CommitOptions{AcceptLoss: []string{"n5"}}); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "accepted already") {
			t.Errorf("again: %v", err)
		}
		// Who holds an older Progress may still mark by it.
		if err := nodes[1].Mark(p, marksOf(p, nodes[1].ID())); err != nil {
			t.Error(err)
		}
		eventually(t, "a mark by the progress from before the amendment is known", func() bool {
			m := marksOf(p, nodes[1].ID())[0]
			return nodes[1].Current().Progress.Marks(m.Step)&m.Marks != 0
		})
		for _, n := range nodes[:4] {
			n.idle.Store(false)
			n.wake <- struct{}{}
		}
		eventually(t, "the change is over", settled(3, nodes[:4]...))
		// By now nobody listens to what was said of it.
		if err := nodes[1].Mark(p, all); err != nil || nodes[1].Current().Progress != nil {
			t.Errorf("marks of a change that is over: %v", err)
		}
		stopAll(t, nodes[:4]...)
	})
}

// Marks that are not told directly come by exchanges, and a node that restarts
// half-way takes the change up again.
func TestMarksByExchange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := grown(t, f, 4)
		f.mu.Lock()
		f.drop = func(_, _ string, c wire.Call, _ []byte) bool { return c.Type == wire.TypeMarks }
		f.mu.Unlock()
		nodes[3].idle.Store(true)
		nodes[1].stage(Change{Action: Weight, Node: "n1", Weight: 5})
		nodes[1].commit()
		nodes[2].restart()
		if c := nodes[2].Current(); c.Ring.Epoch() == 2 && c.Progress == nil {
			t.Error("after a restart n3 knows of no change")
		}
		began := time.Now()
		nodes[3].idle.Store(false)
		nodes[3].wake <- struct{}{}
		eventually(t, "the change is over", settled(3, nodes...))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("that took %v", took)
		}
		stopAll(t, nodes...)
	})
}

// In a large cluster each mark is told to the owners concerned.
func TestWhomMarksConcern(t *testing.T) {
	var few, many []kv.NodeID
	for i := range kv.NodeID(40) {
		if i < 4 {
			few = append(few, i+1)
		}
		many = append(many, i+1)
	}
	for _, ids := range [][]kv.NodeID{few, many} {
		var members []Member
		for _, id := range ids {
			members = append(members, member(id, fmt.Sprint("m", uint64(id)), "", StatusMember))
		}
		st, err := NewState(testCluster, members, testRing(1, ids...)).Stage(1, Change{Action: Leave, Node: "m2"}, someUp(ids...))
		if err != nil {
			t.Fatal(err)
		}
		_, p := chosen(t, st)
		told := 0
		for i := range p.Len() {
			fresh := []ring.Mark{{Step: i, Marks: 1}}
			for id, marks := range concerned(p, fresh, 1) {
				if id == 1 || len(marks) != 1 || marks[0] != fresh[0] {
					t.Errorf("node %v is told %v", id, marks)
				}
				told++
			}
			for _, id := range ownersAt(p.Transition, i) {
				if _, is := concerned(p, fresh, 1)[id]; !is && id != 1 {
					t.Errorf("owner %v is not told", id)
				}
			}
		}
		if per := float64(told) / float64(p.Len()); len(ids) == len(few) && per != 3 || len(ids) > maxTold && per > 4 {
			t.Errorf("%d nodes: each mark is told to %v", len(ids), per)
		}
	}
}

// Marks are told many in a message, and nothing is told of what was told before.
func TestMarksAreBatched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := grown(t, f, 4)
		for _, n := range nodes {
			n.idle.Store(true)
		}
		sent := make(chan string, 1000)
		f.mu.Lock()
		f.drop = func(from, _ string, c wire.Call, _ []byte) bool {
			if c.Type == wire.TypeMarks {
				sent <- from
			}
			return false
		}
		f.mu.Unlock()
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 9})
		nodes[0].commit()
		n := nodes[1]
		p := n.Current().Progress
		all := marksOf(p, n.ID())
		for _, m := range all {
			if err := n.Mark(p, []ring.Mark{m, m}); err != nil {
				t.Error(err)
			}
		}
		for _, wrong := range []ring.Mark{{Step: -1, Marks: 1}, {Step: p.Len(), Marks: 1}} {
			if err := n.Mark(p, []ring.Mark{wrong}); err != nil {
				t.Error(err)
			}
		}
		for _, m := range all {
			if p.Marks(m.Step)&m.Marks != 0 {
				t.Errorf("the node uses %+v before the others are told", m)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if len(all) < 2 || len(sent) != 3 {
			t.Errorf("%d marks went in %d messages, want one to each node", len(all), len(sent))
		}
		for _, m := range all {
			if got, want := nodes[2].Current().Progress.Marks(m.Step), p.Marks(m.Step); got != want || want == 0 {
				t.Errorf("n3 lacks %+v", m)
			}
		}
		if err := n.Mark(p, all); err != nil || len(sent) != 3 {
			t.Error("what everybody knows is told again")
		}
		stopAll(t, nodes...)
	})
}
