package membership

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// voteFile is what a member has promised and accepted. It is written before the
// answer is sent.
var voteFile = file{name: "vote", magic: "RTLv", version: 1, max: maxState}

// append appends the encoding of what is kept of an acceptor.
func (a Acceptor) append(b []byte) []byte {
	b = appendSlot(b, a.Slot)
	b = appendBallot(b, a.Promised)
	b = appendBallot(b, a.Accepted)
	return append(b, a.Value...)
}

// parseAcceptor reads what append wrote; anything else is an error of
// KindCorrupt.
func parseAcceptor(b []byte) (Acceptor, error) {
	c := cursor{parse.Reader{Rest: b}}
	a := Acceptor{Slot: c.slot(), Promised: c.ballot(), Accepted: c.ballot()}
	if len(c.Rest) > 0 {
		a.Value = c.Rest
	}
	if c.Bad || (a.Accepted != Ballot{}) != (a.Value != nil) || a.Accepted.compare(a.Promised) > 0 {
		return Acceptor{}, kv.Errorf(kv.KindCorrupt, "read vote file", "%d bytes are no vote", len(b))
	}
	return a, nil
}

// loadVote returns the vote on disk, the zero one without.
func (d *directory) loadVote() (Acceptor, error) {
	if d.path == "" {
		return Acceptor{}, nil
	}
	b, err := voteFile.read(d.fs, d.path)
	if errors.Is(err, errNoFile) {
		return Acceptor{}, nil
	}
	if err != nil {
		return Acceptor{}, err
	}
	return parseAcceptor(b)
}

// saveVote makes a durable. Only one caller at a time.
func (d *directory) saveVote(a Acceptor) error {
	if d.path == "" {
		return nil
	}
	return voteFile.write(d.fs, d.path, a.append(nil))
}

// ballotBox is this node's part in votes. Whoever has taken the acceptor out
// decides; it is a channel because that waits for the disk.
type ballotBox chan Acceptor

// cast gives this node's answer to an ask.
func (s *Service) cast(ctx context.Context, ask Ask) (Answer, error) {
	const op = "vote on a change of the ring"
	if ask.Value != nil {
		if err := checkValue(s.State(), ask); err != nil {
			return Answer{}, err
		}
	}
	var a Acceptor
	select {
	case a = <-s.box:
	case <-ctx.Done():
		return Answer{}, kv.Wrap(kv.KindTimeout, op, context.Cause(ctx))
	}
	next, answer := a.Step(s.State().Open(), ask)
	if changed := next.Slot != a.Slot || next.Promised != a.Promised || next.Accepted != a.Accepted; changed {
		if err := s.dir.saveVote(next); err != nil {
			// Either may be on disk: the old one, which has said less, counts,
			// and the next answer writes again.
			s.box <- a
			return Answer{}, err
		}
	}
	s.box <- next
	return answer, nil
}

// checkValue refuses to accept what this release could not carry out.
func checkValue(st *State, ask Ask) error {
	const op = "vote on a change of the ring"
	t, err := ParseValue(ask.Value)
	switch {
	case err != nil:
		return err
	case t.Slot != ask.Slot:
		return kv.Errorf(kv.KindInvalid, op, "a value of slot %v is proposed for %v", t.Slot, ask.Slot)
	case st.ring == nil:
		return kv.Errorf(kv.KindRefused, op, "this node belongs to no cluster yet")
	case t.To.Params() != st.ring.Params():
		return kv.Errorf(kv.KindInvalid, op, "the parameters of a cluster do not change")
	}
	return nil
}

// serveVote answers a TypeVote request.
func (s *Service) serveVote(ctx context.Context, j job) {
	ask, err := parseAsk(j.payload)
	if err == nil && ask.Ballot.Node != j.from {
		err = kv.Errorf(kv.KindInvalid, "vote on a change of the ring", "node %v proposes as node %v", j.from, ask.Ballot.Node)
	}
	var answer Answer
	if err == nil {
		answer, err = s.cast(ctx, ask)
	}
	if err != nil {
		j.reply.Fail(err)
		return
	}
	j.reply.Send(wire.Raw(answer.append(nil)))
}

// voteVersion opens every ask and every answer.
const voteVersion = 1

// Size implements wire.Appender.
func (a Ask) Size() int { return 1 + slotSize + ballotSize + len(a.Value) }

// AppendTo implements wire.Appender.
func (a Ask) AppendTo(b []byte) []byte {
	b = append(b, voteVersion)
	b = appendSlot(b, a.Slot)
	b = appendBallot(b, a.Ballot)
	return append(b, a.Value...)
}

// parseAsk reads what AppendTo wrote; the value is a part of b.
func parseAsk(b []byte) (Ask, error) {
	c := cursor{parse.Reader{Rest: b}}
	if v := c.U8(); !c.Bad && v != voteVersion {
		return Ask{}, kv.Errorf(kv.KindWrongVersion, "read vote", "version %d, this release reads %d", v, voteVersion)
	}
	a := Ask{Slot: c.slot(), Ballot: c.ballot()}
	if len(c.Rest) > 0 {
		a.Value = c.Rest
	}
	if c.Bad || a.Epoch == 0 || a.Round == 0 || a.Ballot.Node == 0 {
		return Ask{}, kv.Errorf(kv.KindInvalid, "read vote", "%d bytes are malformed", len(b))
	}
	return a, nil
}

func (a Answer) append(b []byte) []byte {
	b = append(b, voteVersion)
	b = appendSlot(b, a.Slot)
	b = appendBallot(b, a.Ballot)
	b = appendBool(b, a.Accept)
	b = append(b, byte(a.Verdict))
	b = appendBallot(b, a.Promised)
	b = appendBallot(b, a.Accepted)
	return append(b, a.Value...)
}

// parseVerdict reads what append wrote; the value is a part of b.
func parseVerdict(b []byte) (Answer, error) {
	c := cursor{parse.Reader{Rest: b}}
	if v := c.U8(); !c.Bad && v != voteVersion {
		return Answer{}, kv.Errorf(kv.KindWrongVersion, "read vote", "version %d, this release reads %d", v, voteVersion)
	}
	a := Answer{Slot: c.slot(), Ballot: c.ballot(), Accept: c.Flag(), Verdict: Verdict(c.U8()), Promised: c.ballot(), Accepted: c.ballot()}
	if len(c.Rest) > 0 {
		a.Value = c.Rest
	}
	if c.Bad || a.Verdict >= numVerdicts || (a.Accepted != Ballot{}) != (a.Value != nil) {
		return Answer{}, kv.Errorf(kv.KindInvalid, "read vote", "%d bytes are malformed", len(b))
	}
	return a, nil
}

const (
	slotSize   = 8 + 4
	ballotSize = 8 + 8 + 8
)

func appendSlot(b []byte, s Slot) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(b, s.Epoch), s.Amendment)
}

func (c *cursor) slot() Slot { return Slot{Epoch: c.U64(), Amendment: c.U32()} }

func appendBallot(b []byte, v Ballot) []byte {
	b = binary.BigEndian.AppendUint64(b, v.Round)
	b = binary.BigEndian.AppendUint64(b, uint64(v.Node))
	return binary.BigEndian.AppendUint64(b, v.Try)
}

func (c *cursor) ballot() Ballot {
	return Ballot{Round: c.U64(), Node: kv.NodeID(c.U64()), Try: c.U64()}
}
