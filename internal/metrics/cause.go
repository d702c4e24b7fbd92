package metrics

import (
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Cause is the stage in which a slow request spent most of its time.
type Cause uint8

const (
	// CauseOwn: at its coordinator, before it was begun: in a queue, or until there
	// was news of the ring.
	CauseOwn Cause = iota
	// CauseStorage: reading or writing the coordinator's own copy.
	CauseStorage
	// CauseFsync: until the coordinator's own copy was on stable storage.
	CauseFsync
	// CauseReplicas: until enough other nodes had answered.
	CauseReplicas
	// CauseHop: at the node to which it was passed on.
	CauseHop
	// CauseRefused: nowhere; it was refused at once, for want of room or of nodes.
	CauseRefused
	numCauses
)

var causeNames = [numCauses]string{
	CauseOwn: "own", CauseStorage: "storage", CauseFsync: "fsync", CauseReplicas: "replicas", CauseHop: "hop", CauseRefused: "refused",
}

// String returns the stage's name as metrics show it.
func (s Cause) String() string { return causeNames[s] }

// maxBlamed bounds the peers that a tally tells apart.
const maxBlamed = 16

// blame counts breaches by stage, and by the peer that was waited for. It is safe
// for concurrent use and lock-free.
type blame struct {
	stages [numCauses]atomic.Uint64
	peers  [maxBlamed]struct{ id, count atomic.Uint64 }
}

// blamed is what a blame had counted at one moment, or between two.
type blamed struct {
	stages [numCauses]uint64
	peers  [maxBlamed]uint64
}

// record counts a breach; peer is 0 for none. Past maxBlamed peers the stage alone
// is counted.
func (b *blame) record(s Cause, peer kv.NodeID) {
	b.stages[min(s, numCauses-1)].Add(1)
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
			name, most = Cause(i).String(), n
		}
	}
	return name
}
