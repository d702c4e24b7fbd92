package node

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/transport"
)

// stats is what the coordinator counts in.
type stats struct{ *metrics.Node }

// GetDone implements coordinator.Stats.
func (s stats) GetDone(e coordinator.Ended) {
	s.done(metrics.OpGet, e)
	if e.Err == nil {
		s.GetSiblings.Record(e.Siblings)
	}
}

// PutDone implements coordinator.Stats.
func (s stats) PutDone(e coordinator.Ended) {
	s.done(metrics.OpPut, e)
	if e.Err != nil && kv.KindOf(e.Err) == kv.KindTooManySiblings {
		s.PutsCapped.Add(1)
	}
}

func (s stats) done(op metrics.Op, e coordinator.Ended) {
	s.Done(op, e.Took, e.Err)
	if e.Err != nil && e.Asked == 0 && kv.KindOf(e.Err) == kv.KindOverloaded {
		s.Refuse(metrics.StageCoordinate)
	}
	if e.Asked > 0 {
		s.QuorumAsked[op].Record(e.Asked)
		s.QuorumAnswered[op].Record(e.Answered)
	}
	s.held(op, e)
}

// held holds a request to what was promised, once: where the client brought it.
func (s stats) held(op metrics.Op, e coordinator.Ended) {
	if !e.Inner {
		var bucket []byte
		if len(e.Key) > 0 {
			bucket = e.Key.Bucket()
		}
		s.Held(op, bucket, e.Took, e.Err, e.Stage, e.Peer)
	}
}

// ForwardDone implements coordinator.Stats.
func (s stats) ForwardDone(op metrics.Op, e coordinator.Ended) { s.held(op, e) }

// Sampled implements coordinator.Stats.
func (s stats) Sampled(owners, had int) { s.Lag().Sampled(owners, had) }

// Acknowledged implements coordinator.Stats.
func (s stats) Acknowledged(after time.Duration) { s.Lag().Acknowledged(after) }

// StaleRing implements coordinator.Stats.
func (s stats) StaleRing() { s.Node.StaleRing.Add(1) }

// Forwarded implements coordinator.Stats.
func (s stats) Forwarded() { s.Node.Forwarded.Add(1) }

// StandIn implements coordinator.Stats.
func (s stats) StandIn() { s.StandIns.Add(1) }

// Hedge implements coordinator.Stats.
func (s stats) Hedge(e hedge.Event) {
	switch e {
	case hedge.Sent:
		s.HedgesSent.Add(1)
	case hedge.Won:
		s.HedgesWon.Add(1)
	case hedge.Refused:
		s.HedgesRefused.Add(1)
	}
}

// Repaired implements coordinator.Stats.
func (s stats) Repaired(copies int) { s.Node.Repaired.Add(uint64(copies)) }

// Truncated implements coordinator.Stats.
func (s stats) Truncated(entries int) { s.ClockTruncated.Add(uint64(entries)) }

// addSources lets the parts' own figures take part in /metrics.
func (n *Node) addSources() {
	n.metrics.AddSource(n.storageSamples)
	n.metrics.AddSource(n.transportSamples)
	n.metrics.AddSource(n.clusterSamples)
	n.metrics.AddSource(n.repairSamples)
	n.metrics.AddSource(n.transitionSamples)
}

func gauge(name, help string, v float64) metrics.Sample {
	return metrics.Sample{Name: name, Help: help, Value: v}
}

func counter(name, help string, v uint64) metrics.Sample {
	return metrics.Sample{Name: name, Help: help, Counter: true, Value: float64(v)}
}

func (n *Node) storageSamples(emit func(metrics.Sample)) {
	s := n.engine.Stats()
	emit(gauge("ringtail_storage_keys", "Records stored, roughly.", float64(s.Keys)))
	emit(gauge("ringtail_storage_disk_bytes", "Disk space in use.", float64(s.DiskBytes)))
	emit(gauge("ringtail_storage_memory_bytes", "Memory held for data.", float64(s.MemoryBytes)))
	emit(gauge("ringtail_storage_free_bytes", "Free space of the disk.", float64(s.FreeBytes)))
	emit(counter("ringtail_storage_compactions_total", "Compactions that have ended.", s.Compactions))
	emit(counter("ringtail_storage_stalls_total", "Times that writes waited for the engine.", s.Stalls))
	emit(counter("ringtail_storage_syncs_total", "Fsyncs of the log.", s.Syncs))
	emit(counter("ringtail_storage_refused_total", "Writes refused for lack of space.", s.Refused))
}

func (n *Node) transportSamples(emit func(metrics.Sample)) {
	p, s := n.pool.Stats(), n.server.Stats()
	emit(gauge("ringtail_transport_peers_up", "Peers that answer.", float64(p.Up)))
	emit(gauge("ringtail_transport_peers_down", "Peers that do not answer.", float64(p.Down)))
	emit(gauge("ringtail_transport_pending_calls", "Calls that wait for an answer.", float64(p.Pending)))
	emit(gauge("ringtail_transport_queue_bytes", "Bytes that wait to be written to peers.", float64(p.QueueBytes)))
	emit(counter("ringtail_transport_timeouts_total", "Calls whose deadline passed.", p.Timeouts))
	emit(counter("ringtail_transport_lost_total", "Calls that failed with their connection or found none.", p.Lost))
	emit(counter("ringtail_transport_overloaded_total", "Calls that found a queue full.", p.Overloaded))
	emit(counter("ringtail_transport_connects_total", "Connections made to peers.", p.Connects))
	emit(counter("ringtail_transport_went_down_total", "Times that a peer went down.", p.WentDown))
	n.peerSamples(emit)
	n.trafficSamples("out", p.Traffic, emit)
	n.trafficSamples("in", s.Traffic, emit)
}

// peerSamples emits what peers' answers take: whom requests go to, and when they
// are hedged.
func (n *Node) peerSamples(emit func(metrics.Sample)) {
	for _, m := range n.service.State().Members() {
		if !n.pool.Up(m.ID) {
			continue
		}
		for _, s := range []struct {
			name, help string
			v          time.Duration
		}{
			{"ringtail_transport_latency_seconds", "Usual round trip to a peer: requests go to the nearest owner.", n.pool.Latency(m.ID)},
			{"ringtail_transport_tail_seconds", "What all but one in a hundred of a peer's reads take: then a get is hedged.", n.pool.Tail(m.ID)},
			{"ringtail_forward_tail_seconds", "What all but one in a hundred of the gets take that are passed on to a peer: then another is asked.", n.coord.PassTail(m.ID)},
		} {
			if s.v > 0 {
				g := gauge(s.name, s.help, s.v.Seconds())
				g.Labels = []metrics.Label{{Name: "peer", Value: n.nameOf(m.ID)}}
				emit(g)
			}
		}
	}
}

// trafficSamples emits what passed over the connections that this node made
// ("out") or accepted ("in").
func (n *Node) trafficSamples(side string, t transport.Traffic, emit func(metrics.Sample)) {
	for _, c := range []struct {
		name, help, way string
		v               uint64
	}{
		{"ringtail_transport_frames_total", "Frames, by who made the connection and their way.", "received", t.FramesIn},
		{"ringtail_transport_frames_total", "Frames, by who made the connection and their way.", "sent", t.FramesOut},
		{"ringtail_transport_bytes_total", "Bytes of frames, by who made the connection and their way.", "received", t.BytesIn},
		{"ringtail_transport_bytes_total", "Bytes of frames, by who made the connection and their way.", "sent", t.BytesOut},
		{"ringtail_transport_syscalls_total", "Reads and writes of sockets, by who made the connection.", "received", t.Reads},
		{"ringtail_transport_syscalls_total", "Reads and writes of sockets, by who made the connection.", "sent", t.Flushes},
	} {
		sample := counter(c.name, c.help, c.v)
		sample.Labels = []metrics.Label{{Name: "connection", Value: side}, {Name: "way", Value: c.way}}
		emit(sample)
	}
}

func (n *Node) clusterSamples(emit func(metrics.Sample)) {
	emit(gauge("ringtail_ring_epoch", "Epoch of the ring; 0 before the node has one.", float64(n.level().Epoch())))
	emit(gauge("ringtail_cluster_members", "Nodes that the cluster knows.", float64(len(n.service.State().Members()))))
	emit(gauge("ringtail_requests_in_flight", "Requests that wait for their outcome.", float64(n.coord.InFlight())))
	emit(gauge("ringtail_clock_skew_seconds", "This node's clock, ahead of its peers' median.", n.Skew().Seconds()))
}

func (n *Node) repairSamples(emit func(metrics.Sample)) {
	for _, h := range n.store.Hints() {
		owner := []metrics.Label{{Name: "owner", Value: n.nameOf(h.Owner)}}
		for _, v := range []metrics.Sample{
			gauge("ringtail_hints_keys", "Objects kept for an owner that is away.", float64(h.Keys)),
			gauge("ringtail_hints_bytes", "Bytes kept for an owner that is away.", float64(h.Bytes)),
			gauge("ringtail_hints_oldest_seconds", "Age of the oldest hint for an owner.", time.Since(h.Oldest.Wall()).Seconds()),
		} {
			v.Labels = owner
			emit(v)
		}
	}
	r := n.repairStats()
	for _, c := range []struct {
		by string
		v  uint64
	}{{"read", r.Read}, {"exchange", r.Exchange}, {"handoff", r.Handoff}} {
		v := counter("ringtail_repair_copies_total", "Copies that this node brought up to date.", c.v)
		v.Labels = []metrics.Label{{Name: "by", Value: c.by}}
		emit(v)
	}
	emit(counter("ringtail_repair_bytes_total", "Payload of exchanges that this node conducted, both ways.", r.Bytes))
	emit(counter("ringtail_reaped_total", "Records that were dropped or shortened under a floor.", r.Reaped))
	emit(gauge("ringtail_damaged_partitions", "Copies that lost data and are being refilled.", float64(len(n.store.Damaged()))))
	emit(counter("ringtail_damaged_hints_total", "Hints that could not be read.", n.store.DamagedHints()))
	s := n.keeper.Status().Sweep
	emit(gauge("ringtail_reapable_records", "Records that wait for a sweep.", float64(s.Reapable)))
	emit(counter("ringtail_sweeps_finished_total", "Sweeps that this node led to their end.", s.Finished))
	emit(counter("ringtail_sweeps_abandoned_total", "Sweeps that this node led and gave up.", s.Abandoned))
}
