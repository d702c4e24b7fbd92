package membership

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Requests that are not a node's, not membership's, or garbage are answered
// with an error.
func TestHandleRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t, newFabric(), 1, creating)
		n.run()
		patience := time.Second
		ask := func(from kv.NodeID, typ wire.Type, payload []byte) error {
			got := make(chan error, 1)
			answer := &oneAnswer{done: func(_ []byte, err error) { got <- err }}
			n.Handle(wire.Request{Type: typ, From: from, Payload: payload, Deadline: time.Now().Add(patience), Reply: wire.Reply{To: answer, Type: typ}})
			return <-got
		}
		good := (&message{verb: verbExchange, cluster: n.State().Cluster()}).AppendTo(nil)
		stranger := (&message{verb: verbExchange, cluster: 9}).AppendTo(nil)
		later := append([]byte{messageVersion + 1}, good[1:]...)
		forged := Ask{Slot: Slot{Epoch: 2}, Ballot: Ballot{1, 3, 7}}.AppendTo(nil)
		nonsense := Ask{Slot: Slot{Epoch: 2}, Ballot: Ballot{1, 5, 7}, Value: []byte{1, 2}}.AppendTo(nil)
		for _, c := range []struct {
			name    string
			from    kv.NodeID
			typ     wire.Type
			payload []byte
			want    kv.Kind
		}{
			{"client", 0, wire.TypeState, good, kv.KindRefused},
			{"other type", 5, wire.TypeGet, good, kv.KindInvalid},
			{"garbage state", 5, wire.TypeState, []byte("\x01\x01garbage"), kv.KindInvalid},
			{"state of a later release", 5, wire.TypeState, later, kv.KindWrongVersion},
			{"state of another cluster", 5, wire.TypeState, stranger, kv.KindWrongCluster},
			{"garbage vote", 5, wire.TypeVote, []byte{1, 2, 3}, kv.KindInvalid},
			{"vote of a later release", 5, wire.TypeVote, []byte{voteVersion + 1, 2, 3}, kv.KindWrongVersion},
			{"vote in another's name", 5, wire.TypeVote, forged, kv.KindInvalid},
			{"vote on nonsense", 5, wire.TypeVote, nonsense, kv.KindInvalid},
			{"garbage marks", 5, wire.TypeMarks, []byte{1, 2, 3}, kv.KindInvalid},
		} {
			if err := ask(c.from, c.typ, c.payload); kv.KindOf(err) != c.want || err == nil {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
		}
		if err := ask(5, wire.TypeState, good); err != nil {
			t.Errorf("a good request: %v", err)
		}
		patience = 0
		vote := Ask{Slot: Slot{Epoch: 2}, Ballot: Ballot{1, 5, 7}}.AppendTo(nil)
		for range 20 {
			if err := ask(5, wire.TypeVote, vote); kv.KindOf(err) != kv.KindTimeout {
				t.Errorf("past its deadline: got %v", err)
			}
		}
		patience = time.Second
		stopAll(t, n)
		if err := ask(5, wire.TypeState, good); kv.KindOf(err) != kv.KindClosed {
			t.Errorf("after the end: got %v, want closed", err)
		}
	})
}

func TestInboxLimits(t *testing.T) {
	errs := make(chan error, 2*maxWaiting)
	put := func(in *inbox, size int) {
		answer := respondFunc(func(m wire.Appender) { errs <- wire.ParseError(m.AppendTo(nil)) })
		in.put(in.states, wire.Request{From: 1, Type: wire.TypeState, Payload: make([]byte, size), Reply: wire.Reply{To: answer}}, time.Unix(1, 0))
	}
	in := newInbox()
	for range maxWaiting {
		put(in, 1)
	}
	if len(errs) != 0 {
		t.Fatalf("at the limit: %v", <-errs)
	}
	put(in, 1)
	if len(errs) != 1 || kv.KindOf(<-errs) != kv.KindOverloaded {
		t.Error("one request past the limit was taken")
	}
	in = newInbox()
	put(in, maxWaitingBytes)
	if len(errs) != 0 {
		t.Fatalf("at the limit of bytes: %v", <-errs)
	}
	put(in, 1)
	if len(errs) != 1 || kv.KindOf(<-errs) != kv.KindOverloaded {
		t.Error("one byte past the limit was taken")
	}
}

type respondFunc func(wire.Appender)

func (f respondFunc) Respond(_ uint64, _ wire.Type, _ wire.Flags, m wire.Appender) { f(m) }

func TestWelcome(t *testing.T) {
	n := newNode(t, newFabric(), 1, creating)
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	empty := n.State()
	full := func(members int) *State {
		st := empty
		list := slices.Clone(st.Members())
		for i := len(list); i < members; i++ {
			list = append(list, Member{ID: kv.NodeID(i), Profile: Profile{Name: fmt.Sprint("m", i)}})
		}
		slices.SortFunc(list, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
		return st.withMembers(list)
	}
	joiner := Member{ID: 1 << 40, Profile: Profile{Name: "n2", Boot: 1}}
	for _, c := range []struct {
		name string
		st   *State
		news *State
		want kv.Kind
	}{
		{"itself", empty, newState(1, []Member{joiner}, nil, nil), kv.NumKinds},
		{"nothing", empty, newState(1, nil, nil, nil), kv.KindInvalid},
		{"itself and a ring", empty, newState(1, []Member{joiner}, testRing(9, 1), nil), kv.KindInvalid},
		{"another", empty, newState(1, []Member{{ID: 5}}, nil, nil), kv.KindInvalid},
		{"two", empty, newState(1, []Member{{ID: 5}, joiner}, nil, nil), kv.KindInvalid},
		{"removed before", empty.withMember(Member{ID: joiner.ID, Decision: Decision{Status: StatusRemoved}}), newState(1, []Member{joiner}, nil, nil), kv.KindRefused},
		{"at the limit", full(kv.MaxMembers - 1), newState(1, []Member{joiner}, nil, nil), kv.NumKinds},
		{"one past the limit", full(kv.MaxMembers), newState(1, []Member{joiner}, nil, nil), kv.KindTooLarge},
	} {
		n.state.Store(c.st)
		err := n.welcome(joiner.ID, &message{verb: verbAnnounce, cluster: 1, sections: c.news.encoded})
		if c.want == kv.NumKinds && err != nil || c.want != kv.NumKinds && (err == nil || kv.KindOf(err) != c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}
