package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StageID names a stage: a part of the node that requests pass, and that takes a
// bounded number of them (§6.5, DESIGN section 10).
type StageID uint8

const (
	// StageDecode is every message from the peers' port, of clients and nodes; Begun
	// counts here those that pass into no further stage.
	StageDecode StageID = iota
	// StageCoordinate is gets and puts of clients, from all doors.
	StageCoordinate
	// StageReplicaRead and StageReplicaWrite are what coordinators ask of replicas.
	StageReplicaRead
	StageReplicaWrite
	// StageDisk is gets, puts, and what coordinators ask of replicas, of which the
	// record is on the disk alone. They are counted in their own stage as well.
	StageDisk
	// StageBackground is scans for hand-off, exchanges and listings.
	StageBackground
	numStages
)

var stageNames = [numStages]string{
	StageDecode: "decode", StageCoordinate: "coordinate", StageReplicaRead: "replica_read",
	StageReplicaWrite: "replica_write", StageDisk: "disk", StageBackground: "background",
}

// String returns the stage's name as metrics show it.
func (s StageID) String() string { return stageNames[s] }

// Stage is what a stage counts. Its fields are safe for concurrent use.
type Stage struct {
	// Queue is how long requests waited before they were begun.
	Queue Histogram
	// Refused counts those that were refused for want of room, or because requests
	// came faster than they were served.
	Refused atomic.Uint64
	// depth tells how many are in it now.
	depth atomic.Pointer[func() int]
}

// SetDepth has f tell how many requests are in the stage; it is quick.
func (s *Stage) SetDepth(f func() int) { s.depth.Store(&f) }

// Depth returns how many requests are in the stage now.
func (s *Stage) Depth() int {
	if f := s.depth.Load(); f != nil {
		return (*f)()
	}
	return 0
}

var (
	descStageQueue   = newDesc("stage_queue_seconds", "Time that requests waited before a stage began them, at the most.", "stage")
	descStageDepth   = newDesc("stage_depth", "Requests that are in a stage.", "stage")
	descStageRefused = newDesc("stage_refused_total", "Requests that a stage refused, for want of room or because they came faster than they were served.", "stage")
)

// collectStages shows the stages.
func (n *Node) collectStages(ch chan<- prometheus.Metric) {
	for id := range numStages {
		s, queue := &n.Stages[id], Snapshot{}
		queue.Add(&s.Queue)
		if id == StageDecode {
			// What passes into other stages is counted there alone.
			for _, next := range []StageID{StageCoordinate, StageReplicaRead, StageReplicaWrite} {
				queue.Add(&n.Stages[next].Queue)
			}
		}
		ch <- snapshotMetric(descStageQueue, &queue, id.String())
		ch <- prometheus.MustNewConstMetric(descStageDepth, prometheus.GaugeValue, float64(s.Depth()), id.String())
		ch <- prometheus.MustNewConstMetric(descStageRefused, prometheus.CounterValue, float64(s.Refused.Load()), id.String())
	}
}

// Begun counts a request that a stage begins after it has waited.
func (n *Node) Begun(id StageID, waited time.Duration) { n.Stages[id].Queue.Record(waited) }

// Refuse counts a request that a stage refused.
func (n *Node) Refuse(id StageID) { n.Stages[id].Refused.Add(1) }
