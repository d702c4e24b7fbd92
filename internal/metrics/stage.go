package metrics

import (
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Stage is where a request spent its time.
type Stage uint8

const (
	// StageOwn: at its coordinator, before it was begun: in a queue, or until there
	// was news of the ring.
	StageOwn Stage = iota
	// StageStorage: reading or writing the coordinator's own copy.
	StageStorage
	// StageFsync: until the coordinator's own copy was on stable storage.
	StageFsync
	// StageReplicas: until enough other nodes had answered.
	StageReplicas
	// StageHop: at the node to which it was passed on.
	StageHop
	// StageRefused: nowhere; it was refused at once, for want of room or of nodes.
	StageRefused
	numStages
)

var stageNames = [numStages]string{
	StageOwn: "own", StageStorage: "storage", StageFsync: "fsync", StageReplicas: "replicas", StageHop: "hop", StageRefused: "refused",
}

// String returns the stage's name as metrics show it.
func (s Stage) String() string { return stageNames[s] }

// maxBlamed bounds the peers that a tally tells apart.
const maxBlamed = 16

// blame counts breaches by stage, and by the peer that was waited for. It is safe
// for concurrent use and lock-free.
type blame struct {
	stages [numStages]atomic.Uint64
	peers  [maxBlamed]struct{ id, count atomic.Uint64 }
}

// blamed is what a blame had counted at one moment, or between two.
type blamed struct {
	stages [numStages]uint64
	peers  [maxBlamed]uint64
}

// record counts a breach; peer is 0 for none. Past maxBlamed peers the stage alone
// is counted.
func (b *blame) record(s Stage, peer kv.NodeID) {
	b.stages[min(s, numStages-1)].Add(1)
	if peer == 0 {
		return
	}
	for i := range b.peers {
		p := &b.peers[i]
		if p.id.Load() == uint64(peer) || p.id.CompareAndSwap(0, uint64(peer)) || p.id.Load() == uint64(peer) {
			p.count.Add(1)
			return
		}
	}
}

func (b *blame) read(into *blamed) {
	for i := range b.stages {
		into.stages[i] = b.stages[i].Load()
	}
	for i := range b.peers {
		into.peers[i] = b.peers[i].count.Load()
	}
}

func (b *blamed) sub(earlier *blamed) {
	for i := range b.stages {
		b.stages[i] -= earlier.stages[i]
	}
	for i := range b.peers {
		b.peers[i] -= earlier.peers[i]
	}
}

// most returns the stage that counts most, "" for none.
func (b *blamed) most() string {
	name, most := "", uint64(0)
	for i, n := range b.stages {
		if n > most {
			name, most = Stage(i).String(), n
		}
	}
	return name
}
