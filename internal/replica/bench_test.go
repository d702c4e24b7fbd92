package replica

import (
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// The benchmarks' keys, which one record of 1 KiB each has.
const benchKeys = 1024

func benchKey(i int) kv.Key {
	return kv.AppendKey(nil, "bench", fmt.Appendf(nil, "key %d", i%benchKeys))
}

// benchVersions returns two versions of each key, the second after the first.
func benchVersions(b *testing.B) (first, second [benchKeys]object.Object) {
	s, _ := newStore(b, nil)
	value := make([]byte, 1024)
	for i := range benchKeys {
		first[i] = mustPut(b, s, 0, benchKey(i), object.Write{Value: value})
		second[i] = mustPut(b, s, 0, benchKey(i), object.Write{Value: value, Context: object.ContextOf(first[i])})
	}
	return first, second
}

// BenchmarkPut puts over what is there.
func BenchmarkPut(b *testing.B) {
	s, _ := newStore(b, nil)
	var keys [benchKeys]kv.Key
	var seen [benchKeys]object.Context
	var bufs [benchKeys][]byte
	for i := range keys {
		keys[i], bufs[i] = benchKey(i), make([]byte, 0, 2048)
	}
	value := make([]byte, 1024)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % benchKeys
		o, buf, _, err := s.Put(1, 0, keys[n], object.Write{Value: value, Context: seen[n]}, bufs[n][:0], nil)
		if err != nil {
			b.Fatal(err)
		}
		seen[n], bufs[n] = object.ContextOf(o), buf
		seen[n].Clock = append(seen[n].Clock[:0:0], seen[n].Clock...)
	}
}

// BenchmarkMergeNew merges an object that is newer than what is there: each key
// once, and then all anew.
func BenchmarkMergeNew(b *testing.B) {
	first, second := benchVersions(b)
	var keys [benchKeys]kv.Key
	for i := range keys {
		keys[i] = benchKey(i)
	}
	s, _ := newStore(b, nil)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % benchKeys
		o := first[n]
		if i/benchKeys%2 == 1 {
			o = second[n]
		}
		if n == 0 && i/benchKeys%2 == 0 {
			b.StopTimer()
			s, _ = newStore(b, nil)
			b.StartTimer()
		}
		if err := benchMerge(s, keys[n], o); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMergeSame merges what is there.
func BenchmarkMergeSame(b *testing.B) {
	first, _ := benchVersions(b)
	s, _ := newStore(b, nil)
	var keys [benchKeys]kv.Key
	for i := range keys {
		keys[i] = benchKey(i)
		if err := benchMerge(s, keys[i], first[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := benchMerge(s, keys[i%benchKeys], first[i%benchKeys]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	s, _ := newStore(b, nil)
	var keys [benchKeys]kv.Key
	for i := range keys {
		keys[i] = benchKey(i)
		mustPut(b, s, 0, keys[i], object.Write{Value: make([]byte, 1024)})
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, _, err := s.Read(0, keys[i%benchKeys], buf); err != nil {
			b.Fatal(err)
		}
	}
}

func benchMerge(s *Store, k kv.Key, o object.Object) error { return s.Merge(0, k, o, nil, nil) }
