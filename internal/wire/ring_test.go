package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// ringOf returns a valid RingInfo with as many nodes.
func ringOf(nodes, partitions, width int) *RingInfo {
	m := &RingInfo{Hash: 1, Epoch: 5, Partitioner: "md5", Partitions: partitions, Width: width}
	for i := range nodes {
		m.Nodes = append(m.Nodes, RingNode{ID: kv.NodeID(i + 1), Up: i%2 == 0, Peer: "127.0.0.1:7401"})
	}
	for i := range partitions * width {
		m.Owners = append(m.Owners, uint16(i%nodes))
	}
	return m
}

// someRing draws a RingInfo.
var someRing = rapid.Custom(func(t *rapid.T) *RingInfo {
	hash := rapid.Uint64Min(1).Draw(t, "hash")
	if rapid.Bool().Draw(t, "same") {
		return &RingInfo{Hash: hash, Same: true}
	}
	nodes := rapid.SampledFrom([]int{1, 2, 9, 256, 257}).Draw(t, "nodes")
	m := ringOf(nodes, 1<<rapid.IntRange(0, 6).Draw(t, "partitions"), rapid.IntRange(1, min(nodes, kv.MaxReplicas)).Draw(t, "width"))
	m.Hash, m.Partitioner = hash, string(rapid.SliceOfN(rapid.Byte(), 0, 255).Draw(t, "partitioner"))
	m.Nodes[0].Peer = strings.Repeat("x", rapid.IntRange(0, maxRingAddr).Draw(t, "address"))
	for p := range m.Partitions {
		if rapid.IntRange(0, 3).Draw(t, "moves") == 0 {
			owners := rapid.SliceOfN(rapid.Uint16Max(uint16(nodes-1)), 1, maxRingOwners).Draw(t, "owners")
			readers := rapid.Uint32Range(1, uint32(1<<len(owners)-1)).Draw(t, "readers")
			m.Moving = append(m.Moving, RingMove{Partition: kv.Partition(p), Readers: readers, Owners: owners})
		}
	}
	return m
})

func TestRingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := someRing.Draw(t, "ring")
		b := m.AppendTo(nil)
		got, err := ParseRingInfo(b)
		if diff := cmp.Diff(m, &got, cmpopts.EquateEmpty()); err != nil || diff != "" || m.Size() != len(b) {
			t.Fatalf("%v, %d bytes, Size says %d (-sent +received):\n%s", err, len(b), m.Size(), diff)
		}
		if len(b) > ringHash {
			cutAt := rapid.IntRange(ringHash+1, len(b)-1).Draw(t, "cut")
			if got, err := ParseRingInfo(b[:cutAt]); err == nil && len(got.Moving) == len(m.Moving) {
				t.Fatalf("%d of %d bytes are read as the same ring", cutAt, len(b))
			}
		}
	})
}

func TestRingSeal(t *testing.T) {
	m := ringOf(10, 1024, 3)
	b := m.Seal()
	got, err := ParseRingInfo(b)
	if diff := cmp.Diff(m, &got, cmpopts.EquateEmpty()); err != nil || diff != "" || m.Hash < 2 {
		t.Fatalf("%v, hash %x (-sealed +read):\n%s", err, m.Hash, diff)
	}
	if len(b) > 3500 {
		t.Errorf("1,024 partitions of 3 owners take %d bytes", len(b))
	}
	if same, err := ParseRingInfo(SameRing(b)); err != nil || !same.Same || same.Hash != m.Hash {
		t.Errorf("%+v, %v", same, err)
	}
	other := ringOf(10, 1024, 3)
	other.Nodes[4].Up = !other.Nodes[4].Up
	if other.Seal(); other.Hash == m.Hash {
		t.Error("another ring has the same hash")
	}
	if again := ringOf(10, 1024, 3).Seal(); !bytes.Equal(again, b) {
		t.Error("the same ring has another encoding")
	}
}

// TestRingLimits: what is at the limit is read, what is past it is refused.
func TestRingLimits(t *testing.T) {
	moving := func(m RingMove) *RingInfo {
		r := ringOf(40, 4, 3)
		r.Moving = append(r.Moving, m)
		return r
	}
	owners := make([]uint16, maxRingOwners)
	long := ringOf(1, 1, 1)
	long.Nodes[0].Peer = strings.Repeat("x", maxRingAddr)
	longer := ringOf(1, 1, 1)
	longer.Nodes[0].Peer = strings.Repeat("x", maxRingAddr+1)
	twice := ringOf(2, 1, 1)
	twice.Nodes[1].ID = 1
	stranger := ringOf(3, 4, 3)
	stranger.Owners[11] = 3
	nameless := ringOf(3, 4, 3)
	nameless.Nodes[0].ID = 0
	most := ringOf(kv.MaxMembers, maxPartitions, kv.MaxReplicas)
	for p := range maxPartitions {
		most.Moving = append(most.Moving, RingMove{Partition: kv.Partition(p), Readers: 1, Owners: owners})
	}
	for i := range most.Nodes {
		most.Nodes[i].Peer = long.Nodes[0].Peer
	}
	most.Partitioner = strings.Repeat("x", maxRingName)
	for _, c := range []struct {
		name string
		m    *RingInfo
		ok   bool
	}{
		{"the largest", most, true},
		{"more nodes", ringOf(kv.MaxMembers+1, 1, 1), false},
		{"more partitions", ringOf(1, 2*maxPartitions, 1), false},
		{"more owners than N may be", ringOf(40, 4, kv.MaxReplicas+1), false},
		{"more owners than nodes", ringOf(2, 4, 3), false},
		{"no owners", ringOf(2, 4, 0), false},
		{"longest address", long, true},
		{"longer address", longer, false},
		{"a node twice", twice, false},
		{"a node without an id", nameless, false},
		{"an owner that is none of the nodes", stranger, false},
		{"the last partition moves", moving(RingMove{3, 1, owners}), true},
		{"a partition more moves", moving(RingMove{4, 1, owners}), false},
		{"it moves to too many", moving(RingMove{1, 1, make([]uint16, maxRingOwners+1)}), false},
		{"it moves to nobody", moving(RingMove{1, 1, nil}), false},
		{"nobody reads it", moving(RingMove{1, 0, owners[:2]}), false},
		{"a stranger reads it", moving(RingMove{1, 4, owners[:2]}), false},
		{"the last one reads it", moving(RingMove{1, 2, owners[:2]}), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.m.Seal()
			if _, err := ParseRingInfo(b); (err == nil) != c.ok {
				t.Errorf("%d bytes: %v", len(b), err)
			}
			if c.m == most && len(b) != MaxRing {
				t.Errorf("the largest has %d bytes, the limit is %d", len(b), MaxRing)
			}
		})
	}
	later := ringOf(1, 1, 1).Seal()
	later[ringHash]++
	if _, err := ParseRingInfo(later); kv.KindOf(err) != kv.KindWrongVersion {
		t.Errorf("a later format: %v", err)
	}
	if _, err := ParseRingInfo(make([]byte, MaxRing+1)); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("too many bytes: %v", err)
	}
}

// Whatever is a ring is the one that its parts would make, and takes no more
// memory than its bytes justify.
func FuzzRingInfo(f *testing.F) {
	f.Add(ringOf(3, 8, 3).Seal())
	f.Add(ringOf(257, 2, 2).Seal())
	m := ringOf(4, 8, 3)
	m.Moving = []RingMove{{2, 0b1110, []uint16{0, 1, 2, 3}}, {7, 1, []uint16{3}}}
	f.Add(m.Seal())
	f.Add(SameRing(m.Seal()))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseRingInfo(b)
		if err != nil {
			return
		}
		if got := m.AppendTo(nil); !bytes.Equal(got, b) || m.Size() != len(b) {
			t.Errorf("the ring\n% x is made again as\n% x, of size %d", b, got, m.Size())
		}
		if !m.Same && slices.Max(m.Owners) >= uint16(len(m.Nodes)) {
			t.Error("an owner is none of the nodes")
		}
	})
}

func FuzzRingQuery(f *testing.F) {
	f.Add((&RingQuery{Known: 7}).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := ParseRingQuery(b); err == nil && !bytes.Equal(m.AppendTo(nil), b) {
			t.Errorf("% x is made again otherwise", b)
		}
	})
}
