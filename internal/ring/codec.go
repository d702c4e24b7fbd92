package ring

import (
	"encoding/binary"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The encoding of a ring, all numbers big-endian:
//
//	version u8, partitioner u8, N u8, R u8, W u8, log2(Q) u8, epoch u64,
//	count u16, then for each node, ascending by id:
//	    id u64, weight u16, zone length u8, zone
//	then for each partition its min(N, count) owners, as u16 node indexes.
//
// It is canonical: equal rings are equal bytes, and no two byte strings are the
// same ring.
const (
	formatVersion = 1
	headerSize    = 6 + 8 + 2
	minNodeSize   = 8 + 2 + 1
)

// AppendTo appends the encoding of r to dst and returns the result.
func (r *Ring) AppendTo(dst []byte) []byte {
	p := r.params
	dst = append(dst, formatVersion, byte(p.Partitioner), byte(p.N), byte(p.R), byte(p.W), byte(bits.Len(uint(p.Q))-1))
	dst = binary.BigEndian.AppendUint64(dst, r.epoch)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.nodes)))
	for _, n := range r.nodes {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.ID))
		dst = binary.BigEndian.AppendUint16(dst, uint16(n.Weight))
		dst = append(dst, byte(len(n.Zone)))
		dst = append(dst, n.Zone...)
	}
	for _, v := range r.owners {
		dst = binary.BigEndian.AppendUint16(dst, v)
	}
	return dst
}

// Parse reads what AppendTo wrote, from hostile bytes, of which it keeps none.
// It returns an error of KindWrongVersion for another format, and of
// KindInvalid when b is cut, has bytes left over, or is no ring.
func Parse(b []byte) (*Ring, error) {
	const op = "parse ring"
	if len(b) < headerSize {
		return nil, kv.Errorf(kv.KindInvalid, op, "%d bytes are less than a header", len(b))
	}
	if b[0] != formatVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, op, "format %d, this release reads %d", b[0], formatVersion)
	}
	// A shift of 64 or more leaves 0, which Validate refuses.
	params := Params{N: int(b[2]), R: int(b[3]), W: int(b[4]), Q: 1 << b[5], Partitioner: Partitioner(b[1])}
	if err := params.Validate(); err != nil {
		return nil, err
	}
	epoch := binary.BigEndian.Uint64(b[6:])
	nodes, rest, err := parseNodes(b[headerSize:], int(binary.BigEndian.Uint16(b[14:])))
	if err != nil {
		return nil, err
	}
	if want := 2 * params.Q * min(params.N, len(nodes)); len(rest) != want {
		return nil, kv.Errorf(kv.KindInvalid, op, "%d bytes of owners, want %d", len(rest), want)
	}
	owners := make([]uint16, len(rest)/2)
	for i := range owners {
		owners[i] = binary.BigEndian.Uint16(rest[2*i:])
	}
	return newRing(params, epoch, nodes, owners)
}

// parseNodes reads count nodes from b and returns them and the bytes after.
func parseNodes(b []byte, count int) ([]Node, []byte, error) {
	if count > kv.MaxMembers || count*minNodeSize > len(b) {
		return nil, nil, kv.Errorf(kv.KindInvalid, "parse ring", "%d bytes are no %d nodes", len(b), count)
	}
	nodes := make([]Node, count)
	for i := range nodes {
		if len(b) < minNodeSize || len(b) < minNodeSize+int(b[10]) {
			return nil, nil, kv.Errorf(kv.KindInvalid, "parse ring", "node %d is cut", i)
		}
		end := minNodeSize + int(b[10])
		nodes[i] = Node{
			ID:     kv.NodeID(binary.BigEndian.Uint64(b)),
			Weight: uint32(binary.BigEndian.Uint16(b[8:])),
			Zone:   string(b[minNodeSize:end]),
		}
		b = b[end:]
	}
	return nodes, b, nil
}
