// Package quorum is the tally of one get or put (§4.5): which answers came,
// whether they are enough, and what the caller is told. It is plain data,
// without clock, lock or network; the coordinator feeds it events.
//
// A replica is known to a tally by its place among those that were asked, from
// 0. Each counts once, however often it answers, and answers that come after
// the outcome change nothing.
package quorum

import (
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Outcome is where a tally stands.
type Outcome uint8

const (
	// Pending: wait for more events.
	Pending Outcome = iota
	// Met: enough replicas answered.
	Met
	// Failed: enough can no longer answer; Err tells why.
	Failed
)

// set is a set of replicas, by their places.
type set uint32

func (s set) has(i int) bool { return s&(1<<i) != 0 }
func (s set) len() int       { return bits.OnesCount32(uint32(s)) }

// Event is what one replica was heard of.
type Event uint8

const (
	// Applied: it has applied the write.
	Applied Event = iota
	// Durable: the write is on its stable storage, which implies Applied.
	Durable
	// Answered: it has answered the read.
	Answered
	// Error: it failed, refused or did not answer; an error comes with it.
	Error
)

// Put is the tally of one put. Its zero value is not usable; see NewPut.
type Put struct {
	n, w, dw         int
	applied, durable set
	failed           set
	// touched are the replicas that may have applied the write although they
	// did not say so.
	touched set
	outcome Outcome
	first   error
}

// NewPut returns the tally of a put that asks n replicas and needs w of them to
// apply it and dw to make it durable. n is at most 32.
func NewPut(n, w, dw int) Put { return Put{n: n, w: w, dw: dw} }

// Step counts an event of replica i and returns where the tally then stands. It
// returns Met or Failed for every event from the deciding one on.
func (t *Put) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= t.n {
		return t.outcome
	}
	switch ev {
	case Applied:
		t.applied |= 1 << i
	case Durable:
		t.applied |= 1 << i
		t.durable |= 1 << i
	case Error:
		t.fail(i, err)
	case Answered:
		return t.outcome
	}
	if t.outcome != Pending {
		return t.outcome
	}
	switch {
	case t.applied.len() >= t.w && t.durable.len() >= t.dw:
		t.outcome = Met
	case t.n-(t.failed&^t.applied).len() < t.w || t.n-(t.failed&^t.durable).len() < t.dw:
		t.outcome = Failed
	}
	return t.outcome
}

func (t *Put) fail(i int, err error) {
	t.failed |= 1 << i
	if kv.AppliedOf(err) == kv.AppliedUnknown {
		t.touched |= 1 << i
	}
	t.first = worse(t.first, err)
}

// Expire ends a pending tally because the deadline has passed. What has not
// answered may have applied the write.
func (t *Put) Expire() Outcome {
	if t.outcome == Pending {
		t.outcome = Failed
		t.touched = ^set(0)
		t.first = kv.Errorf(kv.KindTimeout, "wait", "the deadline passed")
	}
	return t.outcome
}

// Err returns why the tally failed, with AppliedNo only if no replica can have
// applied the write.
func (t *Put) Err() error {
	if t.outcome != Failed {
		return nil
	}
	e := failure("put", t.first, max(t.w, t.dw), t.n, t.applied.len())
	e.Applied = kv.AppliedNo
	if t.applied|t.touched != 0 {
		e.Applied = kv.AppliedUnknown
	}
	return e
}

// Get is the tally of one get. Its zero value is not usable; see NewGet.
type Get struct {
	n, r             int
	answered, failed set
	outcome          Outcome
	first            error
}

// NewGet returns the tally of a get that asks n replicas and needs r answers. n
// is at most 32.
func NewGet(n, r int) Get { return Get{n: n, r: r} }

// Step counts an event of replica i, Answered or Error, and returns where the
// tally then stands. An answer that is malformed is an Error.
func (t *Get) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= t.n || t.answered.has(i) || t.failed.has(i) {
		return t.outcome
	}
	switch ev {
	case Answered:
		t.answered |= 1 << i
	case Error:
		t.failed |= 1 << i
		t.first = worse(t.first, err)
	case Applied, Durable:
		return t.outcome
	}
	if t.outcome != Pending {
		return t.outcome
	}
	switch {
	case t.answered.len() >= t.r:
		t.outcome = Met
	case t.n-t.failed.len() < t.r:
		t.outcome = Failed
	}
	return t.outcome
}

// Answers tells how many replicas have answered.
func (t *Get) Answers() int { return t.answered.len() }

// Expire ends a pending tally because the deadline has passed.
func (t *Get) Expire() Outcome {
	if t.outcome == Pending {
		t.outcome = Failed
		t.first = kv.Errorf(kv.KindTimeout, "wait", "the deadline passed")
	}
	return t.outcome
}

// Err returns why the tally failed.
func (t *Get) Err() error {
	if t.outcome != Failed {
		return nil
	}
	return failure("get", t.first, t.r, t.n, t.answered.len())
}

// failure is the error of a tally that needed need of n replicas and heard from
// got.
func failure(op string, cause error, need, n, got int) *kv.Error {
	switch k := kv.KindOf(cause); k {
	case kv.KindTimeout, kv.KindStaleRing, kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage, kv.KindCorrupt:
		return kv.Errorf(k, op, "%d of %d replicas answered, %d are needed: %w", got, n, need, cause)
	}
	return kv.Errorf(kv.KindUnavailable, op, "%d of %d replicas answered, %d are needed: %w", got, n, need, cause)
}

// worse returns which of two failures the caller is to hear of: a stale ring,
// because then the whole request is to be tried again; else the earlier.
func worse(a, b error) error {
	if a == nil || kv.KindOf(b) == kv.KindStaleRing {
		return b
	}
	return a
}
