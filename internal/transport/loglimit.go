package transport

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// logBurst is how many lines a listener may log at once, and logEvery how
	// long it takes until it may log one more.
	logBurst = 10
	logEvery = time.Second
)

// limitedLog logs warnings about what strangers do, but not as many as
// strangers like. Safe for concurrent use.
type limitedLog struct {
	log *slog.Logger
	mu  struct {
		sync.Mutex
		filled  time.Time // when tokens was right
		tokens  int
		skipped int
	}
}

func newLimitedLog(log *slog.Logger) *limitedLog {
	l := &limitedLog{log: log}
	l.mu.filled, l.mu.tokens = time.Now(), logBurst
	return l
}

// warn logs a line, or counts it for the next one.
func (l *limitedLog) warn(text string, args ...any) {
	skipped, ok := l.pass(time.Now())
	if !ok {
		return
	}
	if skipped > 0 {
		args = append(args, "lines_left_out_before", skipped)
	}
	l.log.Warn(text, args...)
}

func (l *limitedLog) pass(now time.Time) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if more := int(now.Sub(l.mu.filled) / logEvery); more > 0 {
		l.mu.tokens = min(l.mu.tokens+more, logBurst)
		l.mu.filled = l.mu.filled.Add(time.Duration(more) * logEvery)
	}
	if l.mu.tokens == 0 {
		l.mu.skipped++
		return 0, false
	}
	l.mu.tokens--
	skipped, l.mu.skipped = l.mu.skipped, 0
	return skipped, true
}
