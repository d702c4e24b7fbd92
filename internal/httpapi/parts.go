// Package httpapi is a node's HTTP door: gets, puts and deletes of keys of any
// bytes, buckets and their properties, the cluster as a person or a tool wants
// to see it, and the node's health and metrics (Dynamo, SOSP 2007, §2.3, and
// the door's reference in docs/http.md).
//
// It knows the rest of the node by the interfaces in this file, and neither
// routes nor stores anything itself.
package httpapi

import (
	"context"
	"log/slog"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
)

// Store reads and writes keys. Its methods are safe for concurrent use, end
// soon after ctx does, and return errors of type *kv.Error.
type Store interface {
	// Get returns the siblings of key and their context. It bounds itself by
	// o.Timeout. A key without a value is no error.
	Get(ctx context.Context, key kv.Key, o kv.Options) (object.Answer, error)
	// Put applies u, whose bytes are the store's from the call on. It bounds
	// itself by o.Timeout. The answer holds an object only for o.ReturnBody.
	Put(ctx context.Context, key kv.Key, u object.Update, o kv.Options) (object.Answer, error)
	// Keys calls fn for each key of bucket that has a value, once each, in any
	// order. fn's slice is fn's only until it returns; Keys stops at its first
	// error and returns that.
	Keys(ctx context.Context, bucket string, fn func(key []byte) error) error
	// Buckets calls fn, as Keys does, with each bucket that has such a key.
	Buckets(ctx context.Context, fn func(bucket []byte) error) error
	// Preflist returns the nodes that are in charge of key.
	Preflist(key kv.Key) Preflist
}

// Preflist is a key's preference list (§4.3).
type Preflist struct {
	Partition kv.Partition `json:"partition"`
	// Owners are the nodes that keep the key, in their order on the ring.
	Owners []Owner `json:"owners"`
	// StandIns are the nodes that take a write for an owner that is down, the
	// first of them first (§4.6).
	StandIns []Owner `json:"stand_ins"`
}

// Owner is a node of a preference list.
type Owner struct {
	Node string    `json:"node"`
	ID   kv.NodeID `json:"id"`
	// HTTP is the address of its HTTP door, host:port.
	HTTP string `json:"http"`
	Zone string `json:"zone"`
	// Up tells whether this node can reach it.
	Up bool `json:"up"`
}

// Buckets reads and changes the properties of buckets.
type Buckets interface {
	// Props returns a bucket's properties, the cluster's defaults where it has
	// none of its own.
	Props(bucket string) kv.Props
	// SetProps replaces a bucket's properties by what change makes of those
	// that Props returns, and returns the result. Of two that run at once the
	// second sees what the first made. An error of change is returned as it is.
	SetProps(ctx context.Context, bucket string, change func(kv.Props) (kv.Props, error)) (kv.Props, error)
	// Known tells whether a bucket, or a type of buckets, has properties of its own;
	// Names are the names of all that have, ascending.
	Known(bucket string) bool
	Names() []string
	// N is the number of owners of each key, which bounds r, w and dw.
	N() int
}

// Health tells what a load balancer or a supervisor wants to know.
type Health interface {
	// Healthy returns nil once the node is known to its cluster and while it
	// works.
	Healthy() error
	// Ready returns nil while the node can serve gets and puts.
	Ready() error
}

// Parts are what the door stands on. All are required.
type Parts struct {
	Store    Store
	Buckets  Buckets
	Admin    Admin
	Contract Contract
	Changes  Changes
	Upkeep   Upkeep
	Health   Health
	Metrics  *metrics.Node
	Log      *slog.Logger
	// Name and Version introduce the node on the page /.
	Name, Version string
}
