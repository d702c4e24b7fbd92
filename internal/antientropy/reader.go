package antientropy

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// reader reads a message. What it returns are parts of it.
type reader struct {
	parse.Reader
	floors []vclock.Floor
}

func (r *reader) partition() kv.Partition { return kv.Partition(r.U16()) }

// count reads the number of elements that follow, each of at least size bytes.
func (r *reader) count(size int) int { return r.Count(math.MaxInt, size) }

func (r *reader) hashes(n int) []uint64 {
	b := r.Take(8 * n)
	if b == nil {
		return nil
	}
	out := make([]uint64, n)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return out
}

func (r *reader) key() kv.Key {
	k, err := kv.ParseKey(r.Take(int(r.U16())))
	if err != nil {
		r.Bad = true
	}
	return k
}

// keyOrNone reads a key that may be missing.
func (r *reader) keyOrNone() kv.Key {
	if len(r.Rest) >= 2 && r.Rest[0]|r.Rest[1] == 0 {
		r.Take(2)
		return nil
	}
	return r.key()
}

func (r *reader) leaf() merkle.Leaf {
	l := merkle.Leaf(r.U16())
	if l >= merkle.Leaves {
		r.Bad, l = true, 0
	}
	return l
}

func (r *reader) partitions() []kv.Partition {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	out := make([]kv.Partition, n)
	for i := range out {
		out[i] = r.partition()
		if i > 0 && out[i] <= out[i-1] {
			r.Bad = true
		}
	}
	return out
}

// table reads the floors that the rest of the message refers to.
func (r *reader) table() {
	n := int(r.U16())
	for range n {
		f, err := vclock.ParseFloor(r.Bytes32())
		if err != nil || len(f) == 0 {
			r.Bad = true
		}
		if r.Bad {
			return
		}
		r.floors = append(r.floors, f)
	}
}

// floor reads a reference to the table.
func (r *reader) floor() vclock.Floor {
	i := int(r.U16())
	switch {
	case i == 0:
		return nil
	case i > len(r.floors):
		r.Bad = true
		return nil
	}
	return r.floors[i-1]
}

// end returns an error of KindInvalid unless the message was read in full.
func (r *reader) end(what string) error {
	if !r.End() {
		return kv.Errorf(kv.KindInvalid, "read "+what, "the message is cut or malformed")
	}
	return nil
}

// floorTable numbers the floors of one message, from 1: the partitions of a node
// have few different ones. 0 is the zero floor.
type floorTable struct{ floors []vclock.Floor }

// index returns f's number. There are fewer than 65,536 entries in a message, so
// there is always one.
func (t *floorTable) index(f vclock.Floor) uint16 {
	if len(f) == 0 {
		return 0
	}
	for i := len(t.floors) - 1; i >= 0; i-- {
		if bytes.Equal(t.floors[i], f) {
			return uint16(i + 1)
		}
	}
	t.floors = append(t.floors, f)
	return uint16(len(t.floors))
}

func (t *floorTable) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.floors)))
	for _, f := range t.floors {
		b = appendBytes32(b, f)
	}
	return b
}

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendKey(b []byte, k kv.Key) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(k)))
	return append(b, k...)
}

func appendBytes32(b, v []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	return append(b, v...)
}

func appendHashes(b []byte, v []uint64) []byte {
	for _, h := range v {
		b = binary.BigEndian.AppendUint64(b, h)
	}
	return b
}

func appendPartitions(b []byte, v []kv.Partition) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
	for _, p := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(p))
	}
	return b
}
