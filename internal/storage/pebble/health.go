package pebble

import (
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// health is whether the engine still works, and whether its data is whole. It
// starts well, and fails at most once, for good. It is safe for concurrent use.
type health struct {
	failure atomic.Pointer[kv.Error] // set once, under mu
	logger  *slog.Logger

	mu struct {
		sync.Mutex
		hooks  Hooks
		damage error // the first that was found
	}
}

// fail makes the engine final. Only the first failure counts.
func (h *health) fail(k kv.Kind, op string, cause error) {
	f := &kv.Error{Op: op, Kind: k, Err: cause}
	h.mu.Lock()
	first := h.failure.CompareAndSwap(nil, f)
	hook := h.mu.hooks.Failed
	h.mu.Unlock()
	if !first {
		return
	}
	h.logger.Error("storage engine failed: it must be closed and opened again", "err", f)
	if hook != nil {
		hook(f)
	}
}

// damaged takes note of damage, found by whomever. Only the first is told.
func (h *health) damaged(cause error) {
	d := kv.Wrap(kv.KindCorrupt, "read stored data", cause)
	h.mu.Lock()
	first := h.mu.damage == nil
	if first {
		h.mu.damage = d
	}
	hook := h.mu.hooks.Corrupted
	h.mu.Unlock()
	if !first {
		return
	}
	h.logger.Error("stored data is damaged: the directory should be replaced", "err", d)
	if hook != nil {
		hook(d)
	}
}

// watch has the hooks called from now on. It returns the failure that was
// before; damage that was before is told now.
func (h *health) watch(hooks Hooks) error {
	h.mu.Lock()
	failure, damage := h.err(), h.mu.damage
	if failure == nil {
		h.mu.hooks = hooks
	}
	h.mu.Unlock()
	if failure == nil && damage != nil && hooks.Corrupted != nil {
		hooks.Corrupted(damage)
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
