package disk

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Health is whether the engine still works. It starts well, and fails at most
// once, for good. It is safe for concurrent use.
type Health struct {
	failure atomic.Pointer[kv.Error] // set once, under mu
	logger  *slog.Logger

	mu struct {
		sync.Mutex
		hook func(error) // Hooks.Failed
	}
}

// NewHealth returns the health of an engine that works. logger gets its failure.
func NewHealth(logger *slog.Logger) *Health { return &Health{logger: logger} }

// Fail makes the engine final. Only the first failure counts.
func (h *Health) Fail(k kv.Kind, op string, cause error) {
	f := &kv.Error{Op: op, Kind: k, Err: cause}
	h.mu.Lock()
	first := h.failure.CompareAndSwap(nil, f)
	hook := h.mu.hook
	h.mu.Unlock()
	if !first {
		return
	}
	h.logger.Error("storage engine failed: it must be closed and opened again", "err", f)
	if hook != nil {
		hook(f)
	}
}

// Watch has hook called from now on. It returns the failure that was before.
func (h *Health) Watch(hook func(error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	failure := h.Err()
	if failure == nil {
		h.mu.hook = hook
	}
	return failure
}

// Failed says whether Fail was called.
func (h *Health) Failed() bool { return h.failure.Load() != nil }

// Err returns the failure, or nil. A call that returns it has not been begun.
func (h *Health) Err() error {
	if f := h.failure.Load(); f != nil {
		return f
	}
	return nil
}

// Outcome returns the failure, or nil, of a write that has been begun: whether
// it is on disk is unknown.
func (h *Health) Outcome() error {
	f := h.failure.Load()
	if f == nil {
		return nil
	}
	unknown := *f
	unknown.Applied = kv.AppliedUnknown
	return &unknown
}
