package ring

import (
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func testKey(t testing.TB) kv.Key {
	k, err := kv.NewKey("carts", "customer-1234567890")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What runs for every request must not allocate.
func TestHotPathDoesNotAllocate(t *testing.T) {
	r := mustClaim(t, nil, DefaultParams(), 1, equals(100))
	params := DefaultParams()
	params.Partitioner = CRC16
	crc := mustClaim(t, nil, params, 1, equals(100))
	k, id, list := testKey(t), r.Nodes()[50].ID, make([]kv.NodeID, 0, 100)
	for name, f := range map[string]func(){
		"PartitionOf md5":   func() { r.PartitionOf(k) },
		"PartitionOf crc16": func() { crc.PartitionOf(k) },
		"Owners":            func() { r.Owners(7) },
		"Owns":              func() { r.Owns(7, id) },
		"Contains":          func() { r.Contains(id) },
		"Load":              func() { r.Load(id) },
		"Tokens":            func() { r.Tokens(id) },
		"Preference":        func() { r.Preference(7, list) },
		"PreferencePrefix":  func() { r.PreferencePrefix(7, 5, list) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPartitionOf(b *testing.B) {
	for _, f := range []Partitioner{MD5, CRC16} {
		b.Run(f.String(), func(b *testing.B) {
			params := DefaultParams()
			params.Partitioner = f
			r, k := mustClaim(b, nil, params, 1, equals(10)), testKey(b)
			b.ReportAllocs()
			for b.Loop() {
				r.PartitionOf(k)
			}
		})
	}
}

func BenchmarkPreference(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		for _, limit := range []int{5, n} {
			b.Run(fmt.Sprintf("nodes=%d/first=%d", n, limit), func(b *testing.B) {
				r := mustClaim(b, nil, DefaultParams(), 1, equals(n))
				list := make([]kv.NodeID, 0, n)
				b.ReportAllocs()
				for b.Loop() {
					r.PreferencePrefix(7, limit, list)
				}
			})
		}
	}
}

func BenchmarkClaim(b *testing.B) {
	for _, size := range []struct{ nodes, q, zones int }{
		{10, 1024, 1}, {10, 1024, 3}, {100, 1024, 1}, {100, 1024, 3}, {1000, 16384, 1}, {1000, 16384, 3},
		{1000, 65536, 1}, {1000, 65536, 3},
	} {
		params := DefaultParams()
		params.Q = size.q
		nodes := equals(size.nodes + 1)
		for i := range nodes {
			nodes[i].Zone = fmt.Sprint(i % size.zones)
		}
		r := mustClaim(b, nil, params, 1, nodes[:size.nodes])
		for _, change := range []struct {
			name string
			prev *Ring
			to   []Node
		}{{"first", nil, nodes[:size.nodes]}, {"join", r, nodes}, {"leave", r, nodes[1:size.nodes]}} {
			b.Run(fmt.Sprintf("nodes=%d/q=%d/zones=%d/%s", size.nodes, size.q, size.zones, change.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					mustClaim(b, change.prev, params, 2, change.to)
				}
			})
		}
	}
}
