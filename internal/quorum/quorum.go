// Package quorum is the tally of one get or put (§4.5): which answers came,
// whether they are enough, and what the caller is told. It is plain data,
// without clock, lock or network; the coordinator feeds it events.
//
// A replica is known to a tally by its place among those that were asked, from
// 0. Each counts once, however often it answers, and what comes after the
// outcome, or from a replica that was not asked, changes nothing.
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
	n, w, dw int
	// A replica may be in several: one that fails to make durable what it
	// applied is in applied and failed.
	applied, durable, failed set
	// refused are the replicas that failed and certainly did not apply the
	// write.
	refused set
	outcome Outcome
	cause   error
}

// NewPut returns the tally of a put that asks n replicas and needs w of them to
// apply it and dw to make it durable. n is at most 32.
func NewPut(n, w, dw int) Put { return Put{n: n, w: w, dw: dw} }

// Step counts an event of replica i and returns where the tally then stands. An
// Error is a replica's last word.
func (t *Put) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= t.n || t.outcome != Pending {
		return t.outcome
	}
	switch ev {
	case Applied:
		t.applied |= 1 << i
	case Durable:
		t.applied |= 1 << i
		t.durable |= 1 << i
	case Error:
		t.failed |= 1 << i
		if kv.AppliedOf(err) == kv.AppliedNo {
			t.refused |= 1 << i
		}
		t.cause = worse(t.cause, err)
	case Answered:
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

// Expire ends a pending tally because the deadline has passed.
func (t *Put) Expire() Outcome {
	if t.outcome == Pending {
		t.outcome, t.cause = Failed, errExpired()
	}
	return t.outcome
}

// Err returns why the tally failed. It says AppliedNo only when every replica
// has refused the write: one that was not heard of yet may apply it still.
func (t *Put) Err() error {
	if t.outcome != Failed {
		return nil
	}
	e := failure("put", t.cause, "applied it", t.applied.len(), t.n, t.w)
	if t.applied.len() >= t.w {
		e = failure("put", t.cause, "made it durable", t.durable.len(), t.n, t.dw)
	}
	e.Applied = kv.AppliedUnknown
	if t.applied == 0 && t.refused.len() == t.n {
		e.Applied = kv.AppliedNo
	}
	return e
}

// Acks tells how many replicas have applied the write, as far as they said.
func (t *Put) Acks() int { return t.applied.len() }

// Get is the tally of one get. Its zero value is not usable; see NewGet.
type Get struct {
	n, r             int
	answered, failed set
	outcome          Outcome
	cause            error
}

// NewGet returns the tally of a get that asks n replicas and needs r answers. n
// is at most 32.
func NewGet(n, r int) Get { return Get{n: n, r: r} }

// Step counts an event of replica i, Answered or Error, and returns where the
// tally then stands. The first event of a replica is its last word. An answer
// that is malformed is an Error.
func (t *Get) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= t.n || t.outcome != Pending || (t.answered | t.failed).has(i) {
		return t.outcome
	}
	switch ev {
	case Answered:
		t.answered |= 1 << i
	case Error:
		t.failed |= 1 << i
		t.cause = worse(t.cause, err)
	case Applied, Durable:
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
		t.outcome, t.cause = Failed, errExpired()
	}
	return t.outcome
}

// Err returns why the tally failed.
func (t *Get) Err() error {
	if t.outcome != Failed {
		return nil
	}
	return failure("get", t.cause, "answered", t.answered.len(), t.n, t.r)
}

// failure is the error of a tally in which got of n replicas did what need of
// them were to do.
func failure(op string, cause error, did string, got, n, need int) *kv.Error {
	k := kv.KindOf(cause)
	switch k {
	case kv.KindTimeout, kv.KindStaleRing, kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage, kv.KindCorrupt:
	default:
		k = kv.KindUnavailable
	}
	return kv.Errorf(k, op, "%d of %d replicas %s, %d are needed: %w", got, n, did, need, cause)
}

func errExpired() error { return kv.Errorf(kv.KindTimeout, "wait", "the deadline passed") }

// worse returns which of two failures the caller is to hear of: a stale ring,
// because then the whole request is to be tried again; else the earlier.
func worse(a, b error) error {
	if a == nil || kv.KindOf(b) == kv.KindStaleRing {
		return b
	}
	return a
}
