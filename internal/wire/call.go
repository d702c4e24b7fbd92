package wire

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Appender is a message to be sent: it appends its payload, of exactly Size
// bytes, to b. Size is at most kv.MaxMessage. It is called before the send
// returns, once, and keeps nothing.
type Appender interface {
	Size() int
	AppendTo(b []byte) []byte
}

// Raw is a payload that is already bytes.
type Raw []byte

// Size implements Appender.
func (r Raw) Size() int { return len(r) }

// AppendTo implements Appender.
func (r Raw) AppendTo(b []byte) []byte { return append(b, r...) }

// Call describes a request to be sent to a peer.
type Call struct {
	Type Type
	// Deadline is when the caller stops waiting.
	Deadline time.Time
	// Level says how far the caller knows the ring, or the partition that the call is about, to be.
	Level kv.Level
	// Hedge tells that the call repeats at another node what one was asked that is
	// slow: its round trip tells nothing of how long that other node usually takes.
	Hedge bool
}

// Response is what came back for a Call.
type Response struct {
	// Level says how far the responder knows the ring to be.
	Level kv.Level
	// Interim says that a further response will follow.
	Interim bool
	// Payload is valid only until Complete returns.
	Payload []byte
}

// Completion receives the outcome of a Call. Tag is the one given with the
// Call, so that one object can serve many.
//
// Complete is called once with err or a final response, and before that any
// number of times with an interim response. It may be called before the send
// returns, and from any goroutine, often a connection's reader: it must not
// block. An err is a *kv.Error: the peer's own answer, or KindUnavailable (no
// connection, or lost), KindTimeout, KindOverloaded (the queue to the peer is
// full), KindClosed. Its Applied is AppliedNo when the request certainly did
// not reach the peer or the peer says so.
type Completion interface {
	Complete(tag uint32, resp Response, err error)
}

// Role says what stands behind a connection.
type Role uint8

const (
	// RoleNode is a member, or one that would become one.
	RoleNode Role = 1
	// RoleClient is a client: it may send TypeGet, TypePut, TypeRing and TypePing only.
	RoleClient Role = 2
)

// Request is a request as its receiver sees it.
type Request struct {
	Type Type
	// From is the node that sent it, 0 for a client.
	From kv.NodeID
	// Deadline is when the sender stops waiting.
	Deadline time.Time
	// Level says how far the sender knows the ring, or the partition in question, to be.
	Level kv.Level
	// Payload is valid only until Handle returns.
	Payload []byte
	// Waited is how long it waited to be handled, at the most: here, and where
	// requests come faster than they are served with its caller and on the way too, if
	// it has a stamp. Late tells that one that begins work is to be refused for that.
	Waited time.Duration
	Late   bool
	// Began is when it was first looked at, if it has been handed on since.
	Began time.Time
	// Reply answers it.
	Reply Reply
}

// Handler serves requests. Handle is called in the connection's reader: it must
// not wait for the network, nor for a read of the disk. It answers through Reply,
// during the call or later, exactly once (besides interim responses).
type Handler interface {
	Handle(req Request)
}

// Responder sends responses; a connection is one. Safe for concurrent use. A
// response to a connection that is gone is dropped.
type Responder interface {
	Respond(id uint64, t Type, f Flags, m Appender)
}

// Reply is the way back to whoever sent a request. Its zero value is not
// usable.
type Reply struct {
	To   Responder
	ID   uint64
	Type Type
}

// Send answers with m.
func (r Reply) Send(m Appender) { r.To.Respond(r.ID, r.Type, FlagResponse, m) }

// Interim answers with m; a further answer follows.
func (r Reply) Interim(m Appender) { r.To.Respond(r.ID, r.Type, FlagResponse|FlagInterim, m) }

// FailAs answers with an error that AppendError has encoded: for one that is sent
// often.
func (r Reply) FailAs(encoded Appender) {
	r.To.Respond(r.ID, r.Type, FlagResponse|FlagError, encoded)
}

// Fail answers with an error.
func (r Reply) Fail(err error) {
	r.To.Respond(r.ID, r.Type, FlagResponse|FlagError, Raw(AppendError(nil, err)))
}
