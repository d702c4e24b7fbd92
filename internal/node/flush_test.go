package node

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// flushed is an engine that takes note of when it is told to sync.
type flushed struct {
	storage.Engine
	mu  sync.Mutex
	at  []time.Time
	err error
}

func (e *flushed) Sync() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.at = append(e.at, time.Now())
	return e.err
}

// taken returns when it was told to since it was last asked.
func (e *flushed) taken() []time.Time {
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.at
	e.at = nil
	return at
}

// TestFlushesEverySecond: what is acknowledged from memory is on the disk a second
// later at the most, also once the disk has been full; a disk that fails ends the
// node.
func TestFlushesEverySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &flushed{err: kv.Errorf(kv.KindDiskFull, "sync", "no room")}
		n := &Node{engine: e}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		last := time.Now()
		if err := n.flush(ctx); err != nil {
			t.Fatal(err)
		}
		for _, at := range append(e.at, time.Now()) {
			if at.Sub(last) > time.Second {
				t.Fatalf("nothing was flushed for %v", at.Sub(last))
			}
			last = at
		}
		if len(e.at) < 60 {
			t.Errorf("%d flushes in a minute", len(e.at))
		}
		e.err = kv.Errorf(kv.KindStorage, "sync", "the disk is gone")
		if err := n.flush(t.Context()); err != e.err {
			t.Errorf("the disk is gone, and the node goes on: %v", err)
		}
	})
}

// TestFlushesSoon: writes that nobody waits for are on the disk some milliseconds
// later, a crowd of them with one fsync.
func TestFlushesSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &flushed{}
		n := &Node{engine: e, unflushed: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- n.flush(ctx) }()
		time.Sleep(100 * time.Millisecond)
		for range 3 {
			e.taken()
			began := time.Now()
			for range 10 {
				n.soon()
				time.Sleep(time.Millisecond)
			}
			time.Sleep(2*flushSoon - 10*time.Millisecond)
			if at := e.taken(); len(at) != 1 || at[0].Sub(began) != flushSoon {
				t.Errorf("written at %v, flushed at %v", began, at)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
