// Package transport carries wire's frames between nodes, and between a node and
// its clients: connections, their queues and deadlines, and the local detection
// of peers that are down (Dynamo, SOSP 2007, §4.8.3).
//
// There is one TCP connection for each direction of a pair of nodes. The side
// that dials, a Conn, sends requests and receives responses; the side that
// accepts, a Server, serves each request in the connection's reader, through a
// wire.Handler. A Pool keeps one Conn to each peer and knows which are down.
//
// Every connection has one queue of encoded frames and one goroutine that
// writes it: whatever gathered while the previous write was under way goes out
// in one system call. A call costs neither a goroutine nor an allocation.
//
// What bounds what: bytes waiting to be written by Config.QueueBytes, bytes of
// large messages being put together by Config.AssemblyBytes, calls without an
// answer by Config.MaxPending, connections by Config.MaxConns and
// Config.MaxHandshakes, and every call by its deadline.
package transport

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Hooks tell a Server and a Pool about the node that they belong to, and the
// node about its peers. Each is optional, is called with no lock held, from any
// goroutine, and must return soon: a handshake or a peer's probing waits for it.
type Hooks struct {
	// Identity is asked at each handshake. Without it, a Server and a Pool
	// present cluster 0 and a zero identity.
	Identity func() (kv.ClusterID, wire.Identity)
	// Versions are those that the node speaks with other nodes: without it, all
	// that the program does. Its lower end may rise, which ends connections of
	// less.
	Versions func() wire.Versions
	// Level is that of the local ring, stamped on every response.
	Level func() kv.Level
	// Admit decides, at the accepting side, about a peer whose version fits and
	// that names this cluster or none. An error refuses it and is sent to it.
	Admit func(wire.Hello) error
	// Accepted tells, at the dialling side, that the peer took our identity.
	Accepted func(kv.NodeID, wire.HelloAck)
	// Refused tells, at the dialling side, that the peer refused us, at each
	// attempt.
	Refused func(kv.NodeID, error)
	// Changed tells that a peer went up or down. A peer begins as down without
	// a call. The calls for one peer come in order, from one goroutine.
	Changed func(id kv.NodeID, up bool)
}

func (h Hooks) identity() (kv.ClusterID, wire.Identity) {
	if h.Identity == nil {
		return 0, wire.Identity{}
	}
	return h.Identity()
}

func (h Hooks) versions() wire.Versions {
	if h.Versions == nil {
		return wire.Spoken()
	}
	return h.Versions()
}

// outgrown is why a connection ends whose version was enough when it began.
func outgrown(has, least wire.Version) *kv.Error {
	return kv.Errorf(kv.KindWrongVersion, "check version", "members of the cluster speak protocol version %d by now, the connection %d", least, has)
}

func (h Hooks) level() kv.Level {
	if h.Level == nil {
		return 0
	}
	return h.Level()
}

func (h Hooks) admit(hello wire.Hello) error {
	if h.Admit == nil {
		return nil
	}
	return h.Admit(hello)
}

func (h Hooks) accepted(id kv.NodeID, ack wire.HelloAck) {
	if h.Accepted != nil {
		h.Accepted(id, ack)
	}
}

func (h Hooks) refused(id kv.NodeID, err error) {
	if h.Refused != nil {
		h.Refused(id, err)
	}
}

func (h Hooks) changed(id kv.NodeID, up bool) {
	if h.Changed != nil {
		h.Changed(id, up)
	}
}
