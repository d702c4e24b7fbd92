package ring

// Placement scatters: the partitions of a node are to share their other owners
// with many nodes, so that a dead node's work falls on many. The scatter is a
// hash of the epoch, partitions and node ids, so that all nodes compute the
// same.

// mix is the finalizer of SplitMix64: a bijection that spreads every bit.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// shuffled returns 0 to q-1 in an order that seed determines.
func shuffled(q int, seed uint64) []int {
	order := make([]int, q)
	for i := range order {
		order[i] = i
		seed = mix(seed)
		j := int(seed % uint64(i+1))
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// jitter returns 16 bits that depend on salt and id.
func jitter(salt, id uint64) uint64 {
	return (salt ^ id) * 0x9e3779b97f4a7c15 >> 48
}
