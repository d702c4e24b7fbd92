package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	// maxRounds bounds the rounds of one Update.
	maxRounds = 64
	// minRound and maxRound bound the pause before a further round. Its bound
	// doubles, and the pause is drawn from all of it: of many who update one key
	// at once, some come alone.
	minRound = time.Millisecond
	maxRound = 250 * time.Millisecond
)

// Update reads key, has merge make one value of its siblings, and puts that in
// their place. There are none for a key without a value. The slices that merge is
// given are its own; the one that it returns is Update's until that returns. An
// error of merge ends the Update, and is returned as it is.
//
// When others wrote the key meanwhile, siblings are left, and Update goes another
// round, until a put leaves its value alone, or ctx is done, or 64 rounds are
// over. A round whose put failed, even if it may have been applied, is followed
// by another too, unless the time is up or another round could do no better. So
// merge may be called several times, also with a value that it made itself, and
// must do to that nothing more: add an item to a set, not 1 to a number.
//
// In a siblings bucket no update is lost: whatever another writer put and was
// told is stored is among the siblings that merge is given, or stays beside the
// value that it makes. In an lww bucket, of updates at one time one counts.
//
// The Result is that of the last put. With an error, what a round before it has
// put stays, and Applied tells of all rounds.
func (b *Bucket) Update(ctx context.Context, key string, merge func(siblings [][]byte) ([]byte, error), opts ...Option) (Result, error) {
	applied, limit := AppliedNo, minRound
	for round := 1; ; round++ {
		seen, err := b.Get(ctx, key, opts...)
		var res Result
		if err == nil {
			value, refused := merge(seen.values())
			if refused != nil {
				return Result{}, refused
			}
			res, err = b.Put(ctx, key, seen.Context, value, opts...)
		}
		if err == nil && res.alone() {
			return res, nil
		}
		e := contended(err)
		applied = max(applied, e.Applied)
		if round == maxRounds || ctx.Err() != nil || !another(e.Kind) {
			e.Applied = applied
			return Result{}, e
		}
		rest(ctx, minRound+rand.N(limit))
		limit = min(2*limit, maxRound)
	}
}

// values returns the siblings' values, in a slice of the caller's.
func (r Result) values() [][]byte {
	values := make([][]byte, len(r.Siblings))
	for i, s := range r.Siblings {
		values[i] = s.Value
	}
	return values
}

// alone tells of a put's Result whether it left no sibling but its own: then there
// is a context without a body, or a body that shows no other.
func (r Result) alone() bool {
	return len(r.Context) > 0 && len(r.Siblings) <= 1 && !r.Deleted
}

// contended returns why a round was not the last one: err, or that siblings were
// left.
func contended(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Op: string(opUpdate), Kind: KindTooManySiblings, Applied: AppliedUnknown, Err: errContended}
}

var errContended = errors.New("others kept writing the key")

// another tells whether a further round may do better.
func another(k Kind) bool {
	switch k {
	case KindTooManySiblings, KindUnavailable, KindStaleRing, KindOverloaded, KindStorage, KindSkew:
		return true
	}
	return false
}
