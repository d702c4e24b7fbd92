package logstore

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// sizeKeys is how many keys the measurements of memory and of the start use.
// LOGSTORE_KEYS sets another number.
func sizeKeys(t testing.TB, usual int) int {
	text := os.Getenv("LOGSTORE_KEYS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sizeKey returns a key as a node makes them: a partition, a hash, a bucket and a
// name.
func sizeKey(dst []byte, i, partitions int) []byte {
	dst = append(dst[:0], byte(storage.SpaceData), 0, 0)
	binary.BigEndian.PutUint16(dst[1:], uint16(i%partitions))
	dst = binary.BigEndian.AppendUint32(dst, uint32(i)*2654435761)
	dst = append(dst, "\x07default"...)
	return strconv.AppendInt(append(dst, "user:"...), int64(i), 10)
}

// TestMemory holds the index to the bytes for each key that docs/adr/0018 states:
// 64 and the key.
func TestMemory(t *testing.T) {
	n := sizeKeys(t, 200_000)
	var before, after runtime.MemStats
	x := newIndex()
	runtime.GC() // twice, for what pools let go of
	runtime.GC()
	runtime.ReadMemStats(&before)
	var key []byte
	bytes := 0
	for i, j := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		key = sizeKey(key, j, 64)
		bytes += len(key)
		x.set(key, newLoc(uint64(i), uint32(i>>18), int64(i), 1100), false)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(x)
	each := float64(after.HeapAlloc-before.HeapAlloc) / float64(n)
	length := float64(bytes) / float64(n)
	t.Logf("%d keys of %.1f bytes take %.1f bytes each, the estimate is %.1f", n, length, each, float64(x.memory())/float64(n))
	if each > 64+length {
		t.Errorf("a key of %.1f bytes takes %.1f", length, each)
	}
}

// BenchmarkOpen measures what a start takes for each key, in time and in
// processor time: by hints, as after Close.
func BenchmarkOpen(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			n := sizeKeys(b, 100_000)
			c := onFiles(b.TempDir())
			e := mustOpen(b, c)
			value := make([]byte, size)
			var key []byte
			var batch storage.Batch
			for _, j := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
				key = sizeKey(key, j, 64)
				batch.Reset()
				batch.Set(key, value)
				if err := e.Apply(&batch, nil); err != nil {
					b.Fatal(err)
				}
			}
			if err := e.Close(); err != nil {
				b.Fatal(err)
			}
			var worked time.Duration
			for b.Loop() {
				before := metrics.CPUTime()
				e := mustOpen(b, c)
				worked += metrics.CPUTime() - before
				if e.Stats().Keys != uint64(n) {
					b.Fatalf("%d keys came back", e.Stats().Keys)
				}
				b.StopTimer()
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(worked.Nanoseconds())/float64(b.N)/float64(n), "cpu-ns/key")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/key")
		})
	}
}
