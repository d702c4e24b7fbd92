package antientropy

import (
	"encoding/binary"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// The payloads of wire.TypeExchange. A request begins with its kind and the
// epoch of the asker's ring, an answer with the kind and the answerer's
// standing. Numbers are big-endian. Floors stand once in a message, and are
// referred to by number.

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

// standing is what a node's word rests on: its start, its ring, and how often a
// copy of its that had lost data was refilled since the start. What a node said
// it has seen holds as long as its standing is the same, and the copy is not
// damaged.
type standing struct{ boot, epoch, repairs uint64 }

func (s standing) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, s.boot)
	b = binary.BigEndian.AppendUint64(b, s.epoch)
	return binary.BigEndian.AppendUint64(b, s.repairs)
}

func (r *reader) standing() standing { return standing{r.u64(), r.u64(), r.u64()} }

func beginAsk(k kind, epoch uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(k)}, epoch)
}

func beginAnswer(k kind, s standing) []byte { return s.appendTo([]byte{byte(k)}) }

// answerReader reads the beginning of an answer to a request of kind k.
func answerReader(k kind, b []byte) (reader, standing) {
	r := reader{b: b}
	if kind(r.u8()) != k {
		r.bad = true
	}
	return r, r.standing()
}

// rootsAsk asks whether parts, or all partitions that both nodes own, have the
// same roots and floors.
type rootsAsk struct {
	epoch uint64
	// parts are ascending; nil stands for all that both own.
	parts []kv.Partition
	hash  uint64
}

func (m *rootsAsk) encode() []byte {
	b := binary.BigEndian.AppendUint64(beginAsk(kindRoots, m.epoch), m.hash)
	return appendPartitions(b, m.parts)
}

func parseRootsAsk(r reader, epoch uint64) (rootsAsk, error) {
	m := rootsAsk{epoch: epoch, hash: r.u64(), parts: r.partitions()}
	return m, r.end("roots")
}

// rootsAnswer answers it: the same, or the sum of each partition, in order.
type rootsAnswer struct {
	standing
	same bool
	sums []uint64
	// closed are the places of the copies that cannot be compared: their trees
	// are being built, or they have lost data.
	closed []int
}

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
	return b
}

func parseRootsAnswer(b []byte) (rootsAnswer, error) {
	r, s := answerReader(kindRoots, b)
	m := rootsAnswer{standing: s}
	if m.same = r.flag(); !m.same {
		m.sums = r.hashes(r.count(8))
		for range r.count(4) {
			at := int(r.u32())
			if at >= len(m.sums) {
				r.bad = true
			}
			m.closed = append(m.closed, at)
		}
	}
	return m, r.end("roots answer")
}

// branchesAsk shows the branches of some partitions, and the floors that the
// asker's copies had before it looked at them.
type branchesAsk struct {
	epoch uint64
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
	b := t.appendTo(beginAsk(kindBranches, m.epoch))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.parts)))
	for _, p := range m.parts {
		b = binary.BigEndian.AppendUint16(b, uint16(p.p))
		b = binary.BigEndian.AppendUint16(b, t.index(p.floor))
		b = appendHashes(b, p.hashes)
	}
	return b
}

func parseBranchesAsk(r reader, epoch uint64) (branchesAsk, error) {
	m := branchesAsk{epoch: epoch}
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
		p := branchLeaves{closed: r.flag(), floor: r.floor(), mask: r.u32()}
		p.hashes = r.hashes(merkle.Fanout * bits.OnesCount32(p.mask))
		m.parts = append(m.parts, p)
	}
	return m, r.end("branches answer")
}

// adoptAsk hands over floors: the node asked has by now all that the asker's
// copies had seen when these were their floors.
type adoptAsk struct {
	epoch uint64
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
	b := beginAsk(kindAdopt, m.epoch)
	b = binary.BigEndian.AppendUint64(b, m.boot)
	b = t.appendTo(binary.BigEndian.AppendUint64(b, m.repairs))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.parts)))
	for _, p := range m.parts {
		b = binary.BigEndian.AppendUint16(b, uint16(p.p))
		b = binary.BigEndian.AppendUint16(b, t.index(p.floor))
	}
	return b
}

func parseAdoptAsk(r reader, epoch uint64) (adoptAsk, error) {
	m := adoptAsk{epoch: epoch, boot: r.u64(), repairs: r.u64()}
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
