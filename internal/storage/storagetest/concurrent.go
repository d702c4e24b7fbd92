package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// testConcurrent lets writers overwrite pairs of keys, each pair in one batch
// and with one value, while readers look for a pair that differs, for a torn
// value, and for time running backwards.
func testConcurrent(t *testing.T, e storage.Engine) {
	const writers, rounds = 4, 200
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		writePair(t, e, w, 0)
		writing.Go(func() {
			for n := 1; n <= rounds; n++ {
				writePair(t, e, w, n)
			}
		})
		reading.Go(func() { readPairs(t, e, w, stop) })
		reading.Go(func() { scanPairs(t, e, stop) })
	}
	// A partition beside them comes and goes.
	other := storage.NewPrefix(storage.SpaceHints, 7)
	reading.Go(func() {
		for !stopped(stop) {
			fill(t, e, other, 10)
			drop(t, e, other)
			if err := e.Sync(); err != nil {
				t.Errorf("sync: %v", err)
			}
			e.Stats()
		}
	})
	writing.Wait()
	close(stop)
	reading.Wait()
	for w := range writers {
		if n, err := readPair(e, p2, w); err != nil || n != rounds {
			t.Errorf("writer %d: the last value is %d, %v, want %d", w, n, err, rounds)
		}
	}
}

func stopped(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// pairValue is 1 KiB that holds n in each of its bytes.
func pairValue(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 1024) }

// writePair sets w's keys in p1 and p2, and two in p1 for the scans, to n.
func writePair(t testing.TB, e storage.Engine, w, n int) {
	var b storage.Batch
	value := pairValue(n)
	b.Set(key(p1, fmt.Sprintf("a%d", w)), value)
	b.Set(key(p2, fmt.Sprintf("a%d", w)), value)
	b.Set(key(p1, fmt.Sprintf("b%d", w)), value)
	a := newAck()
	if err := e.Apply(&b, a); err != nil {
		t.Errorf("apply: %v", err)
		return
	}
	if n%16 == 0 {
		if err := a.wait(); err != nil {
			t.Errorf("durable: %v", err)
		}
	}
}

// readPair returns the number that w's key in p holds.
func readPair(e storage.Engine, p storage.Prefix, w int) (int, error) {
	v, found, err := e.Get(key(p, fmt.Sprintf("a%d", w)), nil)
	if err != nil || !found {
		return 0, fmt.Errorf("get: found %v: %w", found, err)
	}
	return pairNumber(v)
}

func pairNumber(v []byte) (int, error) {
	if !bytes.Equal(v, pairValue(int(v[0]))) {
		return 0, fmt.Errorf("the value is torn: it holds %v", v)
	}
	return int(v[0]), nil
}

// readPairs checks that once one key of a batch is seen, all of it is.
func readPairs(t testing.TB, e storage.Engine, w int, stop chan struct{}) {
	for !stopped(stop) {
		first, err1 := readPair(e, p1, w)
		second, err2 := readPair(e, p2, w)
		if err1 != nil || err2 != nil || second < first {
			t.Errorf("writer %d: read %d (%v), then %d (%v) of the same batches", w, first, err1, second, err2)
			return
		}
	}
}

// scanPairs checks that a scan shows batches whole.
func scanPairs(t testing.TB, e storage.Engine, stop chan struct{}) {
	for !stopped(stop) {
		seen := make(map[string]int)
		err := e.Scan(p1, nil, func(k, v []byte) bool {
			n, err := pairNumber(v)
			if err != nil {
				t.Error(err)
			}
			rest := string(k[storage.PrefixLen:])
			seen[rest] = n
			if a, ok := seen["a"+rest[1:]]; rest[0] == 'b' && (!ok || a != n) {
				t.Errorf("a scan shows %d and %d of one batch", a, n)
			}
			return true
		})
		if err != nil {
			t.Errorf("scan: %v", err)
			return
		}
	}
}

// testConcurrentClose closes the engine under its users: each call finishes or
// returns KindClosed, and each accepted Waiter has been called.
func testConcurrentClose(t *testing.T, e storage.Engine) {
	const users = 4
	var wg sync.WaitGroup
	var started sync.WaitGroup
	started.Add(users)
	for u := range users {
		wg.Go(func() {
			var acks []*ack
			for n := 0; ; n++ {
				a, err := useOnce(e, u, n)
				if a != nil {
					acks = append(acks, a)
				}
				if n == 10 {
					started.Done()
				}
				if err != nil {
					wantKind(t, err, kv.KindClosed)
					break
				}
			}
			for _, a := range acks {
				if err := a.wait(); err != nil {
					t.Errorf("durable: %v", err)
				}
			}
		})
	}
	started.Wait()
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
}

// useOnce makes one call of each kind, and returns the Waiter of the batch
// that was accepted and the first error.
func useOnce(e storage.Engine, user, n int) (*ack, error) {
	k := key(p1, fmt.Sprintf("%d-%d", user, n%32))
	var b storage.Batch
	b.Set(k, pairValue(n))
	a := newAck()
	if err := e.Apply(&b, a); err != nil {
		return nil, err
	}
	if _, _, err := e.Get(k, nil); err != nil {
		return a, err
	}
	return a, e.Scan(p1, nil, func(_, _ []byte) bool { return true })
}
