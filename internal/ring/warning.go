package ring

import "github.com/ringtaildb/ringtail/internal/kv"

// WarningKind names what a Warning is about, as JSON shows it.
type WarningKind string

const (
	// FewNodes: there are fewer nodes than N, so that every node owns every
	// partition, and partitions have fewer owners than they should.
	FewNodes WarningKind = "fewer nodes than N"
	// FewZones: there are several zones but fewer than N, so that some zones
	// own a partition twice. Zone is the one whose loss would take most, and Lost
	// what it would leave.
	FewZones WarningKind = "fewer zones than N"
	// NoZone: some nodes have a zone and this one has none: together with others
	// like it, it counts as a zone of its own.
	NoZone WarningKind = "node without a zone"
	// NodeCapped: a node owns less than its weight asks for, because it, or its
	// zone, owns every partition already.
	NodeCapped WarningKind = "capped below its weight"
	// ZoneThin: a zone has too little capacity: its nodes own more than their
	// weight asks for, because every partition needs an owner in the zone.
	ZoneThin WarningKind = "zone with too little capacity"
)

// Warning is something about a ring that its operator may not expect.
type Warning struct {
	Kind WarningKind `json:"kind"`
	// Node is the node in question, zero when it is none.
	Node kv.NodeID `json:"node,omitempty"`
	// Zone is the zone in question, or the node's.
	Zone string `json:"zone,omitempty"`
	// Fair is the number of partitions that the node or zone ought to own,
	// Wanted what its weight alone asks for; zero for the other kinds.
	Fair   float64 `json:"fair,omitempty"`
	Wanted float64 `json:"wanted,omitempty"`
	// Lost is nil but for FewZones.
	Lost *ZoneLoss `json:"lost,omitempty"`
}

// tolerance is the part by which a fair share may differ from what the weight
// asks for before it is worth a warning.
const tolerance = 0.05

// warnings returns what is to be said of r. Of shares nothing is said while
// there are fewer nodes than N: there they do not matter.
func warnings(r *Ring) []Warning {
	if len(r.nodes) < r.params.N {
		return []Warning{{Kind: FewNodes}}
	}
	zones := newZoning(r.nodes)
	var out []Warning
	if count := len(zones.names); count > 1 && count < r.params.N {
		losses := r.losses(zones)
		z := worst(zones, losses)
		out = append(out, Warning{Kind: FewZones, Zone: zones.names[z], Lost: &losses[z]})
	}
	for _, n := range r.nodes {
		if n.Zone == "" && len(zones.names) > 1 {
			out = append(out, Warning{Kind: NoZone, Node: n.ID})
		}
	}
	perWeight := float64(len(r.owners)) / float64(zones.total())
	inZone := make([]float64, len(zones.names))
	for i, s := range fairShares(r.nodes, zones, r.params.Q, r.width) {
		n := r.nodes[i]
		fair, wanted := s.ratio(), perWeight*float64(n.Weight)
		inZone[zones.of[i]] += fair
		if fair < wanted*(1-tolerance) {
			out = append(out, Warning{Kind: NodeCapped, Node: n.ID, Zone: n.Zone, Fair: fair, Wanted: wanted})
		}
	}
	for z, fair := range inZone {
		wanted := perWeight * float64(zones.weight[z])
		if r.span() == len(zones.names) && fair > wanted*(1+tolerance) {
			out = append(out, Warning{Kind: ZoneThin, Zone: zones.names[z], Fair: fair, Wanted: wanted})
		}
	}
	return out
}
