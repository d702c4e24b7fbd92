package membership

import (
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestAdmit(t *testing.T) {
	const ok = kv.NumKinds
	self := wire.Identity{Node: 1, Boot: 4, Nonce: 44, Base: 100, Limit: 110}
	state := newState(testCluster, []Member{
		{ID: 1},
		{ID: 2, Seen: Seen{Boot: 5, Nonce: 55, Limit: 50}},
		{ID: 3, Decision: Decision{Status: StatusRemoved}},
	}, nil, nil)
	node := func(id, boot, nonce, base uint64) wire.Hello {
		return wire.Hello{Versions: wire.Spoken(), Role: wire.RoleNode, Cluster: testCluster, Identity: wire.Identity{Node: kv.NodeID(id), Boot: boot, Nonce: nonce, Base: base, Limit: base + 10}}
	}
	in := func(h wire.Hello, c kv.ClusterID) wire.Hello { h.Cluster = c; return h }
	for _, c := range []struct {
		name  string
		hello wire.Hello
		want  kv.Kind
	}{
		{"client of any cluster", wire.Hello{Role: wire.RoleClient}, ok},
		{"client of this cluster", in(wire.Hello{Role: wire.RoleClient}, testCluster), ok},
		{"client of another cluster", in(wire.Hello{Role: wire.RoleClient}, 9), kv.KindWrongCluster},
		{"node of another cluster", in(node(2, 5, 55, 40), 9), kv.KindWrongCluster},
		{"node of no cluster", in(node(2, 5, 55, 40), 0), kv.KindWrongCluster},
		{"joiner", node(9, 1, 1, 0), ok},
		{"same start", node(2, 5, 55, 40), ok},
		{"next start", node(2, 6, 66, 50), ok},
		{"start after next", node(2, 7, 77, 60), ok},
		{"earlier start", node(2, 4, 44, 40), kv.KindOldCopy},
		{"two processes of one start", node(2, 5, 56, 50), kv.KindOldCopy},
		{"next start of an old copy", node(2, 6, 66, 49), kv.KindOldCopy},
		{"much later start of an old copy", node(2, 99, 66, 49), kv.KindOldCopy},
		{"removed", node(3, 1, 1, 0), kv.KindOldCopy},
		{"the node itself", node(1, 4, 44, 100), kv.KindRefused},
		{"a copy of the node itself", node(1, 5, 45, 110), kv.KindOldCopy},
	} {
		err := admit(state, self, c.hello)
		if c.want == ok && err != nil || c.want != ok && (err == nil || kv.KindOf(err) != c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if c.want == kv.KindOldCopy && !strings.Contains(err.Error(), "use replace") && !strings.Contains(err.Error(), "use an empty data directory") {
			t.Errorf("%s: the text does not say what to do: %v", c.name, err)
		}
	}
	if err := admit(newState(0, nil, nil, nil), self, node(9, 1, 1, 0)); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("without a cluster: got %v, want refused", err)
	}
}

func TestCheckSelf(t *testing.T) {
	self := wire.Identity{Node: 1, Boot: 4, Nonce: 44, Base: 100, Limit: 110}
	for _, c := range []struct {
		name string
		seen Seen
		dies bool
	}{
		{"nothing seen", Seen{}, false},
		{"this start", Seen{Boot: 4, Nonce: 44, Limit: 110}, false},
		{"this start has reserved more since", Seen{Boot: 4, Nonce: 44, Limit: 90}, false},
		{"an earlier start", Seen{Boot: 3, Nonce: 33, Limit: 100}, false},
		{"an earlier start that went further", Seen{Boot: 3, Nonce: 33, Limit: 101}, true},
		{"a later start", Seen{Boot: 5, Nonce: 55, Limit: 120}, true},
		{"another process", Seen{Boot: 4, Nonce: 45, Limit: 110}, true},
	} {
		err := checkSelf(newState(testCluster, []Member{{ID: 1, Seen: c.seen}}, nil, nil), self)
		if c.dies != (kv.KindOf(err) == kv.KindOldCopy && err != nil) || !c.dies && err != nil {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestObserve(t *testing.T) {
	s := newState(testCluster, []Member{{ID: 2, Seen: Seen{Boot: 5, Nonce: 55, Limit: 50}}}, nil, nil)
	for _, i := range []wire.Identity{{Node: 3, Boot: 9}, {Node: 2, Boot: 5, Nonce: 55, Limit: 50}, {Node: 2, Boot: 4, Nonce: 99, Limit: 10}} {
		if observe(s, i) != s {
			t.Errorf("%+v is news", i)
		}
	}
	m, _ := observe(s, wire.Identity{Node: 2, Boot: 6, Nonce: 66, Base: 50, Limit: 60}).Member(2)
	if want := (Seen{Boot: 6, Nonce: 66, Limit: 60}); m.Seen != want {
		t.Errorf("got %+v, want %+v", m.Seen, want)
	}
}

func TestNameOwner(t *testing.T) {
	s := newState(testCluster, []Member{
		{ID: 1, Profile: Profile{Name: "n1"}},
		{ID: 2, Profile: Profile{Name: "gone"}, Decision: Decision{Status: StatusRemoved}},
	}, nil, nil)
	for _, c := range []struct {
		id    kv.NodeID
		name  string
		taken bool
	}{{9, "n1", true}, {1, "n1", false}, {9, "gone", false}, {9, "n9", false}} {
		if _, taken := nameOwner(s, c.id, c.name); taken != c.taken {
			t.Errorf("%q for node %v: taken %v", c.name, c.id, taken)
		}
	}
}
