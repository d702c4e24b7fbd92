// Package resp is a node's door for Redis's clients: it speaks RESP2 and RESP3,
// and serves Redis's commands for strings from one bucket, in which the last write
// wins, and commands of its own for Dynamo's model: siblings and contexts (Dynamo,
// SOSP 2007, §2.3, and the door's reference in docs/redis.md).
//
// A connection has one goroutine. It reads what its client has sent, takes it
// apart into the gets and puts that it asks for, starts those of different keys
// together, and writes the answers in order. A get or put has no goroutine: its
// outcome comes to op.Receive (docs/adr/0006-requests-without-goroutines.md).
package resp

import (
	"context"
	"log/slog"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Receiver is told the outcome of a get or put, once, perhaps before the call
// that started it returns, from any goroutine. The answer's bytes are valid until
// Receive returns.
type Receiver interface {
	Receive(a wire.Answer, err error)
}

// Store reads and writes keys; it is safe for concurrent use. What is passed to
// Get and Put is borrowed until they return.
type Store interface {
	Get(key kv.Key, o kv.Options, to Receiver)
	Put(key kv.Key, u object.Update, o kv.Options, to Receiver)
	// Keys calls fn with each key of bucket in partition p that has a value, once
	// each, with its position there, which never changes. fn's slice is fn's only
	// until it returns; its error ends the listing.
	Keys(ctx context.Context, bucket string, p kv.Partition, fn func(position uint32, key []byte) error) error
	// Partitions is how many there are, 0 before the node has a ring.
	Partitions() int
}

// Cluster tells what Redis Cluster's clients want to know of the ring.
type Cluster interface {
	// Enabled tells whether keys are placed by Redis Cluster's hash slots.
	Enabled() bool
	// Self is this node's id, 0 before it has one.
	Self() kv.NodeID
	// Slots returns the nodes of the ring, each with the slots for which it is
	// to be asked, and the ring's epoch.
	Slots() ([]Node, uint64)
}

// Node is a node as Redis Cluster's clients see it.
type Node struct {
	ID   kv.NodeID
	Host string
	Port int
	Up   bool
	// Slots are ascending and apart; a node that is down has none.
	Slots []SlotRange
}

// SlotRange is the slots from First to Last, both included.
type SlotRange struct{ First, Last uint16 }

// Parts are what the door stands on. All are required.
type Parts struct {
	Store   Store
	Cluster Cluster
	Metrics *metrics.Node
	Log     *slog.Logger
	// Port is the door's own, for INFO.
	Port int
	// Version introduces the program.
	Version string
}
