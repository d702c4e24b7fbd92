// Package props makes Riak's properties of buckets and Ringtail's one thing:
// allow_mult and last_write_wins are a merge rule, quorums may go by name, and
// what Ringtail's own properties have no room for is kept beside them
// (docs/riak.md).
package props

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

const (
	// mark is the first byte of what is kept beside a bucket's properties.
	mark = 1
	// kept is the size of that: mark, flags, and a byte for each quorum.
	kept = 2 + int(numQuorums)

	flagLastWriteWins   = 1
	flagBasicQuorum     = 2
	flagNotFoundUnknown = 4
)

// quorum is a property that is a number of replicas.
type quorum uint8

const (
	qR quorum = iota
	qW
	qDW
	qRW
	qPR
	qPW
	numQuorums
)

// Extra is what Riak's properties have beyond Ringtail's. Its zero value is what
// Riak has unless told otherwise, but for NotFoundOK.
type Extra struct {
	lastWriteWins bool
	// BasicQuorum ends a read that finds nothing at a majority.
	BasicQuorum bool
	// NotFoundOK counts an owner that has nothing as one that has answered.
	NotFoundOK bool
	// quorums are as they were set: 0 for not at all.
	quorums [numQuorums]pb.Quorum
}

// ExtraOf returns what is kept beside p.
func ExtraOf(p kv.Props) Extra {
	e := Extra{NotFoundOK: true}
	if len(p.Meta) != kept || p.Meta[0] != mark {
		return e
	}
	flags := p.Meta[1]
	e.lastWriteWins = flags&flagLastWriteWins != 0
	e.BasicQuorum = flags&flagBasicQuorum != 0
	e.NotFoundOK = flags&flagNotFoundUnknown == 0
	for i := range e.quorums {
		e.quorums[i] = wide(p.Meta[2+i])
	}
	return e
}

// PR returns the owners that a read asks for at least, PW those of a write.
func (e Extra) PR() pb.Quorum { return e.quorums[qPR] }

// PW is PR for a write.
func (e Extra) PW() pb.Quorum { return e.quorums[qPW] }

// meta returns e as it is kept, empty for what Riak has unless told otherwise.
func (e Extra) meta() string {
	if e == (Extra{NotFoundOK: true}) {
		return ""
	}
	b := [kept]byte{mark}
	for _, f := range []struct {
		set  bool
		flag byte
	}{{e.lastWriteWins, flagLastWriteWins}, {e.BasicQuorum, flagBasicQuorum}, {!e.NotFoundOK, flagNotFoundUnknown}} {
		if f.set {
			b[1] |= f.flag
		}
	}
	for i, q := range e.quorums {
		b[2+i] = narrow(q)
	}
	return string(b[:])
}

// A quorum is kept in one byte: a number as it is, a name by its last byte.

func narrow(q pb.Quorum) byte { return byte(q) }

func wide(b byte) pb.Quorum {
	if b > kv.MaxReplicas {
		return pb.Quorum(0xffffff00 | uint32(b))
	}
	return pb.Quorum(b)
}

// Resolve returns the number of replicas that q stands for where each key has n
// owners: kv.Unset for pb.Default, and 1 for 0, which Riak allows. The error is of
// KindInvalid.
func Resolve(name string, q pb.Quorum, n int) (int8, error) {
	switch q {
	case pb.Default:
		return kv.Unset, nil
	case pb.One, 0:
		return 1, nil
	case pb.Majority:
		return int8(n/2 + 1), nil
	case pb.All:
		return int8(n), nil
	}
	if uint64(q) > uint64(n) {
		return 0, kv.Errorf(kv.KindInvalid, "check options", "%s=%d: {n_val_violation,%d}", name, q, n)
	}
	return int8(q), nil
}

// Defaults are the properties that a reset gives a bucket without a type: Riak's,
// which keep one value. A bucket whose properties were never set keeps siblings.
func Defaults() kv.Props {
	return kv.Props{Quorums: kv.Quorums{R: kv.Unset, W: kv.Unset, DW: kv.Unset}, Merge: kv.MergeLWW}
}

// Show returns p as Riak shows it, where each key has n owners. A quorum that is
// still what was set by name, or is a majority by default, has its name.
func Show(p kv.Props, n int) pb.Props {
	e := ExtraOf(p)
	nVal := uint32(n)
	out := pb.Props{
		NVal: &nVal, AllowMult: pb.ChoiceOf(p.Merge == kv.MergeSiblings),
		LastWriteWins: pb.ChoiceOf(p.Merge == kv.MergeLWW && e.lastWriteWins),
		BasicQuorum:   pb.ChoiceOf(e.BasicQuorum), NotFoundOK: pb.ChoiceOf(e.NotFoundOK),
		R: e.shown(qR, p.R, n), W: e.shown(qW, p.W, n), DW: e.shown(qDW, p.DW, n),
		RW: e.shown(qRW, kv.Unset, n), PR: new(pb.Quorum), PW: new(pb.Quorum),
	}
	*out.PR, *out.PW = e.quorums[qPR], e.quorums[qPW]
	if p.TTL != 0 {
		ttl := uint32(min((p.TTL+999)/1000, 1<<32-1))
		out.TTL = &ttl
	}
	return out
}

// shown returns how a quorum is shown that is count now, or kv.Unset.
func (e Extra) shown(i quorum, count int8, n int) *pb.Quorum {
	set := e.quorums[i]
	majority := pb.Majority
	if set != 0 {
		if was, err := Resolve("", set, n); err == nil && (was == count || count == kv.Unset) {
			return &set
		}
	} else if count == kv.Unset || int(count) == n/2+1 {
		return &majority
	}
	v := pb.Quorum(count)
	return &v
}

// Apply returns p with what c changes, where each key has n owners. The error is
// of KindInvalid, and names the property.
func Apply(p kv.Props, c pb.Props, n int) (kv.Props, error) {
	switch {
	case c.Lacking != "":
		return p, bad("%s: Ringtail does not have it", c.Lacking)
	case c.NVal != nil && int64(*c.NVal) != int64(n):
		return p, bad("n_val=%d: it belongs to the cluster, and is %d", *c.NVal, n)
	}
	e := ExtraOf(p)
	e.merge(&p, c)
	if c.BasicQuorum != pb.Unset {
		e.BasicQuorum = c.BasicQuorum == pb.Yes
	}
	if c.NotFoundOK != pb.Unset {
		e.NotFoundOK = c.NotFoundOK == pb.Yes
	}
	for i, q := range [numQuorums]*pb.Quorum{c.R, c.W, c.DW, c.RW, c.PR, c.PW} {
		if q == nil {
			continue
		}
		count, err := Resolve(names[i], *q, n)
		if err != nil {
			return p, err
		}
		e.quorums[i] = *q
		switch quorum(i) {
		case qR:
			p.R = count
		case qW:
			p.W = count
		case qDW:
			if p.DW = count; *q == 0 {
				p.DW = 0
			}
		}
	}
	if c.TTL != nil {
		p.TTL = min(kv.TTL(*c.TTL)*1000, kv.MaxTTL)
	}
	p.Meta = e.meta()
	return p, nil
}

var names = [numQuorums]string{"r", "w", "dw", "rw", "pr", "pw"}

// merge sets the merge rule. Riak keeps siblings with allow_mult, unless
// last_write_wins overrules it: who asks for siblings alone means to have them. So
// does who sends back a last_write_wins that is as it was.
func (e *Extra) merge(p *kv.Props, c pb.Props) {
	switch {
	case c.LastWriteWins == pb.Yes && !(c.AllowMult == pb.Yes && e.lastWriteWins):
		p.Merge, e.lastWriteWins = kv.MergeLWW, true
	case c.AllowMult == pb.Yes:
		p.Merge, e.lastWriteWins = kv.MergeSiblings, false
	case c.AllowMult == pb.No:
		p.Merge = kv.MergeLWW
	}
	if c.LastWriteWins == pb.No {
		e.lastWriteWins = false
	}
}

func bad(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "set properties", format, args...)
}

// Reset returns the properties that a reset gives a bucket: its type's, which of
// tells, or Defaults.
func Reset(name string, of func(string) kv.Props) kv.Props {
	if t := kv.TypeOf([]byte(name)); t != nil && len(t) < len(name) {
		return of(string(t))
	}
	return Defaults()
}
