package membership

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// sparsePause is the least time between two lines of a sparse log.
const sparsePause = 10 * time.Second

// sparse logs what others can provoke at will: at most a line in sparsePause,
// with the number of those left out. Safe for concurrent use.
type sparse struct {
	log *slog.Logger
	mu  struct {
		sync.Mutex
		next    time.Time
		leftOut int
	}
}

func (s *sparse) warn(text string, args ...any) {
	if n, ok := s.turn(time.Now()); ok {
		if n > 0 {
			args = append(args, "left_out", n)
		}
		s.log.Log(context.Background(), slog.LevelWarn, text, args...)
	}
}

// turn says whether a line may be written now, and how many were left out.
func (s *sparse) turn(now time.Time) (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.mu.next) {
		s.mu.leftOut++
		return 0, false
	}
	n := s.mu.leftOut
	s.mu.next, s.mu.leftOut = now.Add(sparsePause), 0
	return n, true
}
