package storagetest

import (
	"encoding/binary"
	"sync"
	"testing"

	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// benchKeys is the number of keys that the benchmarks read and overwrite.
const benchKeys = 10_000

// Benchmark measures an engine with values of 1 KiB: Get and Apply of one key
// at a time, from one goroutine and from many, and durable Apply from 64
// goroutines that each wait. cpu-ns/op is the processor time of it all, what the
// engine does in the background meanwhile included; it is steady on a busy
// machine.
func Benchmark(b *testing.B, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.B, storage.Engine)
	}{
		{"Get", benchGet},
		{"GetParallel", benchGetParallel},
		{"Apply", benchApply},
		{"ApplyParallel", benchApplyParallel},
		{"ApplyDurable1", func(b *testing.B, e storage.Engine) { benchDurable(b, e, 1) }},
		{"ApplyDurable64", func(b *testing.B, e storage.Engine) { benchDurable(b, e, 64) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			e := open(b)
			defer closeOnce(b, e)
			w := newWriter(0)
			for range benchKeys {
				w.write(b, e, nil)
			}
			b.SetBytes(1024)
			b.ReportAllocs()
			b.ResetTimer()
			before := metrics.CPUTime()
			c.run(b, e)
			b.StopTimer()
			b.ReportMetric(float64(metrics.CPUTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// benchWriter writes and reads the keys in turn, without allocating.
type benchWriter struct {
	n     uint32
	key   []byte
	value []byte
	batch storage.Batch
	done  chan error
}

func newWriter(start int) *benchWriter {
	return &benchWriter{n: uint32(start), key: make([]byte, 16), value: make([]byte, 1024), done: make(chan error, 1)}
}

// Durable implements storage.Waiter.
func (w *benchWriter) Durable(err error) { w.done <- err }

// next sets the key: neighbours are in different partitions.
func (w *benchWriter) next() []byte {
	i := w.n % benchKeys
	w.n += 7
	w.key[0] = byte(storage.SpaceData)
	binary.BigEndian.PutUint16(w.key[1:], uint16(i%1024))
	binary.BigEndian.PutUint32(w.key[8:], i)
	return w.key
}

func (w *benchWriter) write(b *testing.B, e storage.Engine, waiter storage.Waiter) {
	w.batch.Reset()
	w.batch.Set(w.next(), w.value)
	if err := e.Apply(&w.batch, waiter); err != nil {
		b.Error(err)
	}
}

func (w *benchWriter) read(b *testing.B, e storage.Engine) {
	v, found, err := e.Get(w.next(), w.value[:0])
	if err != nil || !found || len(v) != 1024 {
		b.Errorf("get: %d bytes, %v, %v", len(v), found, err)
	}
}

func benchGet(b *testing.B, e storage.Engine) {
	w := newWriter(0)
	for b.Loop() {
		w.read(b, e)
	}
}

func benchGetParallel(b *testing.B, e storage.Engine) {
	b.RunParallel(func(pb *testing.PB) {
		for w := newWriter(0); pb.Next(); {
			w.read(b, e)
		}
	})
}

func benchApply(b *testing.B, e storage.Engine) {
	w := newWriter(0)
	for b.Loop() {
		w.write(b, e, nil)
	}
}

func benchApplyParallel(b *testing.B, e storage.Engine) {
	b.RunParallel(func(pb *testing.PB) {
		for w := newWriter(0); pb.Next(); {
			w.write(b, e, nil)
		}
	})
}

// benchDurable shares b.N durable batches among goroutines that each wait for
// theirs, and reports how many of them an fsync made durable.
func benchDurable(b *testing.B, e storage.Engine, goroutines int) {
	before := e.Stats().Syncs
	var wg sync.WaitGroup
	for g := range goroutines {
		n := b.N / goroutines
		if g < b.N%goroutines {
			n++
		}
		wg.Go(func() {
			w := newWriter(g * 100)
			for range n {
				w.write(b, e, w)
				if err := <-w.done; err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if syncs := e.Stats().Syncs - before; syncs > 0 {
		b.ReportMetric(float64(b.N)/float64(syncs), "batches/sync")
	}
}
