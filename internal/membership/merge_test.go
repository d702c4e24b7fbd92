package membership

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const testCluster = kv.ClusterID(0xc1)

// testRing returns a small ring of the given epoch; different nodes make
// different rings of one epoch.
func testRing(epoch uint64, nodes ...kv.NodeID) *ring.Ring {
	list := make([]ring.Node, len(nodes))
	for i, id := range nodes {
		list[i] = ring.Node{ID: id, Weight: 1}
	}
	r, err := ring.Claim(nil, ring.Params{N: 3, R: 2, W: 2, Q: 8}, epoch, list)
	if err != nil {
		panic(err)
	}
	return r
}

// The generators draw from few values, so that registers meet, tie and differ.
var (
	someID    = rapid.Map(rapid.IntRange(1, 4), func(i int) kv.NodeID { return kv.NodeID(i) })
	someCount = rapid.Uint64Range(0, 2)
	someRing  = rapid.Custom(func(t *rapid.T) *ring.Ring {
		n := rapid.IntRange(0, 3).Draw(t, "nodes")
		if n == 0 {
			return nil
		}
		return testRing(rapid.Uint64Range(1, 3).Draw(t, "epoch"), []kv.NodeID{1, 2, 3}[:n]...)
	})
	someProfile = rapid.Custom(func(t *rapid.T) Profile {
		return Profile{
			Name:    rapid.SampledFrom([]string{"n1", "n2", "n3"}).Draw(t, "name"),
			Addrs:   Addresses{Peer: rapid.SampledFrom([]string{"", "10.0.0.1:7401"}).Draw(t, "peer")},
			Weight:  rapid.Uint32Range(0, 2).Draw(t, "weight"),
			Aliases: rapid.SampledFrom([][]kv.NodeID{nil, {7}, {7, 9}}).Draw(t, "aliases"),
			Boot:    someCount.Draw(t, "boot"), Counter: someCount.Draw(t, "counter"),
		}
	})
	someMember = rapid.Custom(func(t *rapid.T) Member {
		return Member{
			ID:      someID.Draw(t, "id"),
			Profile: someProfile.Draw(t, "profile"),
			Seen:    Seen{Boot: someCount.Draw(t, "seen boot"), Nonce: someCount.Draw(t, "nonce"), Limit: someCount.Draw(t, "limit")},
			Decision: Decision{
				Status:  Status(rapid.IntRange(0, int(numStatuses)-1).Draw(t, "status")),
				Version: someCount.Draw(t, "version"), Author: someID.Draw(t, "author"),
			},
		}
	})
	someOrder = rapid.Custom(func(t *rapid.T) Order {
		return Order{Node: someID.Draw(t, "node"), Staged: Staged{
			Action: Action(rapid.IntRange(0, int(numActions)-1).Draw(t, "action")), By: rapid.SampledFrom([]kv.NodeID{0, 3, 4}).Draw(t, "by"),
			Weight: rapid.Uint32Range(0, 2).Draw(t, "weight"), Gone: rapid.Bool().Draw(t, "gone"),
			Version: someCount.Draw(t, "version"), Author: someID.Draw(t, "author"),
		}}
	})
	someTransition = rapid.Custom(func(t *rapid.T) *Transition {
		v := &Transition{
			Slot:     Slot{Epoch: rapid.Uint64Range(2, 4).Draw(t, "epoch"), Amendment: rapid.Uint32Range(0, 1).Draw(t, "amendment")},
			Lost:     rapid.SampledFrom([][]kv.NodeID{nil, {1}, {1, 2}}).Draw(t, "lost"),
			Proposer: someID.Draw(t, "proposer"),
			Certificate: Certificate{
				Ballot:   Ballot{Round: someCount.Draw(t, "round"), Node: someID.Draw(t, "by"), Try: 1},
				Accepted: rapid.SampledFrom([][]kv.NodeID{{1}, {1, 2}}).Draw(t, "accepted"), Forced: rapid.Bool().Draw(t, "forced"),
			},
		}
		v.To = testRing(v.Epoch, []kv.NodeID{1, 2, 3}[:rapid.IntRange(1, 3).Draw(t, "nodes")]...)
		if rapid.Bool().Draw(t, "changes") {
			v.Changes = []Order{someOrder.Draw(t, "change")}
		}
		return v
	})
	someSLA = rapid.Custom(func(t *rapid.T) kv.SLA {
		one := rapid.SampledFrom([]kv.Objective{{}, {Share: 99_900, Micros: 300_000}, {Share: 1, Micros: 1}})
		return kv.SLA{Get: one.Draw(t, "get"), Put: one.Draw(t, "put")}
	})
	someBucket = rapid.Custom(func(t *rapid.T) Bucket {
		q := rapid.Int8Range(1, 3)
		return Bucket{
			Props:   kv.Props{Quorums: kv.Quorums{R: q.Draw(t, "r"), W: kv.Unset, DW: 0}, Merge: kv.Merge(rapid.IntRange(0, 1).Draw(t, "merge")), TTL: kv.TTL(rapid.IntRange(0, 2).Draw(t, "ttl")), Meta: rapid.SampledFrom([]string{"", "m"}).Draw(t, "meta"), SLA: someSLA.Draw(t, "sla")},
			Version: someCount.Draw(t, "version"), Author: someID.Draw(t, "author"),
		}
	})
	someState = rapid.Custom(func(t *rapid.T) *State {
		s := newState(testCluster, nil, someRing.Draw(t, "ring"), nil)
		for _, m := range rapid.SliceOfN(someMember, 0, 4).Draw(t, "members") {
			s = s.withMember(m)
		}
		for name, b := range rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), someBucket, 0, 3).Draw(t, "buckets") {
			s = s.withBucket(name, b)
		}
		for _, o := range rapid.SliceOfN(someOrder, 0, 3).Draw(t, "staged") {
			s = s.withStaged(o.Node, o.Staged)
		}
		if rapid.Bool().Draw(t, "changing") {
			s = s.Adopt(someTransition.Draw(t, "transition"))
		}
		s = s.withLeast(rapid.SampledFrom([]wire.Version{0, 2, 3}).Draw(t, "least"))
		if v := someCount.Draw(t, "sla version"); v > 0 {
			s = s.withContract(Contract{SLA: someSLA.Draw(t, "cluster's sla"), Version: v, Author: someID.Draw(t, "sla author")})
		}
		return s.withSecret(rapid.SampledFrom([][]byte{nil, make([]byte, SecretSize), bytes.Repeat([]byte{7}, SecretSize)}).Draw(t, "secret"))
	})
)

func mustMerge(t interface{ Fatal(...any) }, a, b *State) *State {
	m, err := Merge(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func same(a, b *State) bool { return string(a.AppendTo(nil)) == string(b.AppendTo(nil)) }

func TestMergeLaws(t *testing.T) {
	through := func(t *rapid.T, s *State) *State {
		again, err := ParseState(s.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := someState.Draw(t, "a"), someState.Draw(t, "b"), someState.Draw(t, "c")
		ab := mustMerge(t, a, b)
		if err := ab.check(); err != nil {
			t.Fatal(err)
		}
		if !same(ab, mustMerge(t, b, a)) {
			t.Error("merge is not commutative")
		}
		if !same(mustMerge(t, ab, c), mustMerge(t, a, mustMerge(t, b, c))) {
			t.Error("merge is not associative")
		}
		if !same(mustMerge(t, a, a), a) || !same(mustMerge(t, ab, b), ab) {
			t.Error("merge is not idempotent")
		}
		if !same(mustMerge(t, through(t, a), through(t, b)), ab) {
			t.Error("merge is not the same through the codec")
		}
	})
}

// Who has a settled ring takes up no transition that leads to it, or to one
// before it.
func TestSettledRingVoidsTransitions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someState.Draw(t, "a"), someState.Draw(t, "b")
		m := mustMerge(t, a, b)
		for _, s := range []*State{a, b} {
			tr := s.Transition()
			switch {
			case tr == nil:
			case tr.Epoch <= m.Epoch():
				if m.Transition() != nil && m.Transition().Epoch <= m.Epoch() {
					t.Error("it is taken up")
				}
			case m.Transition() == nil || m.Transition().Slot.compare(tr.Slot) < 0:
				t.Error("it is lost")
			}
		}
	})
}

// A message carries some sections only; the rest of the state must stay.
func TestMergeOfSections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := someState.Draw(t, "a"), someState.Draw(t, "b")
		part, err := parseSections(b.cluster, b.differing(a.hashes, numSections))
		if err != nil {
			t.Fatal(err)
		}
		if !same(mustMerge(t, a, part), mustMerge(t, a, b)) {
			t.Error("merging the differing sections is not merging the state")
		}
	})
}

func TestMergeKeepsTheGreatest(t *testing.T) {
	old := Member{ID: 1, Profile: Profile{Name: "n1", Boot: 1, Counter: 9}, Seen: Seen{Boot: 1, Nonce: 9, Limit: 50},
		Decision: Decision{Status: StatusStaged, Version: 2, Author: 9}}
	late := Member{ID: 1, Profile: Profile{Name: "n1", Zone: "z", Boot: 2, Counter: 1}, Seen: Seen{Boot: 2, Nonce: 3, Limit: 40},
		Decision: Decision{Status: StatusMember, Version: 3, Author: 1}}
	got := mergeMember(old, late)
	want := late
	want.Seen.Limit = 50
	if got.Profile.Zone != "z" || got.Seen != want.Seen || got.Decision != want.Decision {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMergeRefusesStrangers(t *testing.T) {
	a := newState(1, nil, nil, nil)
	b := newState(2, []Member{{ID: 1}}, nil, nil)
	if _, err := Merge(a, b); kv.KindOf(err) != kv.KindWrongCluster {
		t.Errorf("got %v, want wrong cluster", err)
	}
}

func TestMergeLimits(t *testing.T) {
	members := func(from, n int) *State {
		list := make([]Member, n)
		for i := range list {
			list[i].ID = kv.NodeID(from + i)
		}
		return newState(testCluster, list, nil, nil)
	}
	if _, err := Merge(members(1, maxStateMembers-1), members(maxStateMembers, 1)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := Merge(members(1, maxStateMembers), members(maxStateMembers+1, 1)); kv.KindOf(err) != kv.KindTooLarge {
		t.Errorf("one past the limit: got %v, want too large", err)
	}
}
