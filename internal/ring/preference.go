package ring

import "github.com/ringtaildb/ringtail/internal/kv"

// Preference appends p's preference list (§4.3) to dst and returns the result:
// the owners in their order, then every other node as a stand-in (§4.6), each
// once. Stand-ins are met by walking clockwise over the owners of the
// following partitions; nodes that own nothing come last, by id. It allocates
// only to grow dst, and panics when p is not below Q.
func (r *Ring) Preference(p kv.Partition, dst []kv.NodeID) []kv.NodeID {
	return r.PreferencePrefix(p, len(r.nodes), dst)
}

// PreferencePrefix is Preference cut to its first limit nodes. A long list
// costs a walk over much of the circle, which who seeks one stand-in need not
// pay.
func (r *Ring) PreferencePrefix(p kv.Partition, limit int, dst []kv.NodeID) []kv.NodeID {
	var listed [kv.MaxMembers / 64]uint64
	limit = min(limit, len(r.nodes))
	base := len(dst)
	start := int(p) * r.width
	for walked := range r.owners {
		if len(dst)-base >= limit {
			return dst
		}
		slot := start + walked
		if slot >= len(r.owners) {
			slot -= len(r.owners)
		}
		v := r.owners[slot]
		if bit := uint64(1) << (v % 64); listed[v/64]&bit == 0 {
			listed[v/64] |= bit
			dst = append(dst, r.ids[slot])
		}
	}
	for v := 0; v < len(r.nodes) && len(dst)-base < limit; v++ {
		if listed[v/64]&(1<<(v%64)) == 0 {
			dst = append(dst, r.nodes[v].ID)
		}
	}
	return dst
}
