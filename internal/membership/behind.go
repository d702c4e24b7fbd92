package membership

import (
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// maxBehind bounds the nodes whose digests wait for an exchange.
const maxBehind = 1024

// behind is the set of nodes whose state is not this node's. Safe for
// concurrent use; no method waits.
type behind struct {
	// wake says that the set is not empty.
	wake chan struct{}
	mu   struct {
		sync.Mutex
		digests map[kv.NodeID]digest
	}
}

func newBehind() *behind {
	b := &behind{wake: make(chan struct{}, 1)}
	b.mu.digests = make(map[kv.NodeID]digest)
	return b
}

// add notes a digest, instead of an earlier one of the same node.
func (b *behind) add(d digest) {
	b.mu.Lock()
	if was, known := b.mu.digests[d.node]; known || len(b.mu.digests) < maxBehind {
		d.asked = d.asked || was.asked
		b.mu.digests[d.node] = d
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take removes any one digest.
func (b *behind) take() (digest, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, d := range b.mu.digests {
		delete(b.mu.digests, id)
		return d, true
	}
	return digest{}, false
}
