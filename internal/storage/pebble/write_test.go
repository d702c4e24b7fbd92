package pebble

import (
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// countWaiter counts its calls.
type countWaiter struct {
	sync.WaitGroup
	t testing.TB
}

func (w *countWaiter) Durable(err error) {
	if err != nil {
		w.t.Errorf("durable: %v", err)
	}
	w.Done()
}

// TestGroupCommit holds one fsync until many batches have come: another one
// makes all of them durable.
func TestGroupCommit(t *testing.T) {
	const batches = 100
	entered, release := make(chan struct{}, 1000), make(chan struct{})
	hold := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData {
			entered <- struct{}{}
			<-release
		}
		return nil
	})}
	e := mustOpen(t, testConfig(errorfs.Wrap(vfs.NewMem(), hold)))
	defer e.Close()
	before := e.Stats().Syncs
	hold.On()
	w := &countWaiter{t: t}
	for i := range batches {
		w.Add(1)
		var b storage.Batch
		b.Set([]byte{2, 0, 0, byte(i)}, nil)
		if err := e.Apply(&b, w); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-entered // no Apply waits for this one
		}
	}
	close(release)
	w.Wait()
	if n := e.Stats().Syncs - before; n != 2 {
		t.Errorf("%d batches took %d fsyncs, want 2", batches, n)
	}
}

// TestWaitQueueFull shows that with the shortest queue durable batches wait
// for each other, and none is lost.
func TestWaitQueueFull(t *testing.T) {
	c := testConfig(vfs.NewMem())
	c.WaitQueue = 1
	e := mustOpen(t, c)
	w := &countWaiter{t: t}
	var writers sync.WaitGroup
	for g := range 8 {
		writers.Go(func() {
			for i := range 100 {
				w.Add(1)
				var b storage.Batch
				b.Set([]byte{2, 0, byte(g), byte(i)}, nil)
				if err := e.Apply(&b, w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.Wait()
}

// TestStatsAfterFlush shows that the estimate of keys does not count a key
// twice when it moves from a memtable to a table, and that sizes outlive Close.
func TestStatsAfterFlush(t *testing.T) {
	e := mustOpen(t, testConfig(vfs.NewMem()))
	for i := range damageKeys {
		var b storage.Batch
		b.Set(damageKey(i), []byte(damageValue(i)))
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := e.counts.sets.Load() - e.counts.flushed.Load(); n != 0 {
		t.Errorf("%d keys are in no table after a flush", n)
	}
	s := e.Stats()
	if s.DiskBytes == 0 || s.MemoryBytes == 0 || s.Syncs == 0 {
		t.Errorf("stats: %+v", s)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if after := e.Stats(); after.DiskBytes != s.DiskBytes || after.Keys != s.Keys {
		t.Errorf("stats changed with Close: %+v, then %+v", s, after)
	}
}

// TestDropFromTheBeginning drops all keys in two parts, the first of which has
// no first key, and has them compacted: nothing comes back. In some of the
// compactions of a build with the race detector Pebble would lose the second
// part for a first one that begins with an empty key.
func TestDropFromTheBeginning(t *testing.T) {
	for range 10 {
		e := mustOpen(t, testConfig(vfs.NewMem()))
		for i := range 40 {
			mustSet(t, e, i, "v")
		}
		if err := e.db.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, s := range []span{{nil, damageKey(20)}, {damageKey(20), nil}} {
			if err := e.Drop(s.from, s.to); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.db.Flush(); err != nil {
			t.Fatal(err)
		}
		for _, table := range tablesOf(t, e) {
			if len(table.bounds.from) == 0 {
				t.Error("a table begins with an empty key")
			}
		}
		if err := settle(e); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if _, found, err := e.Get(damageKey(i), nil); found || err != nil {
				t.Errorf("Get(%d) = %v, %v", i, found, err)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
