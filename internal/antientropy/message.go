package antientropy

import (
	"encoding/binary"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// The payloads of wire.TypeExchange. A request begins with its kind, its purpose
// and the asker's era, an answer with the kind, how requests of clients fare at the
// answerer, and its standing. Numbers are big-endian. Floors stand once in a
// message, and are referred to by number.

// kind is what a request of wire.TypeExchange is, and its answer. Append only.
type kind uint8

const (
	// kindRoots compares the roots of many partitions.
	kindRoots kind = 1
	// kindBranches compares the branches of those whose roots differ.
	kindBranches kind = 2
	// kindKeys compares the keys of leaves that differ.
	kindKeys kind = 3
	// kindObjects hands objects over.
	kindObjects kind = 4
	// kindAdopt hands floors over, after all objects.
	kindAdopt kind = 5
)

// standing is what a node's word rests on: its start, its era, and how often a
// copy of its that had lost data was refilled since the start. What a node said
// it has seen holds as long as its standing is the same, and the copy is not
// damaged.
type standing struct {
	boot    uint64
	era     kv.Level
	repairs uint64
}

func (s standing) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, s.boot)
	b = binary.BigEndian.AppendUint64(b, uint64(s.era))
	return binary.BigEndian.AppendUint64(b, s.repairs)
}

func (r *reader) standing() standing { return standing{r.U64(), kv.Level(r.U64()), r.U64()} }

// head is what every request of an exchange begins with, beside its kind.
type head struct {
	why purpose
	era kv.Level
}

func (h head) begin(k kind) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(k), byte(h.why)}, uint64(h.era))
}

// readAsk reads the beginning of a request.
func (r *reader) ask() (kind, head) {
	k, why := kind(r.U8()), purpose(r.U8())
	r.Bad = r.Bad || int(why) >= len(purposeNames)
	return k, head{why, kv.Level(r.U64())}
}

// loadAt is where an answer tells how requests of clients fare at its node.
const loadAt = 1

// loadIn returns what an answer tells of that; of one that is none, nothing.
func loadIn(answer []byte) pace.Load {
	if len(answer) <= loadAt {
		return pace.Idle
	}
	return min(pace.Load(answer[loadAt]), pace.Strained)
}

func beginAnswer(k kind, s standing) []byte { return s.appendTo([]byte{byte(k), 0}) }

// answerReader reads the beginning of an answer to a request of kind k.
func answerReader(k kind, b []byte) (reader, standing) {
	r := reader{Reader: parse.Reader{Rest: b}}
	if kind(r.U8()) != k {
		r.Bad = true
	}
	r.Bad = pace.Load(r.U8()) > pace.Strained || r.Bad
	return r, r.standing()
}

// rootsAsk asks whether parts, or all partitions that both nodes own, have the
// same roots and floors.
type rootsAsk struct {
	head
	// parts are ascending; nil stands for all that both own.
	parts []kv.Partition
	// levels are, for a fill, those that the copy of each of parts must have been
	// sealed at.
	levels []kv.Level
	hash   uint64
}

func (m *rootsAsk) encode() []byte {
	b := binary.BigEndian.AppendUint64(m.begin(kindRoots), m.hash)
	b = appendPartitions(b, m.parts)
	for _, l := range m.levels {
		b = binary.BigEndian.AppendUint64(b, uint64(l))
	}
	return b
}

func parseRootsAsk(r reader, h head) (rootsAsk, error) {
	m := rootsAsk{head: h, hash: r.U64(), parts: r.partitions()}
	if h.why == forFill {
		for range m.parts {
			m.levels = append(m.levels, kv.Level(r.U64()))
		}
	}
	return m, r.end("roots")
}

// rootsAnswer answers it: the same, or the sum of each partition, in order.
type rootsAnswer struct {
	standing
	same bool
	sums []uint64
	// closed are the places of the copies that cannot be compared: their trees
	// are being built, they have lost data, or they are no sources.
	closed []int
	// stages are, for who refills its copies, those of the copies.
	stages []stage
	// sizes are, for who fills its copies, those of the copies in bytes.
	sizes []uint64
}

// stage is how far a copy is: the lowest levels of puts and gets that it serves.
type stage struct{ puts, gets kv.Level }

func (m *rootsAnswer) encode() []byte {
	b := beginAnswer(kindRoots, m.standing)
	if m.same {
		return append(b, 1)
	}
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.sums)))
	b = appendHashes(b, m.sums)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.closed)))
	for _, at := range m.closed {
		b = binary.BigEndian.AppendUint32(b, uint32(at))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.stages)))
	for _, s := range m.stages {
		b = binary.BigEndian.AppendUint64(b, uint64(s.puts))
		b = binary.BigEndian.AppendUint64(b, uint64(s.gets))
	}
	return appendHashes(binary.BigEndian.AppendUint32(b, uint32(len(m.sizes))), m.sizes)
}

func parseRootsAnswer(b []byte) (rootsAnswer, error) {
	r, s := answerReader(kindRoots, b)
	m := rootsAnswer{standing: s}
	if m.same = r.Flag(); !m.same {
		m.sums = r.hashes(r.count(8))
		for range r.count(4) {
			at := int(r.U32())
			if at >= len(m.sums) {
				r.Bad = true
			}
			m.closed = append(m.closed, at)
		}
		for range r.count(16) {
			m.stages = append(m.stages, stage{kv.Level(r.U64()), kv.Level(r.U64())})
		}
		if n := len(m.stages); n != 0 && n != len(m.sums) {
			r.Bad = true
		}
		m.sizes = r.hashes(r.count(8))
		if n := len(m.sizes); n != 0 && n != len(m.sums) {
			r.Bad = true
		}
	}
	return m, r.end("roots answer")
}

// branchesAsk shows the branches of some partitions, and the floors that the
// asker's copies had before it looked at them.
type branchesAsk struct {
	head
	parts []branches
}

type branches struct {
	p     kv.Partition
	floor vclock.Floor
	// hashes are merkle.Fanout many.
	hashes []uint64
}

const branchesSize = 2 + 2 + 8*merkle.Fanout

func (m *branchesAsk) encode() []byte {
	var t floorTable
	for _, p := range m.parts {
		t.index(p.floor)
	}
	b := t.appendTo(m.begin(kindBranches))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.parts)))
	for _, p := range m.parts {
		b = binary.BigEndian.AppendUint16(b, uint16(p.p))
		b = binary.BigEndian.AppendUint16(b, t.index(p.floor))
		b = appendHashes(b, p.hashes)
	}
	return b
}

func parseBranchesAsk(r reader, h head) (branchesAsk, error) {
	m := branchesAsk{head: h}
	r.table()
	for range r.count(branchesSize) {
		m.parts = append(m.parts, branches{r.partition(), r.floor(), r.hashes(merkle.Fanout)})
	}
	return m, r.end("branches")
}

// branchesAnswer answers for the first partitions of a branchesAsk, as many as a
// message holds.
type branchesAnswer struct {
	standing
	parts []branchLeaves
}

// branchLeaves are the leaves of the branches that differ, in order: for each
// bit of mask merkle.Fanout hashes.
type branchLeaves struct {
	closed bool
	floor  vclock.Floor
	mask   uint32
	hashes []uint64
}

const branchLeavesSize = 1 + 2 + 4

func (m *branchesAnswer) encode() []byte {
	var t floorTable
	for _, p := range m.parts {
		t.index(p.floor)
	}
	b := t.appendTo(beginAnswer(kindBranches, m.standing))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.parts)))
	for _, p := range m.parts {
		b = appendFlag(b, p.closed)
		b = binary.BigEndian.AppendUint16(b, t.index(p.floor))
		b = binary.BigEndian.AppendUint32(b, p.mask)
		b = appendHashes(b, p.hashes)
	}
	return b
}

func parseBranchesAnswer(b []byte) (branchesAnswer, error) {
	r, s := answerReader(kindBranches, b)
	m := branchesAnswer{standing: s}
	r.table()
	for range r.count(branchLeavesSize) {
		p := branchLeaves{closed: r.Flag(), floor: r.floor(), mask: r.U32()}
		p.hashes = r.hashes(merkle.Fanout * bits.OnesCount32(p.mask))
		m.parts = append(m.parts, p)
	}
	return m, r.end("branches answer")
}

// adoptAsk hands over floors: the node asked has by now all that the asker's
// copies had seen when these were their floors.
type adoptAsk struct {
	head
	// boot and repairs are those under which the node asked took the objects.
	boot, repairs uint64
	parts         []adoption
}

type adoption struct {
	p     kv.Partition
	floor vclock.Floor
}

func (m *adoptAsk) encode() []byte {
	var t floorTable
	for _, p := range m.parts {
		t.index(p.floor)
	}
	b := m.begin(kindAdopt)
	b = binary.BigEndian.AppendUint64(b, m.boot)
	b = t.appendTo(binary.BigEndian.AppendUint64(b, m.repairs))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.parts)))
	for _, p := range m.parts {
		b = binary.BigEndian.AppendUint16(b, uint16(p.p))
		b = binary.BigEndian.AppendUint16(b, t.index(p.floor))
	}
	return b
}

func parseAdoptAsk(r reader, h head) (adoptAsk, error) {
	m := adoptAsk{head: h, boot: r.U64(), repairs: r.U64()}
	r.table()
	for range r.count(4) {
		m.parts = append(m.parts, adoption{r.partition(), r.floor()})
	}
	return m, r.end("adopt")
}

// adoptAnswer tells which of them were taken over, durably, after all data.
type adoptAnswer struct {
	standing
	taken []kv.Partition
}

func (m *adoptAnswer) encode() []byte {
	return appendPartitions(beginAnswer(kindAdopt, m.standing), m.taken)
}

func parseAdoptAnswer(b []byte) (adoptAnswer, error) {
	r, s := answerReader(kindAdopt, b)
	m := adoptAnswer{standing: s, taken: r.partitions()}
	return m, r.end("adopt answer")
}
