package ring

import "github.com/ringtaildb/ringtail/internal/kv"

// ZoneLoss is what the loss of a zone would leave.
type ZoneLoss struct {
	// Left is the number of owners that the partitions keep which keep fewest, In
	// the number of those partitions.
	Left int `json:"left"`
	In   int `json:"in"`
}

// inZones counts the owners of each partition by their zone, and tells seen.
func (r *Ring) inZones(zones zoning, seen func(byZone []int)) {
	byZone := make([]int, len(zones.names))
	for p := range r.params.Q {
		clear(byZone)
		for _, v := range r.list(kv.Partition(p)) {
			byZone[zones.of[v]]++
		}
		seen(byZone)
	}
}

// spans returns the number of zones in which each partition has owners at least,
// as the owner lists have it.
func (r *Ring) spans() int {
	least := r.width
	r.inZones(newZoning(r.nodes), func(byZone []int) {
		covered := 0
		for _, n := range byZone {
			if n > 0 {
				covered++
			}
		}
		least = min(least, covered)
	})
	return least
}

// losses returns what the loss of each zone would leave, in the order of zones.
func (r *Ring) losses(zones zoning) []ZoneLoss {
	out := make([]ZoneLoss, len(zones.names))
	for z := range out {
		out[z].Left = r.width
	}
	r.inZones(zones, func(byZone []int) {
		for z, n := range byZone {
			switch left := r.width - n; {
			case left < out[z].Left:
				out[z] = ZoneLoss{left, 1}
			case left == out[z].Left:
				out[z].In++
			}
		}
	})
	return out
}

// worst returns the zone whose loss leaves some partition the fewest owners; of
// several, that which does so to most partitions, and is first in name.
func worst(zones zoning, losses []ZoneLoss) int {
	at := 0
	for z, l := range losses {
		w := losses[at]
		if l.Left < w.Left || l.Left == w.Left && (l.In > w.In || l.In == w.In && zones.names[z] < zones.names[at]) {
			at = z
		}
	}
	return at
}
