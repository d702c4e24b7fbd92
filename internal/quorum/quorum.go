// Package quorum is the tally of one get or put (§4.5): which answers came,
// whether they are enough, and what the caller is told. It is plain data,
// without clock, lock or network; the coordinator feeds it events.
//
// A tally counts the slots of a request, from 0: the N places at the head of
// the key's preference list. An owner serves each, or a node that stands in for
// it (§4.6); several may be asked for one slot, yet it counts once, however many
// answer and however often. What comes after the outcome, or for a slot that
// there is not, changes nothing.
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
	// Met: enough slots are served.
	Met
	// Failed: enough can no longer be; Err tells why.
	Failed
)

// set is a set of slots.
type set uint32

func (s set) has(i int) bool { return s&(1<<i) != 0 }
func (s set) len() int       { return bits.OnesCount32(uint32(s)) }

// Event is what was heard of one slot.
type Event uint8

const (
	// Applied: the write is applied.
	Applied Event = iota
	// Durable: it is on stable storage, which implies Applied.
	Durable
	// Answered: the read is answered.
	Answered
	// Empty: a stand-in answered the read, and has nothing. It knows less than
	// an owner that has nothing, so it counts only once there is nobody better
	// to wait for, or after Hurry.
	Empty
	// Missed: one that was asked failed, refused or did not answer, and another
	// is asked, or was; an error comes with it.
	Missed
	// Aside: one that does not count was asked for the write, and may apply it.
	Aside
	// Error: as Missed, and nobody else is asked: the slot is lost.
	Error
)

// Put is the tally of one put. Its zero value is not usable; see NewPut.
type Put struct {
	n, w, dw int
	// A slot may be in several: one whose copy is applied, and then fails to
	// become durable, is in applied and failed.
	applied, durable, failed set
	// unsure are the slots for which somebody who failed or does not count may
	// have applied the write all the same.
	unsure  set
	outcome Outcome
	cause   error
}

// NewPut returns the tally of a put of n slots that needs the write to be
// applied in w of them, and made durable in dw. n is at most 32.
func NewPut(n, w, dw int) Put { return Put{n: n, w: w, dw: dw} }

// Step counts an event of slot i and returns where the tally then stands. An
// Error is a slot's last word.
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
	case Aside:
		t.unsure |= 1 << i
	case Error, Missed:
		if ev == Error {
			t.failed |= 1 << i
		}
		if kv.AppliedOf(err) != kv.AppliedNo {
			t.unsure |= 1 << i
		}
		t.cause = worse(t.cause, err)
	case Answered, Empty:
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
		t.outcome, t.cause = Failed, errExpired(t.cause)
	}
	return t.outcome
}

// Err returns why the tally failed. It says AppliedNo only when every slot is
// lost and whoever was asked has refused the write, stand-ins included: one that
// was not heard of yet may apply it still.
func (t *Put) Err() error {
	if t.outcome != Failed {
		return nil
	}
	e := failure("put", t.cause, "applied it", t.applied.len(), t.n, t.w)
	if t.applied.len() >= t.w {
		e = failure("put", t.cause, "made it durable", t.durable.len(), t.n, t.dw)
	}
	e.Applied = kv.AppliedUnknown
	if t.applied|t.unsure == 0 && t.failed.len() == t.n {
		e.Applied = kv.AppliedNo
	}
	return e
}

// Outcome tells where the tally stands.
func (t *Put) Outcome() Outcome { return t.outcome }

// Acks tells in how many slots the write is applied, as far as was heard.
func (t *Put) Acks() int { return t.applied.len() }

// Get is the tally of one get. Its zero value is not usable; see NewGet.
type Get struct {
	n, r int
	// No slot is in two of them.
	answered, empty, failed set
	hurried                 bool
	outcome                 Outcome
	cause                   error
}

// NewGet returns the tally of a get of n slots that needs r answers. n is at
// most 32.
func NewGet(n, r int) Get { return Get{n: n, r: r} }

// Step counts an event of slot i, Answered, Empty, Missed or Error, and returns
// where the tally then stands. The first of them but for Missed is the slot's
// last word, except that an Answered takes the place of an Empty. An answer that
// is malformed is no answer.
func (t *Get) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= t.n || t.outcome != Pending || (t.answered | t.failed).has(i) {
		return t.outcome
	}
	switch ev {
	case Answered:
		t.answered |= 1 << i
		t.empty &^= 1 << i
	case Empty:
		t.empty |= 1 << i
	case Error:
		if t.empty.has(i) {
			return t.outcome
		}
		t.failed |= 1 << i
		t.cause = worse(t.cause, err)
	case Missed:
		t.cause = worse(t.cause, err)
	case Applied, Durable, Aside:
		return t.outcome
	}
	return t.settle()
}

// Hurry has empty answers count from now on, because those that were to know
// more take too long.
func (t *Get) Hurry() Outcome {
	t.hurried = true
	if t.outcome == Pending {
		return t.settle()
	}
	return t.outcome
}

func (t *Get) settle() Outcome {
	all := t.answered.len() + t.empty.len()
	nobodyElse := t.hurried || all+t.failed.len() == t.n
	switch {
	case t.answered.len() >= t.r || all >= t.r && nobodyElse:
		t.outcome = Met
	case t.n-t.failed.len() < t.r:
		t.outcome = Failed
	}
	return t.outcome
}

// Outcome tells where the tally stands.
func (t *Get) Outcome() Outcome { return t.outcome }

// Answers tells how many slots have answered.
func (t *Get) Answers() int { return t.answered.len() + t.empty.len() }

// Expire ends a pending tally because the deadline has passed.
func (t *Get) Expire() Outcome {
	if t.Hurry() == Pending {
		t.outcome, t.cause = Failed, errExpired(t.cause)
	}
	return t.outcome
}

// Err returns why the tally failed.
func (t *Get) Err() error {
	if t.outcome != Failed {
		return nil
	}
	return failure("get", t.cause, "answered", t.Answers(), t.n, t.r)
}

// failure is the error of a tally in which got of n slots did what need of them
// were to do.
func failure(op string, cause error, did string, got, n, need int) *kv.Error {
	k := kv.KindOf(cause)
	switch k {
	case kv.KindTimeout, kv.KindStaleRing, kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage, kv.KindCorrupt, kv.KindHintsFull:
	default:
		k = kv.KindUnavailable
	}
	return kv.Errorf(k, op, "%d of %d replicas %s, %d are needed: %w", got, n, did, need, cause)
}

// errExpired is the cause of a tally that was ended by the deadline; before is
// what had gone wrong until then, nil for nothing.
func errExpired(before error) error {
	if before == nil {
		return kv.Errorf(kv.KindTimeout, "wait", "the deadline passed")
	}
	return kv.Errorf(kv.KindTimeout, "wait", "the deadline passed, after %v", before)
}

// worse returns which of two failures the caller is to hear of: a stale ring,
// because then the whole request is to be tried again; else the earlier.
func worse(a, b error) error {
	if a == nil || kv.KindOf(b) == kv.KindStaleRing {
		return b
	}
	return a
}
