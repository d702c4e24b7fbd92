package membership

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// stageCluster is a cluster with n1, n2 and n3 in the ring, n4 and n5 staged, n6
// announced, and a second n2 that came up under that name.
func stageCluster() *State {
	var members []Member
	for i := range kv.NodeID(3) {
		members = append(members, member(i+1, fmt.Sprintf("n%d", i+1), "", StatusMember))
	}
	members = append(members, member(4, "n4", "", StatusStaged), member(5, "n5", "", StatusStaged), member(6, "n6", "", StatusNone),
		member(7, "n2", "", StatusStaged), member(8, "n8", "", StatusRemoved), member(9, "n9", "", StatusNone), member(10, "n9", "", StatusNone))
	return NewState(testCluster, members, testRing(4, 1, 2, 3))
}

func words(st *State, orders []Order) string { return st.describeAll(orders) }

func TestStageChanges(t *testing.T) {
	const joins = "join n4, join n5"
	type changes []Change
	for _, c := range []struct {
		name string
		do   changes
		kind kv.Kind
		want string
	}{
		{"nothing", nil, kv.NumKinds, joins},
		{"join", changes{{Action: Join, Node: "n6"}}, kv.NumKinds, joins + ", join n6"},
		{"join of a staged one", changes{{Action: Join, Node: "n4"}}, kv.NumKinds, joins},
		{"join of a member", changes{{Action: Join, Node: "n1"}}, kv.NumKinds, joins},
		{"join of a stranger", changes{{Action: Join, Node: "n99"}}, kv.KindNotFound, "no node named"},
		{"join of one removed", changes{{Action: Join, Node: "n8"}}, kv.KindNotFound, "no node named"},
		{"join of one of two", changes{{Action: Join, Node: "n9"}}, kv.KindRefused, `both named "n9": give the id`},
		{"join by id", changes{{Action: Join, Node: "000000000000000a"}}, kv.NumKinds, joins + ", join n9"},
		{"join of one that waits", changes{{Action: Join, Node: "n2"}}, kv.KindRefused, "another node is named n2: replace that one"},
		{"leave", changes{{Action: Leave, Node: "n2"}}, kv.NumKinds, "leave n2, " + joins},
		{"leave of a joiner", changes{{Action: Leave, Node: "n4"}}, kv.KindRefused, "n4 is not in the ring"},
		{"remove of one that is up", changes{{Action: Remove, Node: "n1"}}, kv.KindRefused, "n1 is up: have it leave, or stop it first"},
		{"remove", changes{{Action: Remove, Node: "n2"}}, kv.NumKinds, "remove n2, " + joins},
		{"remove of a dead joiner", changes{{Action: Remove, Node: "n5"}}, kv.NumKinds, "join n4, remove n5"},
		{"remove and then leave", changes{{Action: Remove, Node: "n2"}, {Action: Leave, Node: "n2"}}, kv.NumKinds, "leave n2, " + joins},
		{"replace", changes{{Action: Replace, Node: "n3", By: "n4"}}, kv.NumKinds, "replace n3 n4, join n5"},
		{"replace by one that is not staged", changes{{Action: Replace, Node: "n3", By: "n6"}}, kv.NumKinds, "replace n3 n6, " + joins},
		{"replace by a member", changes{{Action: Replace, Node: "n3", By: "n1"}}, kv.KindRefused, "n1 is in the ring already"},
		{"replace by itself", changes{{Action: Replace, Node: "n3", By: "n3"}}, kv.KindNotFound, `no other node named "n3"`},
		{"replace of a joiner", changes{{Action: Replace, Node: "n5", By: "n4"}}, kv.KindRefused, "n5 is not in the ring"},
		{"replace by a stranger", changes{{Action: Replace, Node: "n3", By: "n99"}}, kv.KindNotFound, "no node named"},
		{"replace two by one", changes{{Action: Replace, Node: "n3", By: "n4"}, {Action: Replace, Node: "n2", By: "n4"}}, kv.KindRefused, "n4 is staged to replace another"},
		{"replace again", changes{{Action: Replace, Node: "n3", By: "n4"}, {Action: Replace, Node: "n3", By: "n5"}}, kv.NumKinds, "replace n3 n5, join n4"},
		{"remove a replacement", changes{{Action: Replace, Node: "n3", By: "n5"}, {Action: Remove, Node: "n5"}}, kv.KindRefused, "n5 is staged to replace another: clear first"},
		{"replace by one of the name", changes{{Action: Replace, Node: "n2", By: "n2"}}, kv.NumKinds, "replace n2 n2, " + joins},
		{"replace, in short", changes{{Action: Replace, Node: "n2"}}, kv.NumKinds, "replace n2 n2, " + joins},
		{"replace by an id", changes{{Action: Replace, Node: "n2", By: "0000000000000007"}}, kv.NumKinds, "replace n2 n2, " + joins},
		{"weight", changes{{Action: Weight, Node: "n1", Weight: 7}}, kv.NumKinds, "weight n1 7, " + joins},
		{"weight 0", changes{{Action: Weight, Node: "n1"}}, kv.KindInvalid, "weight 0 is not within"},
		{"weight past the limit", changes{{Action: Weight, Node: "n1", Weight: ring.MaxWeight + 1}}, kv.KindInvalid, "is not within"},
		{"weight at the limit", changes{{Action: Weight, Node: "n1", Weight: ring.MaxWeight}}, kv.NumKinds, "weight n1 65535, " + joins},
		{"no action", changes{{Node: "n1"}}, kv.KindInvalid, "action none is unknown"},
		{"everybody leaves but the joiners", changes{{Action: Leave, Node: "n1"}, {Action: Leave, Node: "n2"}, {Action: Leave, Node: "n3"}}, kv.NumKinds, "leave n1, leave n2, leave n3, " + joins},
	} {
		st, err := stageCluster(), error(nil)
		for _, change := range c.do {
			next, failed := st.Stage(1, change, someUp(1, 3, 4, 6))
			if err = failed; err != nil {
				break
			}
			st = next
			if err := st.check(); err != nil {
				t.Fatal(err)
			}
		}
		switch {
		case c.kind != kv.NumKinds:
			if err == nil || kv.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %v: %s", c.name, err, c.kind, c.want)
			}
		case err != nil || words(st, st.Orders()) != c.want:
			t.Errorf("%s: got %q, %v, want %q", c.name, words(st, st.Orders()), err, c.want)
		default:
			plan, err := st.Plan()
			if err != nil || len(plan.Changes) != len(st.Orders()) {
				t.Errorf("%s: the plan is %+v, %v", c.name, plan, err)
			}
			if cleared := st.Clear(2); len(cleared.Orders()) != 0 || cleared.check() != nil {
				t.Errorf("%s: after clear there is %q", c.name, words(cleared, cleared.Orders()))
			}
		}
	}
}

func TestLastNodeStays(t *testing.T) {
	st := NewState(testCluster, []Member{member(1, "n1", "", StatusMember), member(2, "n2", "", StatusMember)}, testRing(1, 1, 2))
	st, err := st.Stage(1, Change{Action: Leave, Node: "n1"}, someUp(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Stage(1, Change{Action: Leave, Node: "n2"}, someUp(1, 2)); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "without node n2 nobody is left") {
		t.Errorf("got %v", err)
	}
	if _, err := newState(0, nil, nil, nil).Stage(1, Change{Action: Leave, Node: "n2"}, someUp()); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("without a ring: got %v", err)
	}
}

// What operators at two nodes stage at once, and one node could not, is told.
func TestStagedAtOnce(t *testing.T) {
	st := stageCluster()
	up := someUp(1, 3)
	stage := func(by kv.NodeID, c Change) *State {
		next, err := st.Stage(by, c, up)
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	twice := mustMerge(t, stage(1, Change{Action: Replace, Node: "n3", By: "n4"}), stage(2, Change{Action: Replace, Node: "n2", By: "n4"}))
	if _, err := twice.Plan(); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "n4 is to replace two nodes: clear") {
		t.Errorf("one that replaces two: %v", err)
	}
	gone := mustMerge(t, stage(1, Change{Action: Replace, Node: "n3", By: "n4"}), stage(2, Change{Action: Remove, Node: "n4"}))
	if _, err := gone.Plan(); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "n4 is to replace another, and to be removed") {
		t.Errorf("one that replaces and is removed: %v", err)
	}
	if _, err := twice.Clear(1).Plan(); !strings.Contains(fmt.Sprint(err), "nothing is staged") {
		t.Errorf("after clear: %v", err)
	}
}

// everything is all the changes that one commit can hold.
var everything = []Change{
	{Action: Leave, Node: "n1"}, {Action: Replace, Node: "n2"}, {Action: Replace, Node: "n3", By: "n5"}, {Action: Remove, Node: "n6"},
}

// chosen returns st with all that is staged as a transition, and its progress.
func chosen(t *testing.T, st *State) (*State, *ring.Progress) {
	t.Helper()
	plan, err := st.Plan()
	if err != nil {
		t.Fatal(err)
	}
	st = st.Adopt(&Transition{Slot: st.Open(), To: plan.Next, Changes: st.Orders(), Proposer: 3})
	way, err := ring.NewTransition(st.Ring(), st.Transition().To, nil)
	if err != nil {
		t.Fatal(err)
	}
	return st, ring.NewProgress(way)
}

func finish(p *ring.Progress) {
	for _, n := range slices.Concat(p.From().Nodes(), p.To().Nodes()) {
		for _, m := range marksOf(p, n.ID) {
			p.Add(m.Step, m.Marks)
		}
	}
}

func TestSettle(t *testing.T) {
	st := stageCluster()
	up := someUp(1, 3, 4, 5)
	for _, c := range everything {
		var err error
		if st, err = st.Stage(1, c, up); err != nil {
			t.Fatal(err)
		}
	}
	before := st
	statuses := func(st *State) (out string) {
		for _, m := range st.Members() {
			out += fmt.Sprintf("%d %v, ", m.ID, st.Status(m.ID))
		}
		return out
	}
	rest := "8 removed, 9 none, 10 none, "
	if got, want := statuses(st), "1 member, 2 member, 3 member, 4 staged, 5 staged, 6 none, 7 awaiting replace, "+rest; got != want {
		t.Errorf("staged: %s\nwant %s", got, want)
	}
	st, p := chosen(t, st)
	if got, want := statuses(st), "1 leaving, 2 removing, 3 leaving, 4 joining, 5 joining, 6 none, 7 joining, "+rest; got != want {
		t.Errorf("chosen: %s\nwant %s", got, want)
	}
	if len(st.Orders()) != 0 || st.Open() != (Slot{5, 1}) || st.Latest().Epoch() != 5 || st.Epoch() != 4 {
		t.Errorf("chosen: %q is staged, %v is open", words(st, st.Orders()), st.Open())
	}
	// Nothing is over before it is, nor by the progress of another transition.
	other, err := ring.NewTransition(testRing(4, 1, 2, 3), testRing(5, 1, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := ring.NewProgress(other)
	finish(wrong)
	if st.Settle(p) != st || st.Settle(nil) != st || st.Settle(wrong) != st {
		t.Error("it is settled")
	}
	// What is staged meanwhile is for the next change.
	late, err := st.Stage(2, Change{Action: Weight, Node: "n4", Weight: 5}, up)
	if err != nil {
		t.Fatal(err)
	}
	finish(p)
	done := late.Settle(p)
	if err := done.check(); err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(done), "1 leaving, 2 removed, 3 leaving, 4 member, 5 member, 6 removed, 7 member, "+rest; got != want {
		t.Errorf("settled: %s\nwant %s", got, want)
	}
	if done.Epoch() != 5 || done.Transition() != nil || words(done, done.Orders()) != "weight n4 5" || done.Open() != (Slot{6, 0}) {
		t.Errorf("settled: epoch %d, %q is staged", done.Epoch(), words(done, done.Orders()))
	}
	if !done.Gone(1) || done.Gone(2) || !done.Gone(3) || done.Gone(4) || st.Gone(1) {
		t.Error("who has yet to let go of its data?")
	}
	// All nodes settle alike, and who is told of it need not settle.
	if again := st.Settle(p); !same(mustMerge(t, done, again), done) || !same(mustMerge(t, before, done), done) || !same(mustMerge(t, done, st), done) {
		t.Error("nodes that settle by themselves do not agree")
	}
	// A node whose data is out of the way may come back.
	back, err := done.Stage(4, Change{Action: Join, Node: "n1"}, up)
	if err != nil || words(back, back.Orders()) != "join n1, weight n4 5" {
		t.Errorf("a node that left joins: %q, %v", words(back, back.Orders()), err)
	}
}

// Replacing a node moves what that one had, and nothing else.
func TestReplaceMovesItsPlacesOnly(t *testing.T) {
	st, err := stageCluster().Clear(1).Stage(1, Change{Action: Replace, Node: "n2"}, someUp())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := st.Plan()
	if err != nil {
		t.Fatal(err)
	}
	if n := st.Ring().Load(2); plan.Moved != n || plan.Next.Load(7) != n {
		t.Errorf("%d partitions move, n2 had %d", plan.Moved, n)
	}
	if c := plan.Changes[0]; c.Node != "n2" || c.ID != 2 || c.By != "n2" || c.ByID != 7 {
		t.Errorf("got %+v", c)
	}
}
