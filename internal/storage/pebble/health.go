package pebble

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// health is whether the engine still works. It starts well, and fails at most
// once, for good. It is safe for concurrent use.
type health struct {
	failure atomic.Pointer[kv.Error] // set once, under mu
	logger  *slog.Logger

	mu struct {
		sync.Mutex
		hook func(error) // Hooks.Failed
	}
}

// fail makes the engine final. Only the first failure counts.
func (h *health) fail(k kv.Kind, op string, cause error) {
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

// watch has hook called from now on. It returns the failure that was before.
func (h *health) watch(hook func(error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	failure := h.err()
	if failure == nil {
		h.mu.hook = hook
	}
	return failure
}

// failed says whether fail was called.
func (h *health) failed() bool { return h.failure.Load() != nil }

// err returns the failure, or nil. A call that returns it has not been begun.
func (h *health) err() error {
	if f := h.failure.Load(); f != nil {
		return f
	}
	return nil
}

// outcome returns the failure, or nil, of a write that has been begun: whether
// it is on disk is unknown.
func (h *health) outcome() error {
	f := h.failure.Load()
	if f == nil {
		return nil
	}
	unknown := *f
	unknown.Applied = kv.AppliedUnknown
	return &unknown
}
