// Package riak is a node's door for clients of Riak: the key-value part of its
// protocol buffers, over TCP (Dynamo, SOSP 2007, §4.3 to §4.5; docs/riak.md). A
// context goes under Riak's name, vclock; siblings, quorums and tombstones are
// what they are in Ringtail.
//
// A connection is served by one goroutine, so that its requests are answered in
// their order, however many of them a client sends at once.
package riak

import (
	"context"
	"log/slog"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
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
	// order; Buckets for each bucket that has such a key. fn's slice is fn's only
	// until it returns; they stop at its first error and return that.
	Keys(ctx context.Context, bucket string, fn func(key []byte) error) error
	Buckets(ctx context.Context, fn func(bucket []byte) error) error
	// Holders returns the nodes that take a write of key now, in the ring's order.
	Holders(key kv.Key) []pb.Holder
}

// Buckets reads and changes the properties of buckets.
type Buckets interface {
	// Props returns a bucket's properties: its own, its type's, or the cluster's.
	Props(bucket string) kv.Props
	// SetProps replaces a bucket's properties by what change makes of those that
	// Props returns. An error of change is returned as it is.
	SetProps(ctx context.Context, bucket string, change func(kv.Props) (kv.Props, error)) (kv.Props, error)
	// Known tells whether a bucket, or a type, has properties of its own.
	Known(bucket string) bool
	// N is the number of owners of each key.
	N() int
}

// Parts are what the door stands on. All are required.
type Parts struct {
	Store   Store
	Buckets Buckets
	Metrics *metrics.Node
	Log     *slog.Logger
	// Name and Version introduce the node.
	Name, Version string
}
