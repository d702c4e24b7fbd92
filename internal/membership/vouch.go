package membership

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// proposal is a ring that a node would have the cluster adopt.
type proposal struct {
	// epoch is that of the new ring.
	epoch uint64
	// ring is the hash of its encoding.
	ring     hash
	proposer kv.NodeID
	// token tells two proposals of one node apart.
	token uint64
}

// vouch is a node's word that it holds no data and takes no write, so that the
// ring may change. It is a value; its zero value is no word.
type vouch struct {
	proposal
	// until is when the word lapses.
	until time.Time
}

// stands says whether the word still counts.
func (v vouch) stands(now time.Time) bool { return v.epoch != 0 && now.Before(v.until) }

// give returns the word for p, given the epoch of the node's ring. It is an
// error of KindRefused when another proposal has the node's word, and of
// KindStaleRing unless p is about the next epoch.
func (v vouch) give(now time.Time, lasts time.Duration, epoch uint64, p proposal) (vouch, error) {
	const op = "vouch for ring"
	switch {
	case p.epoch <= epoch:
		return v, kv.Errorf(kv.KindStaleRing, op, "the ring has epoch %d already", epoch)
	case p.epoch != epoch+1:
		return v, kv.Errorf(kv.KindStaleRing, op, "the ring of epoch %d has not arrived yet", p.epoch-1)
	case v.stands(now) && v.proposal != p:
		return v, kv.Errorf(kv.KindRefused, op, "node %v is committing a change; try again", v.proposer)
	}
	return vouch{proposal: p, until: now.Add(lasts)}, nil
}

// voter gives and takes back this node's word. Safe for concurrent use.
type voter struct {
	hooks Hooks
	name  string
	lasts time.Duration
	// turn holds the word itself; who has taken it out decides. It is a
	// channel because freezing waits for the writes under way.
	turn chan vouch
}

func newVoter(hooks Hooks, cfg Config) voter {
	v := voter{hooks: hooks, name: cfg.Name, lasts: cfg.FreezeFor, turn: make(chan vouch, 1)}
	v.turn <- vouch{}
	return v
}

// vouch freezes this node's writes and gives its word for p, if it holds no
// data; epoch is that of its ring. After an error writes go on.
func (v voter) vouch(ctx context.Context, now time.Time, epoch func() uint64, p proposal) error {
	var word vouch
	select {
	case word = <-v.turn:
	case <-ctx.Done():
		return kv.Wrap(kv.KindTimeout, "vouch for ring", context.Cause(ctx))
	}
	next, err := word.give(now, v.lasts, epoch(), p)
	if err == nil {
		next, err = v.freeze(next)
	} else {
		next = word
	}
	v.turn <- next
	return err
}

// freeze stops writes, and only then looks for data: what it does not see then
// cannot come later.
func (v voter) freeze(word vouch) (vouch, error) {
	if v.hooks.Freeze != nil {
		v.hooks.Freeze(word.epoch, word.until)
	}
	if err := v.checkEmpty(); err != nil {
		v.thaw(word.epoch)
		return vouch{}, err
	}
	return word, nil
}

func (v voter) checkEmpty() error {
	const op = "vouch for ring"
	if v.hooks.Empty == nil {
		return kv.Errorf(kv.KindRefused, op, "node %s cannot tell whether it holds data", v.name)
	}
	empty, err := v.hooks.Empty()
	switch {
	case err != nil:
		return kv.Errorf(kv.KindStorage, op, "node %s cannot tell whether it holds data: %w", v.name, err)
	case !empty:
		return kv.Errorf(kv.KindRefused, op, "node %s holds data: moving data comes with a later release", v.name)
	}
	return nil
}

// release takes the word for p back; writes go on.
func (v voter) release(p proposal) {
	word := <-v.turn
	if word.proposal == p {
		v.thaw(p.epoch)
		word = vouch{}
	}
	v.turn <- word
}

// adopted is told that the node has the ring of an epoch: its word is kept, and
// writes go on under the new ring.
func (v voter) adopted(epoch uint64) {
	word := <-v.turn
	if word.epoch != 0 && word.epoch <= epoch {
		v.thaw(word.epoch)
		word = vouch{}
	}
	v.turn <- word
}

func (v voter) thaw(epoch uint64) {
	if v.hooks.Thaw != nil {
		v.hooks.Thaw(epoch)
	}
}

// ballot is the payload of a TypeCommit request: a proposal, or its end.
type ballot struct {
	proposal
	// over says that the proposal was given up.
	over bool
}

// ballotVersion opens every ballot.
const ballotVersion = 1

const ballotSize = 1 + 1 + 8 + len(hash{}) + 8 + 8

// Size implements wire.Appender.
func (ballot) Size() int { return ballotSize }

// AppendTo implements wire.Appender.
func (m ballot) AppendTo(b []byte) []byte {
	over := byte(0)
	if m.over {
		over = 1
	}
	b = append(b, ballotVersion, over)
	b = binary.BigEndian.AppendUint64(b, m.epoch)
	b = append(b, m.ring[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(m.proposer))
	return binary.BigEndian.AppendUint64(b, m.token)
}

func parseBallot(b []byte) (ballot, error) {
	c := cursor{b: b}
	if v := c.u8(); !c.bad && v != ballotVersion {
		return ballot{}, kv.Errorf(kv.KindWrongVersion, "read ballot", "version %d, this release reads %d", v, ballotVersion)
	}
	over := c.u8()
	m := ballot{over: over == 1}
	m.epoch = c.u64()
	copy(m.ring[:], c.take(len(m.ring)))
	m.proposer, m.token = kv.NodeID(c.u64()), c.u64()
	if c.bad || len(c.b) > 0 || over > 1 || m.epoch == 0 || m.proposer == 0 {
		return ballot{}, kv.Errorf(kv.KindInvalid, "read ballot", "%d bytes are malformed", len(b))
	}
	return m, nil
}
