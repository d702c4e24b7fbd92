package membership

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// record is what a data directory says of its node. It is a value: a change
// makes a new one, which counts once it is on disk.
type record struct {
	node kv.NodeID
	name string
	// cluster is 0 until the node has joined one.
	cluster kv.ClusterID
	// boot counts the starts; nonce is drawn anew in each.
	boot, nonce uint64
	// base is what reserved was when the node started; reserved is the highest
	// sequence that may have been used.
	base, reserved uint64
	// aliases are the interim ids of all starts, ascending.
	aliases []kv.NodeID
}

// started returns the record of the next start, with block sequences reserved.
func (r record) started(nonce, block uint64) (record, error) {
	r.boot++
	r.nonce = nonce
	r.base = r.reserved
	return r.reserve(r.base, block)
}

// reserve returns the record with at least block sequences reserved after
// used. Sequences end at 2^64-1: nobody lives to see it, but a damaged file
// might say so.
func (r record) reserve(used, block uint64) (record, error) {
	if used > math.MaxUint64-block {
		return r, kv.Errorf(kv.KindCorrupt, "reserve sequence", "the sequence %d is used up", used)
	}
	r.reserved = max(r.reserved, used+block)
	return r, nil
}

// aliased returns the record with one more interim id.
func (r record) aliased(id kv.NodeID) (record, error) {
	if len(r.aliases) >= MaxAliases {
		return r, kv.Errorf(kv.KindRefused, "take an interim id", "this node has minted %d times without a peer's word, the limit; start it while a peer can be reached", MaxAliases)
	}
	i, _ := slices.BinarySearch(r.aliases, id)
	r.aliases = slices.Insert(slices.Clone(r.aliases), i, id)
	return r, nil
}

// identity is what the node says of itself in a handshake.
func (r record) identity() wire.Identity {
	return wire.Identity{Node: r.node, Boot: r.boot, Nonce: r.nonce, Base: r.base, Limit: r.reserved}
}

// append appends the record's encoding. The base is not a part of it: each
// start sets its own.
func (r record) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.node))
	b = appendText(b, r.name)
	b = binary.BigEndian.AppendUint64(b, uint64(r.cluster))
	b = binary.BigEndian.AppendUint64(b, r.boot)
	b = binary.BigEndian.AppendUint64(b, r.nonce)
	b = binary.BigEndian.AppendUint64(b, r.reserved)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.aliases)))
	for _, a := range r.aliases {
		b = binary.BigEndian.AppendUint64(b, uint64(a))
	}
	return b
}

// parseRecord reads what append wrote; anything else is an error of
// KindCorrupt.
func parseRecord(b []byte) (record, error) {
	c := cursor{parse.Reader{Rest: b}}
	r := record{node: kv.NodeID(c.U64()), name: c.text(MaxName), cluster: kv.ClusterID(c.U64())}
	r.boot, r.nonce, r.reserved = c.U64(), c.U64(), c.U64()
	r.aliases = c.aliases()
	if c.Bad || len(c.Rest) > 0 || r.node == 0 || r.boot == 0 {
		return record{}, kv.Errorf(kv.KindCorrupt, "read node file", "%d bytes are no node's record", len(b))
	}
	return r, nil
}
