package node

import (
	"context"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// failures keeps the errors that requests were answered with.
type failures struct{ errs []error }

func (f *failures) Respond(_ uint64, _ wire.Type, flags wire.Flags, m wire.Appender) {
	if flags&wire.FlagError != 0 {
		f.errs = append(f.errs, wire.ParseError(m.AppendTo(nil)))
	}
}

func TestBackgroundRunsInOrderUpToItsLimit(t *testing.T) {
	b := newBackground(new(metrics.Stage))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ran []int
	for i := range maxBackground {
		if !b.Go(func() {
			ran = append(ran, i)
			if i == maxBackground-1 {
				cancel()
			}
		}) {
			t.Fatalf("task %d was refused, the limit is %d", i, maxBackground)
		}
	}
	if b.Go(func() { t.Error("a task past the limit ran") }) {
		t.Errorf("task %d was taken", maxBackground+1)
	}
	to := &failures{}
	b.later(wire.Request{Reply: wire.Reply{To: to}}, func(wire.Request) { t.Error("a request past the limit was served") })
	if len(to.errs) != 1 || kv.KindOf(to.errs[0]) != kv.KindOverloaded || kv.AppliedOf(to.errs[0]) != kv.AppliedNo {
		t.Errorf("past the limit: %v", to.errs)
	}
	if err := b.run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(ran) != maxBackground || !slices.IsSorted(ran) {
		t.Errorf("%d tasks ran, in the order %v", len(ran), ran)
	}
}

// TestBackgroundKeepsThePayload: the connection uses its buffer again as soon
// as the request was handed over.
func TestBackgroundKeepsThePayload(t *testing.T) {
	b := newBackground(new(metrics.Stage))
	ctx, cancel := context.WithCancel(t.Context())
	payload := []byte("keys")
	served := ""
	b.later(wire.Request{Payload: payload}, func(req wire.Request) {
		served = string(req.Payload)
		cancel()
	})
	copy(payload, "gone")
	if err := b.run(ctx); err != nil || served != "keys" {
		t.Errorf("served %q, %v", served, err)
	}
}
