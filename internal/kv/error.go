package kv

import (
	"errors"
	"fmt"
)

// Kind is the closed list of what can go wrong. Numbers travel between nodes:
// append only.
type Kind uint8

const (
	// KindInternal is a defect of Ringtail's own.
	KindInternal Kind = iota
	// KindInvalid: the request is malformed or an option is out of range.
	KindInvalid
	// KindBadContext: the context is cut, forged, or of another cluster.
	KindBadContext
	// KindTooLarge: a key, value, bucket or message is past its limit.
	KindTooLarge
	// KindTooManySiblings: the put would leave more siblings, or a larger
	// object, than the limit; read, then put with the context.
	KindTooManySiblings
	// KindUnavailable: too few replicas can be reached.
	KindUnavailable
	// KindTimeout: the deadline passed first.
	KindTimeout
	// KindOverloaded: a bounded queue is full; try again later.
	KindOverloaded
	// KindDiskFull: free space is below the reserve; reads go on.
	KindDiskFull
	// KindStorage: the storage engine failed or refused.
	KindStorage
	// KindCorrupt: stored data failed its checksum.
	KindCorrupt
	// KindStaleRing: the sender's ring is older than the receiver's.
	KindStaleRing
	// KindSkew: the node's clock, or a context's time, is too far from its
	// peers' for an lww write.
	KindSkew
	// KindWrongCluster: the peer belongs to another cluster.
	KindWrongCluster
	// KindWrongVersion: no protocol or format version in common.
	KindWrongVersion
	// KindOldCopy: an old copy of a data directory, two live copies, or a node
	// whose release is older than its cluster allows: it must stop.
	KindOldCopy
	// KindRefused: the operation is not allowed in the present state.
	KindRefused
	// KindNotFound: no such node, bucket or page. A key without a value is no
	// error.
	KindNotFound
	// KindClosed: the part is shut down.
	KindClosed
	// KindHintsFull: a stand-in's space for hints is used up; the coordinator
	// asks the next node.
	KindHintsFull

	// NumKinds bounds the list, for tables.
	NumKinds
)

var kindNames = [NumKinds]string{
	KindInternal:        "internal",
	KindInvalid:         "invalid",
	KindBadContext:      "bad context",
	KindTooLarge:        "too large",
	KindTooManySiblings: "too many siblings",
	KindUnavailable:     "unavailable",
	KindTimeout:         "timeout",
	KindOverloaded:      "overloaded",
	KindDiskFull:        "disk full",
	KindStorage:         "storage",
	KindCorrupt:         "corrupt",
	KindStaleRing:       "stale ring",
	KindSkew:            "clock skew",
	KindWrongCluster:    "wrong cluster",
	KindWrongVersion:    "wrong version",
	KindOldCopy:         "old copy",
	KindRefused:         "refused",
	KindNotFound:        "not found",
	KindClosed:          "closed",
	KindHintsFull:       "hints full",
}

// String returns the kind's name as it stands in answers and metrics.
func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "internal"
}

// Applied says what an error means for a write.
type Applied uint8

const (
	// AppliedNo: the write was certainly not applied, anywhere.
	AppliedNo Applied = iota
	// AppliedUnknown: some replica may have applied the write.
	AppliedUnknown
)

// String returns "no" or "unknown", as answers show it.
func (a Applied) String() string {
	if a == AppliedNo {
		return "no"
	}
	return "unknown"
}

// Error is the one error type of Ringtail. Its text reads
// "operation: what happened", with the node where one is named.
type Error struct {
	// Op is the operation, as a verb and its object: "open hint log".
	Op string
	// Kind classifies it.
	Kind Kind
	// Applied says, for a write, whether it may have been applied.
	Applied Applied
	// Node is where it happened; 0 when it is the local node or no matter.
	Node NodeID
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op
	if e.Node != 0 {
		s += " at " + e.Node.String()
	}
	if e.Err == nil {
		return s + ": " + e.Kind.String()
	}
	return s + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error with a formatted cause. It says AppliedNo.
func Errorf(k Kind, op, format string, args ...any) *Error {
	return &Error{Op: op, Kind: k, Err: fmt.Errorf(format, args...)}
}

// Wrap returns err as an Error of kind k, or nil for a nil err. It says of the
// write what the Error in err's chain says, AppliedNo where there is none. Wrap
// once at each boundary.
func Wrap(k Kind, op string, err error) error {
	if err == nil {
		return nil
	}
	w := &Error{Op: op, Kind: k, Err: err}
	var e *Error
	if errors.As(err, &e) {
		w.Applied = e.Applied
	}
	return w
}

// KindOf returns the kind of the outermost Error in err's chain, KindInternal
// for an error that has none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// AppliedOf returns what err says of the write; an error that is no Error
// says AppliedUnknown.
func AppliedOf(err error) Applied {
	var e *Error
	if errors.As(err, &e) {
		return e.Applied
	}
	return AppliedUnknown
}
