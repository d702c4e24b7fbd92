package wire

import (
	"encoding/binary"
	"hash/fnv"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// The encoding of a RingInfo, all numbers big-endian:
//
//	hash u64; that is all if it is the asker's
//	format u8, log2(partitions) u8, width u8, epoch u64,
//	length u8 and name of the partitioner,
//	count u16, then for each node: id u64, up u8, length u16 and address,
//	for each partition its owners: width places in the list of nodes,
//	then, ascending, each partition that is on its way to other owners:
//	    partition u16, count u8, readers u32, count places
//
// A place is a u8 where there are at most 256 nodes, else a u16.
const (
	ringFormat    = 1
	ringHash      = 8
	ringHeader    = 14
	maxRingOwners = 32 // of one partition on its way: a bit each in a mask
	minRingNode   = 11
	maxPartitions = 1 << 16
	maxRingName   = 255 // bytes of the partitioner's name
	maxRingAddr   = 512 // bytes of an address
	// MaxRing bounds an encoded RingInfo, in bytes: 9 MB. With 1,024 partitions,
	// three owners of each and ten nodes it has 3.4 KB.
	MaxRing = ringHash + ringHeader + maxRingName + kv.MaxMembers*(minRingNode+maxRingAddr) +
		maxPartitions*kv.MaxReplicas*2 + maxPartitions*(7+2*maxRingOwners)
)

// RingQuery asks a node for the ring as it sees it.
type RingQuery struct {
	// Known is the hash of what the asker has, 0 for nothing.
	Known uint64
}

// Size implements Appender.
func (m *RingQuery) Size() int { return 8 }

// AppendTo implements Appender.
func (m *RingQuery) AppendTo(b []byte) []byte { return binary.BigEndian.AppendUint64(b, m.Known) }

// ParseRingQuery reads a RingQuery.
func ParseRingQuery(b []byte) (RingQuery, error) {
	r := parse.Reader{Rest: b}
	m := RingQuery{Known: r.U64()}
	if r.Bad || len(r.Rest) > 0 {
		return m, cut("ring query")
	}
	return m, nil
}

// RingInfo is what a client needs of the ring to find a key's owners. It is a
// hint: whoever is asked by it checks against its own ring.
type RingInfo struct {
	// Hash stands for all the rest, and is never 0.
	Hash uint64
	// Same tells that the asker has it, and that all the rest is left out.
	Same bool
	// Epoch is that of the last ring that is settled.
	Epoch uint64
	// Partitioner is the name of the rule that places keys on Partitions
	// partitions, a power of two; a reader may not know it.
	Partitioner string
	Partitions  int
	Nodes       []RingNode
	// Owners are, Width for each partition, places in Nodes; Width is N, or the
	// number of nodes where that is less.
	Width  int
	Owners []uint16
	// Moving are the partitions on their way to other owners, ascending: what is
	// said of them in Owners is the ring from which they go.
	Moving []RingMove
}

// RingNode is a node, and whether whoever tells of it finds it to answer.
type RingNode struct {
	ID   kv.NodeID
	Up   bool
	Peer string
}

// RingMove is how requests to one partition are carried out while its owners
// change: puts at all of Owners, gets at those whose places in Owners are bits
// of Readers.
type RingMove struct {
	Partition kv.Partition
	Readers   uint32
	Owners    []uint16
}

// Seal sets the hash and returns the encoding.
func (m *RingInfo) Seal() []byte {
	b := m.AppendTo(make([]byte, 0, m.Size()))
	h := fnv.New64a()
	_, _ = h.Write(b[ringHash:]) // it never fails
	m.Hash = max(h.Sum64(), 1)
	binary.BigEndian.PutUint64(b, m.Hash)
	return b
}

// SameRing returns what a sealed encoding is cut to for who has it already.
func SameRing(sealed []byte) []byte { return sealed[:ringHash] }

// Size implements Appender.
func (m *RingInfo) Size() int {
	if m.Same {
		return ringHash
	}
	place := m.placeSize()
	n := ringHash + ringHeader + len(m.Partitioner) + place*len(m.Owners)
	for i := range m.Nodes {
		n += minRingNode + len(m.Nodes[i].Peer)
	}
	for i := range m.Moving {
		n += 7 + place*len(m.Moving[i].Owners)
	}
	return n
}

func (m *RingInfo) placeSize() int {
	if len(m.Nodes) > 256 {
		return 2
	}
	return 1
}

// AppendTo implements Appender.
func (m *RingInfo) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, m.Hash)
	if m.Same {
		return b
	}
	b = append(b, ringFormat, byte(bits.Len(uint(m.Partitions))-1), byte(m.Width))
	b = binary.BigEndian.AppendUint64(b, m.Epoch)
	b = append(b, byte(len(m.Partitioner)))
	b = append(b, m.Partitioner...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Nodes)))
	for _, n := range m.Nodes {
		b = binary.BigEndian.AppendUint64(b, uint64(n.ID))
		b = appendBool(b, n.Up)
		b = binary.BigEndian.AppendUint16(b, uint16(len(n.Peer)))
		b = append(b, n.Peer...)
	}
	b = m.appendPlaces(b, m.Owners)
	for _, v := range m.Moving {
		b = binary.BigEndian.AppendUint16(b, uint16(v.Partition))
		b = append(b, byte(len(v.Owners)))
		b = binary.BigEndian.AppendUint32(b, v.Readers)
		b = m.appendPlaces(b, v.Owners)
	}
	return b
}

func (m *RingInfo) appendPlaces(b []byte, places []uint16) []byte {
	for _, v := range places {
		if m.placeSize() == 2 {
			b = append(b, byte(v>>8))
		}
		b = append(b, byte(v))
	}
	return b
}

// ParseRingInfo reads a RingInfo from hostile bytes, of which it keeps none. The
// error is of KindWrongVersion for a format of a later release, else of
// KindInvalid.
func ParseRingInfo(b []byte) (RingInfo, error) {
	if len(b) > MaxRing {
		return RingInfo{}, kv.Errorf(kv.KindInvalid, "read ring", "%d bytes, the limit is %d", len(b), MaxRing)
	}
	r := parse.Reader{Rest: b}
	m := RingInfo{Hash: r.U64(), Same: len(b) == ringHash}
	switch {
	case r.Bad || m.Hash == 0:
		return RingInfo{}, cut("ring")
	case m.Same:
		return m, nil
	}
	if format := r.U8(); format != ringFormat {
		return RingInfo{}, kv.Errorf(kv.KindWrongVersion, "read ring", "format %d, this release reads %d", format, ringFormat)
	}
	log := r.U8()
	m.Partitions, m.Width, m.Epoch = 1<<min(log, 32), int(r.U8()), r.U64()
	m.Partitioner = string(r.Take(int(r.U8())))
	if !m.parseNodes(&r) || m.Partitions > maxPartitions || m.Width < 1 || m.Width > min(kv.MaxReplicas, len(m.Nodes)) {
		return RingInfo{}, cut("ring")
	}
	ok := false
	if m.Owners, ok = m.parsePlaces(&r, m.Partitions*m.Width); !ok || !m.parseMoving(&r) {
		return RingInfo{}, cut("ring")
	}
	return m, nil
}

func (m *RingInfo) parseNodes(r *parse.Reader) bool {
	count := int(r.U16())
	if count < 1 || count > kv.MaxMembers || count*minRingNode > len(r.Rest) {
		return false
	}
	m.Nodes = make([]RingNode, count)
	for i := range m.Nodes {
		id, up, addr := kv.NodeID(r.U64()), r.U8(), r.Bytes16()
		m.Nodes[i] = RingNode{ID: id, Up: up == 1, Peer: string(addr)}
		if r.Bad || up > 1 || len(addr) > maxRingAddr || id == 0 || i > 0 && id <= m.Nodes[i-1].ID {
			return false
		}
	}
	return true
}

func (m *RingInfo) parsePlaces(r *parse.Reader, count int) ([]uint16, bool) {
	size := m.placeSize()
	raw := r.Take(count * size)
	if r.Bad {
		return nil, false
	}
	places := make([]uint16, count)
	for i := range places {
		if places[i] = uint16(raw[i*size]); size == 2 {
			places[i] = places[i]<<8 | uint16(raw[i*size+1])
		}
		if int(places[i]) >= len(m.Nodes) {
			return nil, false
		}
	}
	return places, true
}

func (m *RingInfo) parseMoving(r *parse.Reader) bool {
	for last := -1; len(r.Rest) > 0; {
		p, count := kv.Partition(r.U16()), int(r.U8())
		v := RingMove{Partition: p, Readers: r.U32()}
		ok := false
		if v.Owners, ok = m.parsePlaces(r, count); !ok {
			return false
		}
		if int(p) <= last || int(p) >= m.Partitions || count < 1 || count > maxRingOwners ||
			v.Readers == 0 || uint64(v.Readers)>>count != 0 {
			return false
		}
		last = int(p)
		m.Moving = append(m.Moving, v)
	}
	return true
}
