// Package membership knows who belongs to the cluster: the node's identity and
// sequence on disk, the gossiped cluster state with its merge, joining, and the
// changes that operators make to the ring (Dynamo, SOSP 2007, §4.8; DESIGN
// sections 3 and 5).
//
// The core is plain data and functions: the state with its merge and codec
// (state.go, merge.go, codec.go), the checks of sequence and boot (admit.go,
// record.go, mint.go), what is staged and planned (action.go, stage.go, plan.go),
// the vote and what it chooses (vote.go, transition.go). Around it the Service
// keeps the files, gossips, and talks to the peers.
package membership

import (
	"context"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Peers is how this package reaches other nodes. Safe for concurrent use.
type Peers interface {
	// Call sends a request to a node that a State given to Hooks.Changed
	// names; the outcome goes to done, with tag. To any other node it fails
	// with KindUnavailable.
	Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32)
	// CallAddr dials a peer address ("host:port"), sends one request, and
	// closes the connection when it is answered. The caller owns the payload
	// that it returns.
	CallAddr(ctx context.Context, addr string, c wire.Call, m wire.Appender) ([]byte, error)
}

// Deps are what a Service is built on.
type Deps struct {
	// FS holds the data directory; nil means vfs.Default.
	FS vfs.FS
	// Peers reaches other nodes. It is used only while Run runs.
	Peers Peers
	// Away says since when a node that answered this one's own requests does so no
	// more; zero if it does, or never did. It may be nil.
	Away func(id kv.NodeID) time.Time
	// Listen opens the gossip port at an IP address; nil means UDP and TCP.
	Listen func(ip string, port int) (memberlist.NodeAwareTransport, error)
	// Now is the node's clock; nil means time.Now.
	Now func() time.Time
	// Random draws ids, nonces and the cluster's key; nil means the operating system's
	// randomness.
	Random func() uint64
	// Log takes changes of state; nil means slog.Default.
	Log *slog.Logger
	// Hooks are told what happens.
	Hooks Hooks
}

// Hooks connect a Service to the rest of the node. Any of them may be nil.
type Hooks struct {
	// Changed is told each new state, in order, after it is durable and before
	// the call that made it returns. It must be quick and must not call the
	// Service's methods that change the state.
	Changed func(*State)
	// Moved is told that marks have grown, or that there is another Current. It
	// must be quick, and must not call the Service's methods that change the
	// state, nor Mark. Both hooks may be told things before Open returns.
	Moved func()
}
