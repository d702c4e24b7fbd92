// Package storagetest is the contract of internal/storage as tests, which
// every engine passes.
//
// Run is for all engines. An engine with a disk also passes RunCrash,
// RunFaults, RunDiskFull and RunDamage, which put it on a file system that
// loses power, fails, fills up and forgets. The functions that begin with Check are their checkers
// alone: they return what is wrong, so that an engine's tests can show that
// they catch an engine that lies.
package storagetest

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Open returns a new, empty engine, with room for 64 MiB. The suite closes it.
type Open func(t testing.TB) storage.Engine

// Run tests that the engines open returns fulfil the contract, as far as it
// can be seen without a crash or a broken disk.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, storage.Engine)
	}{
		{"Get", testGet},
		{"GetAppends", testGetAppends},
		{"AnyBytes", testAnyBytes},
		{"BigValues", testBigValues},
		{"Limits", testLimits},
		{"BatchOrder", testBatchOrder},
		{"BatchReuse", testBatchReuse},
		{"BatchAcrossPrefixes", testBatchAcrossPrefixes},
		{"Ownership", testOwnership},
		{"ScanOrder", testScanOrder},
		{"ScanFrom", testScanFrom},
		{"ScanStops", testScanStops},
		{"ScanSnapshot", testScanSnapshot},
		{"ScanMayCallTheEngine", testScanMayCallTheEngine},
		{"Drop", testDrop},
		{"DropRange", testDropRange},
		{"DropLastPrefix", testDropLastPrefix},
		{"DropDuringScan", testDropDuringScan},
		{"Durable", testDurable},
		{"DurableEmptyBatch", testDurableEmptyBatch},
		{"DurableAtClose", testDurableAtClose},
		{"Stats", testStats},
		{"Closed", testClosed},
		{"Concurrent", testConcurrent},
		{"ConcurrentClose", testConcurrentClose},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t)
			t.Cleanup(func() { closeOnce(t, e) })
			c.test(t, e)
		})
	}
	if !raceEnabled { // under which pools forget at random
		t.Run("GetDoesNotAllocate", func(t *testing.T) { testGetDoesNotAllocate(t, open(t)) })
	}
	t.Run("Model", func(t *testing.T) { testModel(t, open) })
}

// Step returns how far a sweep over many places or seeds goes at a time: 1, or n
// under the race detector. That takes ten times as long for each, and the code
// that it is to see is the same for all.
func Step(n int) int {
	if raceEnabled {
		return n
	}
	return 1
}

// closeOnce closes e, which the test may have closed already.
func closeOnce(t testing.TB, e storage.Engine) {
	if err := e.Close(); err != nil && kv.KindOf(err) != kv.KindClosed {
		t.Errorf("close: %v", err)
	}
}

// pair is a key and its value.
type pair struct{ Key, Value string }

// p1 and p2 are neighbours, so that an engine that is wrong about where a
// prefix ends is seen to be.
var (
	p1 = storage.NewPrefix(storage.SpaceData, 0x01ff)
	p2 = storage.NewPrefix(storage.SpaceData, 0x0200)
)

func key(p storage.Prefix, rest string) []byte { return append(p[:], rest...) }

// set applies one change, without a wait.
func set(t testing.TB, e storage.Engine, key []byte, value string) {
	t.Helper()
	var b storage.Batch
	b.Set(key, []byte(value))
	apply(t, e, &b)
}

func apply(t testing.TB, e storage.Engine, b *storage.Batch) {
	t.Helper()
	if err := e.Apply(b, nil); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

// wantValue checks that key has value.
func wantValue(t testing.TB, e storage.Engine, key []byte, value string) {
	t.Helper()
	got, found, err := e.Get(key, nil)
	if err != nil || !found || string(got) != value {
		t.Errorf("Get(%.40q) = %.40q (%d bytes), %v, %v, want %.40q (%d bytes)", key, got, len(got), found, err, value, len(value))
	}
}

// wantNone checks that key has no value.
func wantNone(t testing.TB, e storage.Engine, key []byte) {
	t.Helper()
	if got, found, err := e.Get(key, nil); err != nil || found || len(got) != 0 {
		t.Errorf("Get(%.40q) = %.40q, %v, %v, want nothing", key, got, found, err)
	}
}

// wantKind checks that err is a *kv.Error of kind k.
func wantKind(t testing.TB, err error, k kv.Kind) {
	t.Helper()
	if err == nil || kv.KindOf(err) != k {
		t.Errorf("error %v, want one of kind %v", err, k)
	}
}

// scan returns what a Scan of p from `from` shows.
func scan(e storage.Engine, p storage.Prefix, from []byte) ([]pair, error) {
	var got []pair
	err := e.Scan(p, from, func(key, value []byte) bool {
		got = append(got, pair{string(key), string(value)})
		return true
	})
	return got, err
}

// wantScan checks what a Scan shows. The keys of want are without prefix.
func wantScan(t testing.TB, e storage.Engine, p storage.Prefix, from []byte, want ...pair) {
	t.Helper()
	got, err := scan(e, p, from)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	for i := range got {
		if !bytes.HasPrefix([]byte(got[i].Key), p[:]) {
			t.Errorf("scan of %v shows key %q", p, got[i].Key)
			continue
		}
		got[i].Key = got[i].Key[storage.PrefixLen:]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("scan of %v from %q (-want +got):\n%s", p, from, diff)
	}
}

// ack is a Waiter for one batch. A second call is an error that no caller can
// miss.
type ack struct{ done chan error }

func newAck() *ack { return &ack{make(chan error, 1)} }

// Durable implements storage.Waiter.
func (a *ack) Durable(err error) {
	select {
	case a.done <- err:
	default:
		panic("storagetest: a Waiter was called twice")
	}
}

// wait returns what Durable was called with, once, and panics on a second
// call from then on.
func (a *ack) wait() error {
	err := <-a.done
	a.done <- err
	return err
}

// called says whether Durable was called.
func (a *ack) called() bool { return len(a.done) > 0 }

func numbered(i int) string { return fmt.Sprintf("%06d", i) }
