package sim

import (
	"fmt"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Buckets that keys are in.
const (
	bucketSiblings = "carts"
	bucketLWW      = "sessions"
)

// Result is what came of a run.
type Result struct {
	// Hash is that of the whole trace: equal seeds give equal hashes.
	Hash       uint64
	Violations []Violation
	Counts
}

// Play plays a scenario under a seed; a nil Variant leaves out nothing.
func Play(s *Scenario, seed uint64, v *Variant, t Trace) Result {
	if v == nil {
		v = &Variant{}
	}
	w := newWorld(s, seed, v)
	defer w.endTwins()
	w.trace.Trace = t
	n := &nemesis{world: w, undo: map[int]func(){}}
	for _, m := range w.machines {
		m.start()
	}
	n.start()
	for _, c := range w.clients {
		c.start()
	}
	w.run(s.Run)
	for _, c := range w.clients {
		c.stopped = true
	}
	n.heal()
	w.settleDown()
	if len(w.violations) == 0 {
		w.checkEnd()
	}
	return Result{Hash: w.trace.hash, Violations: w.violations, Counts: w.count}
}

func newWorld(s *Scenario, seed uint64, v *Variant) *World {
	w := &World{Scenario: s, seed: seed, broken: v, names: map[string]*machine{}, ids: map[kv.NodeID]*machine{}, sealer: object.NewSealer([]byte("the cluster's secret"))}
	w.idRand = w.random("ids")
	var nodes []ring.Node
	for i := range s.Nodes {
		m := &machine{world: w, index: i, rng: w.random("machine %d", i)}
		id := w.newID()
		m.disk = w.newDisk(m.rng)
		m.disk.files.id = id
		w.ids[id] = m
		w.machines = append(w.machines, m)
		if m.idle = i >= s.Nodes-s.Out; !m.idle {
			nodes = append(nodes, ring.Node{ID: id, Weight: 1})
		}
	}
	w.found(nodes)
	for _, from := range w.machines {
		var row []*link
		for _, to := range w.machines {
			row = append(row, &link{rng: w.random("link %d %d", from.index, to.index)})
		}
		w.links = append(w.links, row)
	}
	for i := range s.Keys {
		bucket := bucketSiblings
		if i >= s.Keys-s.LWW {
			bucket = bucketLWW
		}
		k := &Key{Key: kv.AppendKey(nil, bucket, fmt.Appendf(nil, "k%d", i)), lww: bucket == bucketLWW}
		k.partition = w.ring().PartitionOf(k.Key)
		w.keys = append(w.keys, k)
	}
	for i := range s.Clients {
		w.clients = append(w.clients, &client{world: w, name: fmt.Sprintf("c%d", i+1), rng: w.random("client %d", i)})
	}
	return w
}

// found makes the cluster's first ring, of these nodes.
func (w *World) found(nodes []ring.Node) {
	r, err := ring.Claim(nil, ring.Params{N: w.N, R: w.R, W: w.W, Q: w.Partitions}, 1, nodes)
	if err != nil {
		panic(err)
	}
	w.decision = decision{changes: map[membership.Slot]*membership.Transition{}, rings: map[uint64]*ring.Ring{}}
	w.settles(r)
	var members []membership.Member
	for _, n := range r.Nodes() {
		members = append(members, w.ids[n.ID].self())
	}
	for _, m := range w.machines {
		if !m.idle {
			m.disk.files.state = membership.NewState(clusterID, members, r)
		}
	}
}

// add adds o's counts.
func (c *Counts) add(o Counts) {
	c.Events += o.Events
	c.Messages += o.Messages
	c.Lost += o.Lost
	c.Puts += o.Puts
	c.Acked += o.Acked
	c.Gets += o.Gets
	c.Answered += o.Answered
	c.Faults += o.Faults
	c.Excused += o.Excused
	c.Hints += o.Hints
	c.Repaired += o.Repaired
	c.Floors += o.Floors
	c.Hedges += o.Hedges
	c.Changes += o.Changes
	c.Expiring += o.Expiring
	c.Mark = max(c.Mark, o.Mark)
}
