package membership

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// sequence hands out numbers that never repeat, not even after a crash: each
// lies within a block that was reserved on stable storage first (DESIGN section
// 3). Safe for concurrent use; in the usual case it takes no lock.
type sequence struct {
	dir *directory
	// block is how many numbers are reserved ahead.
	block uint64
	// first is the first number of this start.
	first uint64
	// last is the highest number handed out, limit the highest reserved.
	last, limit atomic.Uint64
	// wake asks run for the next block.
	wake chan struct{}
	// reserved is told after a reservation.
	reserved func()
}

// reserveRetry is how long run waits after the disk refused a block.
const reserveRetry = time.Second

// newSequence continues where the directory's record says. The caller sets
// reserved, which must not be nil, before first use.
func newSequence(dir *directory, block uint64, reserved func()) *sequence {
	r := dir.record()
	s := &sequence{dir: dir, block: block, first: r.base + 1, wake: make(chan struct{}, 1), reserved: reserved}
	s.last.Store(r.base)
	s.limit.Store(r.reserved)
	return s
}

// next returns the next number. It waits for the disk only when the numbers
// ran out before run had reserved more; a number whose block cannot be reserved
// is lost, and the error is that of the disk.
func (s *sequence) next() (uint64, error) {
	n := s.last.Add(1)
	limit := s.limit.Load()
	if n > limit {
		return n, s.extend(context.Background(), n)
	}
	if lowOn(n, limit, s.block) {
		s.poke()
	}
	return n, nil
}

func (s *sequence) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// lowOn says whether the next block should be reserved once n is used.
func lowOn(n, limit, block uint64) bool { return limit-n < block-block/2 }

// extend makes sure that n, and a block after it, is reserved.
func (s *sequence) extend(ctx context.Context, n uint64) error {
	grown := false
	err := s.dir.change(ctx, func(r record) (record, error) {
		if r.reserved >= n && !lowOn(n, r.reserved, s.block) {
			return r, errNoChange
		}
		grown = true
		return r.reserve(n, s.block)
	})
	if err != nil {
		return err
	}
	s.limit.Store(s.dir.record().reserved)
	if grown {
		s.reserved()
	}
	return nil
}

// run reserves blocks ahead of their use until ctx is done.
func (s *sequence) run(ctx context.Context, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		if err := s.extend(ctx, s.last.Load()); err != nil && ctx.Err() == nil {
			log.Error("the next block of sequences is not reserved; trying again", "error", err)
			if !pause(ctx, reserveRetry) {
				return
			}
			s.poke()
		}
	}
}
