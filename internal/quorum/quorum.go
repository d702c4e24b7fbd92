// Package quorum is the tally of one get or put (§4.5): which answers came,
// whether they are enough, and what the caller is told. It is plain data,
// without clock, lock or network; the coordinator feeds it events.
//
// A tally counts the slots of a request, from 0: one for each owner of the key
// that takes part. It serves its slot, or a node that stands in for it (§4.6);
// several may be asked for one slot, yet it counts once, however many answer and
// however often. What comes after the outcome, or for a slot that there is not,
// changes nothing.
//
// While the ring changes a put has two sets of slots, which overlap: those of
// the owners before and of those after one step of the change. It needs a quorum
// of each.
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

// Slots is a set of slots.
type Slots uint32

// maxSlots bounds the slots of a tally.
const maxSlots = 32

// All returns the set of the first n slots, 32 at most.
func All(n int) Slots { return Slots(1<<n - 1) }

// Has tells whether slot i is in s.
func (s Slots) Has(i int) bool { return s&(1<<i) != 0 }

// Len returns the number of slots in s.
func (s Slots) Len() int { return bits.OnesCount32(uint32(s)) }

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

// Need is what a put needs: its write applied in W slots of Old and in W of New,
// and made durable in DW of each; in all slots of a set that has fewer.
type Need struct {
	W, DW int
	// Old has the slots of the owners, or, while the ring changes, of those
	// before the step, New of those after it; it is empty where one set is enough.
	Old, New Slots
	// Loose tells that the quorum is sloppy. Then W of all slots do when one of
	// two sets can have its quorum no longer: they are as many nodes that have the
	// write, which is all that a sloppy quorum promises.
	Loose bool
}

// Put is the tally of one put. Its zero value is not usable; see NewPut.
type Put struct {
	need Need
	// A slot may be in several: one whose copy is applied, and then fails to
	// become durable, is in applied and failed.
	applied, durable, failed Slots
	// unsure are the slots for which somebody who failed or does not count may
	// have applied the write all the same.
	unsure  Slots
	outcome Outcome
	cause   error
}

// NewPut returns the tally of a put.
func NewPut(n Need) Put { return Put{need: n} }

func (t *Put) all() Slots { return t.need.Old | t.need.New }

// Step counts an event of slot i and returns where the tally then stands. An
// Error is a slot's last word.
func (t *Put) Step(i int, ev Event, err error) Outcome {
	if i < 0 || i >= maxSlots || !t.all().Has(i) || t.outcome != Pending {
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
	t.settle()
	return t.outcome
}

func (t *Put) settle() {
	met := t.enough(t.need.Old) && t.enough(t.need.New)
	lost := !met && (t.lost(t.need.Old) || t.lost(t.need.New))
	if lost && t.need.Loose {
		met, lost = t.enough(t.all()), t.lost(t.all())
	}
	switch {
	case met:
		t.outcome = Met
	case lost:
		t.outcome = Failed
	}
}

// enough tells whether s has its quorum.
func (t *Put) enough(s Slots) bool {
	return (t.applied&s).Len() >= min(t.need.W, s.Len()) && (t.durable&s).Len() >= min(t.need.DW, s.Len())
}

// lost tells whether s cannot have its quorum any more.
func (t *Put) lost(s Slots) bool {
	n := s.Len()
	return n-(t.failed&^t.applied&s).Len() < min(t.need.W, n) || n-(t.failed&^t.durable&s).Len() < min(t.need.DW, n)
}

// Expire ends a pending tally because the deadline has passed.
func (t *Put) Expire() Outcome {
	switch {
	case t.outcome != Pending:
	case t.need.Loose && t.enough(t.all()):
		t.outcome = Met
	default:
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
	who, of := t.short()
	w, dw := min(t.need.W, of.Len()), min(t.need.DW, of.Len())
	did, got, need := "applied it", (t.applied & of).Len(), w
	if got >= w {
		did, got, need = "made it durable", (t.durable & of).Len(), dw
	}
	e := failure("put", t.cause, got, of.Len(), who+" "+did, need)
	e.Applied = kv.AppliedUnknown
	if t.applied|t.unsure == 0 && t.failed == t.all() {
		e.Applied = kv.AppliedNo
	}
	return e
}

// short returns a set that lacks its quorum, and what its slots are called.
func (t *Put) short() (who string, s Slots) {
	switch {
	case t.need.Loose || t.need.New == 0:
		return "replicas", t.all()
	case !t.enough(t.need.Old):
		return "owners before the change", t.need.Old
	}
	return "owners after the change", t.need.New
}

// Applied tells whether the write is applied in slot i, as far as was heard,
// Durable whether it is durable there.
func (t *Put) Applied(i int) bool { return t.applied.Has(i) }

// Durable is described at Applied.
func (t *Put) Durable(i int) bool { return t.durable.Has(i) }

// Outcome tells where the tally stands.
func (t *Put) Outcome() Outcome { return t.outcome }

// Acks tells in how many slots the write is applied, as far as was heard.
func (t *Put) Acks() int { return t.applied.Len() }

// Get is the tally of one get. Its zero value is not usable; see NewGet.
type Get struct {
	n, r int
	// No slot is in two of them.
	answered, empty, failed Slots
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
	if i < 0 || i >= t.n || t.outcome != Pending || (t.answered | t.failed).Has(i) {
		return t.outcome
	}
	switch ev {
	case Answered:
		t.answered |= 1 << i
		t.empty &^= 1 << i
	case Empty:
		t.empty |= 1 << i
	case Error:
		if t.empty.Has(i) {
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
	all := t.answered.Len() + t.empty.Len()
	nobodyElse := t.hurried || all+t.failed.Len() == t.n
	switch {
	case t.answered.Len() >= t.r || all >= t.r && nobodyElse:
		t.outcome = Met
	case t.n-t.failed.Len() < t.r:
		t.outcome = Failed
	}
	return t.outcome
}

// Outcome tells where the tally stands.
func (t *Get) Outcome() Outcome { return t.outcome }

// Answers tells how many slots have answered.
func (t *Get) Answers() int { return t.answered.Len() + t.empty.Len() }

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
	return failure("get", t.cause, t.Answers(), t.n, "replicas answered", t.r)
}

// failure is the error of a tally in which got of n slots did what need of them
// were to do.
func failure(op string, cause error, got, n int, did string, need int) *kv.Error {
	k := kv.KindOf(cause)
	switch k {
	case kv.KindTimeout, kv.KindStaleRing, kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage, kv.KindCorrupt, kv.KindHintsFull:
	default:
		k = kv.KindUnavailable
	}
	return kv.Errorf(k, op, "%d of %d %s, %d are needed: %w", got, n, did, need, cause)
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
