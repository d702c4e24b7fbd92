package membership

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// anyProps leave all to the cluster.
var anyProps = kv.Props{Quorums: kv.Quorums{R: kv.Unset, W: kv.Unset, DW: kv.Unset}}

func TestStateCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := someState.Draw(t, "state")
		b := s.AppendTo(nil)
		again, err := ParseState(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.AppendTo(nil), b) || again.hashes != s.hashes {
			t.Error("the encoding is not canonical")
		}
		if d := cmp.Diff(s.Members(), again.Members()); d != "" && len(s.Members()) > 0 {
			t.Error(d)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := ParseState(b[:cut]); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("cut to %d of %d bytes: got %v, want invalid", cut, len(b), err)
		}
	})
}

func TestStateOfAnotherRelease(t *testing.T) {
	s := newState(testCluster, nil, nil, nil)
	e := s.encoded
	e[sectionBuckets] = append([]byte{0, sectionVersion + 1}, 1, 2, 3)
	if _, err := parseSections(testCluster, e); kv.KindOf(err) != kv.KindWrongVersion {
		t.Errorf("got %v, want wrong version", err)
	}
	// A section that a later release added is left alone.
	b := s.AppendTo(nil)
	b[8]++
	b = append(b, byte(numSections), 0, 0, 0, 1, 9)
	if again, err := ParseState(b); err != nil || again.hashes != s.hashes {
		t.Errorf("with a section more: %v", err)
	}
}

// Each limit of a decoder holds at its value and is an error one past it.
func TestDecoderLimits(t *testing.T) {
	member := func(change func(*Profile)) func() *State {
		return func() *State {
			m := Member{ID: 1}
			change(&m.Profile)
			return newState(testCluster, []Member{m}, nil, nil)
		}
	}
	aliases := func(n int) []kv.NodeID {
		out := make([]kv.NodeID, n)
		for i := range out {
			out[i] = kv.NodeID(i + 1)
		}
		return out
	}
	buckets := func(n int) func() *State {
		return func() *State {
			m := make(map[string]Bucket, n)
			for i := range n {
				m[string([]byte{byte('a' + i>>12), byte(i >> 6 & 63), byte(i & 63)})] = Bucket{Props: anyProps}
			}
			return newState(testCluster, nil, nil, m)
		}
	}
	members := func(n int) func() *State {
		return func() *State {
			list := make([]Member, n)
			for i := range list {
				list[i].ID = kv.NodeID(i + 1)
			}
			return newState(testCluster, list, nil, nil)
		}
	}
	staged := func(n int) func() *State {
		return func() *State {
			m := make(map[kv.NodeID]Staged, n)
			for i := range n {
				m[kv.NodeID(i+1)] = Staged{Action: Leave}
			}
			return newState(testCluster, nil, nil, nil).withStagings(m)
		}
	}
	weight := func(w uint32) func() *State {
		return func() *State {
			return newState(testCluster, nil, nil, nil).withStaged(1, Staged{Action: Weight, Weight: w})
		}
	}
	for _, c := range []struct {
		name     string
		at, past func() *State
	}{
		{"name", member(func(p *Profile) { p.Name = strings.Repeat("n", MaxName) }), member(func(p *Profile) { p.Name = strings.Repeat("n", MaxName+1) })},
		{"address", member(func(p *Profile) { p.Addrs.Riak = strings.Repeat("n", MaxAddress) }), member(func(p *Profile) { p.Addrs.Riak = strings.Repeat("n", MaxAddress+1) })},
		{"zone", member(func(p *Profile) { p.Zone = strings.Repeat("z", 255) }), member(func(p *Profile) { p.Zone = strings.Repeat("z", 256) })},
		{"aliases", member(func(p *Profile) { p.Aliases = aliases(MaxAliases) }), member(func(p *Profile) { p.Aliases = aliases(MaxAliases + 1) })},
		{"members", members(maxStateMembers), members(maxStateMembers + 1)},
		{"buckets", buckets(maxStateBuckets), buckets(maxStateBuckets + 1)},
		{"staged", staged(maxStateMembers), staged(maxStateMembers + 1)},
		{"weight", weight(ring.MaxWeight), weight(ring.MaxWeight + 1)},
	} {
		if _, err := ParseState(c.at().AppendTo(nil)); err != nil {
			t.Errorf("%s at the limit: %v", c.name, err)
		}
		if _, err := ParseState(c.past().AppendTo(nil)); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s one past the limit: got %v, want invalid", c.name, err)
		}
	}
}

// A count that the input is too short for must cost no memory.
func TestCountsAreChecked(t *testing.T) {
	b := []byte{0, 0, 0, 0, 0, 0, 0, 1, 1, byte(sectionMembers), 0, 0, 0, 6, 0, sectionVersion, 0, 0, 0x1f, 0xff}
	if _, err := ParseState(b); kv.KindOf(err) != kv.KindInvalid {
		t.Fatalf("got %v, want invalid", err)
	}
	if n := testing.AllocsPerRun(10, func() { ParseState(b) }); n > 100 {
		t.Errorf("%v allocations for a lie", n)
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(newState(testCluster, []Member{{ID: 1, Profile: Profile{Name: "n1", Aliases: []kv.NodeID{2}}}}, testRing(1, 1), nil).
		withBucket("a", Bucket{Props: anyProps, Version: 1}).AppendTo(nil))
	f.Add(newState(testCluster, nil, nil, nil).withContract(Contract{SLA: kv.SLA{Get: fast}, Version: 1}).
		withBucket("a", Bucket{Props: kv.Props{Quorums: anyProps.Quorums, SLA: kv.SLA{Put: slow}}, Version: 1}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			return
		}
		if err := s.check(); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	s := newState(testCluster, []Member{{ID: 1}}, nil, nil)
	f.Add((&message{verb: verbExchange, cluster: testCluster, sent: 5, hashes: s.hashes, knows: numSections, sections: s.encoded, way: way{epoch: 2}, marks: []byte{1, 1}}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		again := m.AppendTo(nil)
		if m.Size() != len(again) {
			t.Errorf("Size is %d, the message %d bytes", m.Size(), len(again))
		}
		if n, err := parseMessage(again); err != nil || !cmp.Equal(m, n, cmp.AllowUnexported(message{}, way{})) {
			t.Errorf("read back: %v", err)
		}
	})
}

func FuzzParseDigest(f *testing.F) {
	f.Add(digest{node: 1, peer: "h:1", knows: numSections}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseDigest(b); ok {
			if again, ok := parseDigest(d.append(nil)); !ok || again != d {
				t.Errorf("read back: %+v, %v", again, ok)
			}
		}
	})
}

func FuzzParseAsk(f *testing.F) {
	f.Add(Ask{Slot: Slot{2, 1}, Ballot: Ballot{3, 4, 7}, Value: []byte("v")}.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAsk(b); err == nil && (!bytes.Equal(a.AppendTo(nil), b) || a.Size() != len(b)) {
			t.Error("the encoding is not canonical")
		}
	})
}

func FuzzParseVerdict(f *testing.F) {
	f.Add(Answer{Slot: Slot{2, 1}, Ballot: Ballot{3, 4, 7}, Accepted: Ballot{1, 2, 7}, Value: []byte("v")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseVerdict(b); err == nil && !bytes.Equal(a.append(nil), b) {
			t.Error("the encoding is not canonical")
		}
	})
}

func FuzzParseVote(f *testing.F) {
	f.Add(Acceptor{Slot: Slot{2, 0}, Promised: Ballot{3, 4, 7}, Accepted: Ballot{3, 4, 7}, Value: []byte("v")}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAcceptor(b); err == nil && !bytes.Equal(a.append(nil), b) {
			t.Error("the encoding is not canonical")
		}
	})
}

func FuzzParseValue(f *testing.F) {
	f.Add((&Transition{Slot: Slot{2, 0}, To: testRing(2, 1, 2), Proposer: 1, Lost: []kv.NodeID{1},
		Changes: []Order{{Node: 2, Staged: Staged{Action: Join, Version: 1, Author: 2}}}}).Value())
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, err := ParseValue(b); err == nil && !bytes.Equal(v.Value(), b) {
			t.Error("the encoding is not canonical")
		}
	})
}

func FuzzParseMarks(f *testing.F) {
	f.Add((&markMessage{way: way{epoch: 2}, marks: []byte{1, 2}}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMarks(b); err == nil && (!bytes.Equal(m.AppendTo(nil), b) || m.Size() != len(b)) {
			t.Error("the encoding is not canonical")
		}
		way, err := ring.NewTransition(testRing(1, 1), testRing(2, 1, 2), nil)
		if err != nil {
			t.Fatal(err)
		}
		p := ring.NewProgress(way)
		if _, err := addMarks(p, b); err != nil && kv.KindOf(err) != kv.KindInvalid {
			t.Error(err)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(seedAnswer{cluster: 1, node: 2, peer: "h:1"}.append(nil))
	f.Add(appendRequest(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseAnswer(b); err == nil && !bytes.Equal(a.append(nil), b) {
			t.Error("the encoding is not canonical")
		}
		if err := checkRequest(b); err == nil && len(b) < requestSize {
			t.Error("a short request was accepted")
		}
	})
}

func FuzzParseFile(f *testing.F) {
	f.Add(nodeFile.append(nil, record{node: 1, name: "n1", boot: 1, aliases: []kv.NodeID{4}}.append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := nodeFile.parse(b)
		if err != nil {
			return
		}
		r, err := parseRecord(payload)
		if err == nil && !bytes.Equal(r.append(nil), payload) {
			t.Error("the encoding is not canonical")
		}
	})
}
