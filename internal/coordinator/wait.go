package coordinator

import (
	"context"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Blocking offers a Coordinator to doors that serve each request in a goroutine
// of its own. It is safe for concurrent use.
type Blocking struct{ *Coordinator }

// waiter is a Receiver that a goroutine waits for.
type waiter struct {
	done   chan struct{}
	answer object.Answer
	err    error
}

var waiters = sync.Pool{New: func() any { return &waiter{done: make(chan struct{}, 1)} }}

// Receive implements Receiver.
func (w *waiter) Receive(a wire.Answer, err error) {
	w.err = err
	if err == nil {
		if w.answer, w.err = keep(a); w.err != nil {
			// It is an answer, though it cannot be read.
			w.err = &kv.Error{Op: "read answer", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: w.err}
		}
	}
	w.done <- struct{}{}
}

// keep copies a borrowed answer.
func keep(a wire.Answer) (object.Answer, error) {
	b := make([]byte, 0, len(a.Context)+len(a.Object))
	b = append(append(b, a.Context...), a.Object...)
	out := object.Answer{Context: b[:len(a.Context):len(a.Context)]}
	if len(a.Object) == 0 {
		return out, nil
	}
	var err error
	out.Object, err = object.Parse(b[len(a.Context):])
	return out, err
}

func (w *waiter) wait() (object.Answer, error) {
	<-w.done
	a, err := w.answer, w.err
	w.answer, w.err = object.Answer{}, nil
	waiters.Put(w)
	return a, err
}

// Get carries out a get and waits for its outcome, at the longest until the
// options' timeout. A done ctx is noticed only before it starts: what was
// started is carried through.
func (b Blocking) Get(ctx context.Context, key kv.Key, o kv.Options) (object.Answer, error) {
	if err := ctx.Err(); err != nil {
		return object.Answer{}, kv.Wrap(kv.KindTimeout, "get", err)
	}
	w := waiters.Get().(*waiter)
	b.Coordinator.Get(Request{Key: key, Options: o}, w)
	return w.wait()
}

// Put carries out a put or delete, and waits as Get does.
func (b Blocking) Put(ctx context.Context, key kv.Key, u object.Update, o kv.Options) (object.Answer, error) {
	if err := ctx.Err(); err != nil {
		return object.Answer{}, kv.Wrap(kv.KindTimeout, "put", err)
	}
	w := waiters.Get().(*waiter)
	b.Coordinator.Put(Request{Key: key, Options: o, Update: u}, w)
	return w.wait()
}
