package membership

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// minBucket is the size of the smallest encoded bucket, in bytes.
const minBucket = 2 + 4 + 8 + 8

func appendBuckets(b []byte, s *State) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.buckets)))
	for _, name := range s.Buckets() {
		r := s.buckets[name]
		b = appendText(b, name)
		b = appendProps(b, r.Props)
		b = binary.BigEndian.AppendUint64(b, r.Version)
		b = binary.BigEndian.AppendUint64(b, uint64(r.Author))
	}
	return b
}

func (c *cursor) buckets() map[string]Bucket {
	n := c.Count(maxStateBuckets, minBucket)
	out := make(map[string]Bucket, n)
	last := ""
	for range n {
		name := c.text(kv.MaxBucket)
		c.Need(name > last)
		last = name
		out[name] = Bucket{Props: c.props(), Version: c.U64(), Author: kv.NodeID(c.U64())}
		if c.Bad {
			return nil
		}
	}
	return out
}

// hasTTL, hasMeta and hasSLA mark, in the byte of the merge rule, that a TTL
// follows, what doors keep, or an SLA. Without any of them the properties have the
// form that the first release reads.
const (
	hasTTL  = 0x80
	hasMeta = 0x40
	hasSLA  = 0x20
)

func appendProps(b []byte, p kv.Props) []byte {
	merge := byte(p.Merge)
	if p.TTL != 0 {
		merge |= hasTTL
	}
	if p.Meta != "" {
		merge |= hasMeta
	}
	if p.SLA != (kv.SLA{}) {
		merge |= hasSLA
	}
	b = append(b, byte(p.R), byte(p.W), byte(p.DW), merge)
	if p.TTL != 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(p.TTL))
	}
	if p.Meta != "" {
		b = appendText(b, p.Meta)
	}
	if p.SLA != (kv.SLA{}) {
		b = appendSLA(b, p.SLA)
	}
	return b
}

func (c *cursor) props() kv.Props {
	p := kv.Props{Quorums: kv.Quorums{R: int8(c.U8()), W: int8(c.U8()), DW: int8(c.U8())}}
	merge := c.U8()
	if p.Merge = kv.Merge(merge &^ (hasTTL | hasMeta | hasSLA)); merge&hasTTL != 0 {
		p.TTL = kv.TTL(c.U64())
		c.Need(p.TTL > 0 && p.TTL <= kv.MaxTTL)
	}
	if merge&hasMeta != 0 {
		p.Meta = c.text(kv.MaxPropsMeta)
		c.Need(p.Meta != "")
	}
	if merge&hasSLA != 0 {
		p.SLA = c.sla()
		c.Need(p.SLA != kv.SLA{})
	}
	c.Need(validQuorum(p.R, 1) && validQuorum(p.W, 1) && validQuorum(p.DW, 0) && p.Merge <= kv.MergeLWW)
	return p
}

// validQuorum allows Unset and least to the greatest N.
func validQuorum(q, least int8) bool {
	return q == kv.Unset || q >= least && q <= kv.MaxReplicas
}
