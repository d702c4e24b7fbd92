package metrics

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Op is what a request does.
type Op uint8

const (
	// OpGet is a get.
	OpGet Op = iota
	// OpPut is a put or a delete, which is the put of a tombstone.
	OpPut
	numOps
)

var opNames = [numOps]string{OpGet: "get", OpPut: "put"}

// String returns the op's name as metrics show it.
func (o Op) String() string { return opNames[o] }

// Door is where a request comes in.
type Door uint8

const (
	// DoorHTTP is the HTTP port.
	DoorHTTP Door = iota
	// DoorNative is the port of peers and of the Go client.
	DoorNative
	// DoorRESP is the port that speaks Redis's protocol.
	DoorRESP
	// DoorRiak is the port that speaks Riak's protocol buffers.
	DoorRiak
	numDoors
)

var doorNames = [numDoors]string{DoorHTTP: "http", DoorNative: "native", DoorRESP: "resp", DoorRiak: "riak"}

// String returns the door's name as metrics show it.
func (d Door) String() string { return doorNames[d] }

// Outcome is how a request ended.
type Outcome uint8

const (
	// OK: it was answered; "no such key" is an answer.
	OK Outcome = iota
	// Rejected: it was refused for a mistake of the caller's own.
	Rejected
	// Failed: it could not be served.
	Failed
	numOutcomes
)

var outcomeNames = [numOutcomes]string{OK: "ok", Rejected: "rejected", Failed: "failed"}

// String returns the outcome's name as metrics show it.
func (o Outcome) String() string { return outcomeNames[o] }

// outcomes says of each kind of error whose fault it is.
var outcomes = [kv.NumKinds]Outcome{
	kv.KindInternal:        Failed,
	kv.KindInvalid:         Rejected,
	kv.KindBadContext:      Rejected,
	kv.KindTooLarge:        Rejected,
	kv.KindTooManySiblings: Rejected,
	kv.KindUnavailable:     Failed,
	kv.KindTimeout:         Failed,
	kv.KindOverloaded:      Failed,
	kv.KindDiskFull:        Failed,
	kv.KindStorage:         Failed,
	kv.KindCorrupt:         Failed,
	kv.KindStaleRing:       Failed,
	kv.KindSkew:            Failed,
	kv.KindWrongCluster:    Failed,
	kv.KindWrongVersion:    Failed,
	kv.KindOldCopy:         Failed,
	kv.KindRefused:         Failed,
	kv.KindNotFound:        Rejected,
	kv.KindClosed:          Failed,
	kv.KindHintsFull:       Failed,
}

// Node is everything that one node counts. Its fields and methods are safe for
// concurrent use. It must not be copied.
type Node struct {
	// QuorumAsked and QuorumAnswered are, by Op, the number of replicas that a
	// request was sent to and that had answered when it ended.
	QuorumAsked, QuorumAnswered [numOps]Sizes
	// GetSiblings is the number of live values that a get found.
	GetSiblings Sizes
	// Requests counts requests for keys by Door.
	Requests [numDoors]atomic.Uint64
	// Forwarded counts requests that were passed on to an owner of the key.
	Forwarded atomic.Uint64
	// StaleRing counts requests that began again under a newer ring.
	StaleRing atomic.Uint64
	// StandIns counts writes that a stand-in took for an owner (§4.6), and
	// Repaired copies that a get brought up to date (§5).
	StandIns, Repaired atomic.Uint64
	// HedgesSent counts gets that were asked for at a second node because they took
	// too long, HedgesWon those that it answered first, and HedgesRefused those for
	// which the budget did not allow it.
	HedgesSent, HedgesWon, HedgesRefused atomic.Uint64
	// ClockTruncated counts entries that the hard cap took off clocks; each may
	// cost a false sibling (§4.4).
	ClockTruncated atomic.Uint64
	// PutsCapped counts puts that were refused because the key had too many
	// siblings.
	PutsCapped atomic.Uint64
	// Stages are what requests pass, by StageID.
	Stages [numStages]Stage

	latency [numOps][numOutcomes]Histogram
	errors  [numOps][kv.NumKinds]atomic.Uint64
	windows [numOps]*Window
	// contract is what requests are held to.
	contract atomic.Pointer[contract]
	lag      Lag

	mu struct {
		sync.Mutex
		sources []Source
	}
}

// NewNode returns a Node that has counted nothing; its last minute begins now.
func NewNode(now time.Time) *Node {
	n := &Node{}
	for op := range numOps {
		n.windows[op] = NewWindow(now, &n.latency[op][OK], &n.latency[op][Failed])
	}
	n.lag.window = NewWindow(now, &n.lag.after, &n.lag.none)
	n.lag.window.lag = &n.lag
	n.Agree(now, kv.DefaultSLA, nil)
	return n
}

// Done counts a request that ended after took, with err nil for success. What one
// took that was refused at once as overloaded is no part of what requests take:
// many of them would hide how the others fare.
func (n *Node) Done(op Op, took time.Duration, err error) {
	outcome := OK
	if err != nil {
		kind := min(kv.KindOf(err), kv.NumKinds)
		if kind == kv.NumKinds {
			kind = kv.KindInternal
		}
		n.errors[op][kind].Add(1)
		if kind == kv.KindOverloaded && took == 0 {
			return
		}
		outcome = outcomes[kind]
	}
	n.latency[op][outcome].Record(took)
}

// Tick moves the last minute on; call it every TickEvery.
func (n *Node) Tick(now time.Time) {
	for _, w := range n.windows {
		w.Tick(now)
	}
	n.lag.window.Tick(now)
	for _, p := range n.contract.Load().all() {
		p.window.Tick(now)
	}
}

// Read adds what op's requests took so far to s: those that were answered and those
// that failed.
func (n *Node) Read(op Op, s *Snapshot) {
	s.Add(&n.latency[op][OK])
	s.Add(&n.latency[op][Failed])
}
