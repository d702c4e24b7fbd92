package antientropy

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A sweep is a round of five steps, which the leader takes one after another and
// with all members each:
//
//	low       each tells its sequence numbers up to which all is stored: S; and
//	          what its clock shows, the least of which is S's expiry mark
//	report    each tells, later, for which partitions it held nothing at some
//	          moment that belongs elsewhere
//	exchange  each partition's first owner exchanges it fully with all others
//	check     each tells that its standing is still that of the first step
//	floor     each owner raises its floors to S
//
// docs/adr/0008-floors.md says why each is needed. The payloads of
// wire.TypeSweep have one form for all steps.

// step is a step of a round. Append only: it travels.
type step uint8

const (
	stepNone step = iota
	stepLow
	stepReport
	stepExchange
	stepCheck
	stepFloor
)

var stepNames = [...]string{"none", "low", "report", "exchange", "check", "floor"}

// String returns the step's name as it stands in answers.
func (s step) String() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return "unknown"
}

// round names a round: no two have the same name, also of a leader that was
// started anew.
type round struct {
	leader        kv.NodeID
	boot, counter uint64
}

func (r round) String() string { return fmt.Sprintf("%v.%d.%d", r.leader, r.boot, r.counter) }

// newer tells whether r is a later round of the same leader.
func (r round) newer(o round) bool {
	return r.leader == o.leader && (r.boot > o.boot || r.boot == o.boot && r.counter > o.counter)
}

// sweepAsk is a request of any step.
type sweepAsk struct {
	step
	round
	era kv.Level
	// members and removed are hashes of what the leader knows of the cluster.
	members, removed uint64
	// told is the member's standing as it told it in the first step; in that
	// step zero.
	told standing
	// parts, ascending, are those to be exchanged, or to have their floors
	// raised to floor.
	parts []kv.Partition
	floor vclock.Floor
}

func (m *sweepAsk) encode() []byte {
	b := []byte{byte(m.step)}
	for _, v := range []uint64{uint64(m.leader), m.boot, m.counter, uint64(m.era), m.members, m.removed} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = appendPartitions(m.told.appendTo(b), m.parts)
	return appendBytes32(b, m.floor)
}

func parseSweepAsk(b []byte) (sweepAsk, error) {
	r := reader{Reader: parse.Reader{Rest: b}}
	m := sweepAsk{step: step(r.U8()), round: round{kv.NodeID(r.U64()), r.U64(), r.U64()}, era: kv.Level(r.U64())}
	m.members, m.removed = r.U64(), r.U64()
	m.told, m.parts = r.standing(), r.partitions()
	f, err := vclock.ParseFloor(r.Bytes32())
	if err != nil || m.step == stepNone || m.step > stepFloor {
		r.Bad = true
	}
	if len(f) > 0 {
		m.floor = f
	}
	return m, r.end("sweep")
}

// sweepAnswer is the answer in any step.
type sweepAnswer struct {
	step
	standing
	// low are the ids under which the member has written, with its sequence, and
	// under clockMark what its clock shows.
	low []lowMark
	// removed tells that the member knows the same nodes to be dead for good.
	removed bool
	// done tells that an exchange is over.
	done bool
	// parts are, ascending, the partitions of which the member holds something
	// that belongs elsewhere, or has no sound copy (report), that it has
	// exchanged (exchange), or whose floors it has raised (floor).
	parts []kv.Partition
}

// clockMark stands in the place of an id: the mark is what the member's clock
// shows, in milliseconds.
const clockMark kv.NodeID = 0

type lowMark struct {
	id  kv.NodeID
	seq uint64
}

func (m *sweepAnswer) encode() []byte {
	b := m.standing.appendTo([]byte{byte(m.step)})
	b = appendFlag(appendFlag(b, m.removed), m.done)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.low)))
	for _, l := range m.low {
		b = binary.BigEndian.AppendUint64(b, uint64(l.id))
		b = binary.BigEndian.AppendUint64(b, l.seq)
	}
	return appendPartitions(b, m.parts)
}

func parseSweepAnswer(b []byte) (sweepAnswer, error) {
	r := reader{Reader: parse.Reader{Rest: b}}
	m := sweepAnswer{step: step(r.U8()), standing: r.standing(), removed: r.Flag(), done: r.Flag()}
	for range r.count(16) {
		l := lowMark{kv.NodeID(r.U64()), r.U64()}
		r.Bad = r.Bad || l.id == clockMark && l.seq > uint64(kv.MaxExpiry)
		m.low = append(m.low, l)
	}
	m.parts = r.partitions()
	return m, r.end("sweep answer")
}

// minus returns the elements of a, ascending, that are not in b, ascending.
func minus(a, b []kv.Partition) []kv.Partition {
	return slices.DeleteFunc(slices.Clone(a), func(p kv.Partition) bool {
		_, found := slices.BinarySearch(b, p)
		return found
	})
}

// both returns the elements of a, ascending, that are also in b, ascending.
func both(a, b []kv.Partition) []kv.Partition { return minus(a, minus(a, b)) }

// membersHash is the hash of the ids of members.
func membersHash(members []Member) uint64 {
	var ids []uint64
	for _, m := range members {
		ids = append(ids, uint64(m.ID))
	}
	return hashOf(ids)
}

func idsHash(ids []kv.NodeID) uint64 {
	var v []uint64
	for _, id := range ids {
		v = append(v, uint64(id))
	}
	return hashOf(v)
}
