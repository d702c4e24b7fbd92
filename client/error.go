package client

import (
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Kind is the closed list of what can go wrong; its text is the one that the
// other doors use.
type Kind string

// The kinds of an Error.
const (
	// KindInternal is a defect of Ringtail's own.
	KindInternal Kind = "internal"
	// KindInvalid: a key, an address or an option is out of its range.
	KindInvalid Kind = "invalid"
	// KindBadContext: the context is cut, forged, or of another cluster.
	KindBadContext Kind = "bad context"
	// KindTooLarge: a key, value, bucket or content type is past its limit.
	KindTooLarge Kind = "too large"
	// KindTooManySiblings: the put would leave more siblings than the limit;
	// get, then put with the context.
	KindTooManySiblings Kind = "too many siblings"
	// KindUnavailable: no node answers, or the one that does reaches too few
	// replicas.
	KindUnavailable Kind = "unavailable"
	// KindTimeout: the timeout passed, or the context was done, first.
	KindTimeout Kind = "timeout"
	// KindOverloaded: a bounded queue is full; try again later.
	KindOverloaded Kind = "overloaded"
	// KindDiskFull: too few replicas have space for the write; gets go on.
	KindDiskFull Kind = "disk full"
	// KindStorage: a storage engine failed or refused.
	KindStorage Kind = "storage"
	// KindCorrupt: stored or sent data failed its checksum.
	KindCorrupt Kind = "corrupt"
	// KindStaleRing: the nodes do not agree on the ring yet; try again.
	KindStaleRing Kind = "stale ring"
	// KindSkew: a node's clock, or the context's time, is too far from the
	// others' for a write to an lww bucket.
	KindSkew Kind = "clock skew"
	// KindWrongCluster: the node belongs to another cluster than the others.
	KindWrongCluster Kind = "wrong cluster"
	// KindWrongVersion: the node and this client have no protocol version in
	// common.
	KindWrongVersion Kind = "wrong version"
	// KindOldCopy: the node runs on an old copy of a data directory.
	KindOldCopy Kind = "old copy"
	// KindRefused: the node does not do that in its present state.
	KindRefused Kind = "refused"
	// KindNotFound: there is no such bucket or node. A key without a value is no
	// error.
	KindNotFound Kind = "not found"
	// KindClosed: the client, or the node, is shut down.
	KindClosed Kind = "closed"
	// KindHintsFull: the nodes that stand in for the key's owners have no space
	// left for hints.
	KindHintsFull Kind = "hints full"
)

// Applied is what an error says of the write.
type Applied uint8

const (
	// AppliedNo: the write was certainly not applied, anywhere.
	AppliedNo Applied = iota
	// AppliedUnknown: some replica may have applied the write, and readers may
	// see it now or later. With the context that it had, it can safely be put
	// again: what the first attempt left is then replaced, or is a sibling.
	AppliedUnknown
)

// String returns "no" or "unknown".
func (a Applied) String() string { return kv.Applied(a).String() }

// Error is the one type of this package's errors, for errors.As. It wraps its
// cause: errors.Is finds context.Canceled, for one.
type Error struct {
	// Op is "dial", "get", "put", "delete", "update" or "parse context".
	Op string
	// Kind classifies the error.
	Kind Kind
	// Applied is AppliedNo for all but puts and deletes.
	Applied Applied
	// Node is the id of the node that reported the error or did not answer, ""
	// when it is no single node.
	Node string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := "ringtail: " + e.Op + ": " + e.Err.Error()
	if e.Applied == AppliedUnknown {
		s += " (the write may have been applied)"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// op is what Error.Op names.
type op string

const (
	opDial   op = "dial"
	opGet    op = "get"
	opPut    op = "put"
	opDelete op = "delete"
	opUpdate op = "update"
	opParse  op = "parse context"
)

// writes tells whether the operation can be applied.
func (o op) writes() bool { return o == opPut || o == opDelete }

// failed returns err, of the inner packages, as an Error.
func failed(o op, err error) *Error {
	e := &Error{Op: string(o), Kind: Kind(kv.KindOf(err).String()), Err: err}
	if o.writes() {
		e.Applied = Applied(kv.AppliedOf(err))
	}
	var inner *kv.Error
	if errors.As(err, &inner) && inner.Node != 0 {
		e.Node = inner.Node.String()
	}
	return e
}
