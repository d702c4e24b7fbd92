package logstore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// contents returns all that e holds, by Scan.
func contents(t testing.TB, e *Engine) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for _, p := range e.index.prefixes() {
		if err := e.Scan(p, nil, func(k, v []byte) bool {
			got[string(k)] = string(v)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	return got
}

// checkAll tests that the engine holds want, by Get as well, and that its counters
// are what its index says.
func checkAll(t testing.TB, e *Engine, want map[string]string) {
	t.Helper()
	if got := contents(t, e); !maps.Equal(got, want) {
		t.Fatalf("the engine holds %d keys, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got, found, err := e.Get([]byte(k), nil); err != nil || !found || string(got) != v {
			t.Fatalf("Get(%q) = %d bytes, %v, %v", k, len(got), found, err)
		}
	}
	if n := e.Stats().Keys; n != uint64(len(want)) {
		t.Errorf("Keys is %d, want %d", n, len(want))
	}
	checkCounters(t, e)
}

func checkCounters(t testing.TB, e *Engine) {
	t.Helper()
	live, bytes := make(map[uint32]int64), make(map[uint32]int64)
	for _, p := range e.index.prefixes() {
		snap := e.index.snapshot(p)
		snap.walk(nil, func(_ []byte, l *loc) bool {
			live[l.segment]++
			bytes[l.segment] += int64(l.length)
			return true
		})
	}
	for n, s := range e.tables.now.Load().segments {
		if s.live.Load() != live[n] || s.liveBytes.Load() != bytes[n] || s.dead() < 0 {
			t.Errorf("segment %d counts %d live records of %d bytes, %d dead; the index has %d of %d",
				n, s.live.Load(), s.liveBytes.Load(), s.dead(), live[n], bytes[n])
		}
		delete(live, n)
	}
	if len(live) > 0 {
		t.Errorf("the index refers to segments that are not there: %v", live)
	}
}

// churn makes n random changes to e and m.
func churn(t testing.TB, e *Engine, m map[string]string, rng *rand.Rand, n int) {
	t.Helper()
	for i := range n {
		var b storage.Batch
		for range 1 + rng.IntN(3) {
			k := key(byte(rng.IntN(3)), fmt.Sprintf("%04d", rng.IntN(60)))
			if rng.IntN(5) == 0 {
				b.Delete(k)
				delete(m, string(k))
				continue
			}
			v := fmt.Appendf(nil, "%d-%d-%0*d", i, b.Len(), rng.IntN(1500), 7)
			b.Set(k, v)
			m[string(k)] = string(v)
		}
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(40) == 0 {
			p := byte(rng.IntN(3))
			from, to := key(p, fmt.Sprintf("%04d", rng.IntN(60))), key(p+1, "")
			if err := e.Drop(from, to); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(m, func(k, _ string) bool { return k >= string(from) && k < string(to) })
		}
	}
}

// TestMergeSlack overwrites keys for long: garbage within the slack is left
// alone, and past it what is merged has next to nothing to copy.
func TestMergeSlack(t *testing.T) {
	const slack = 1 << 20
	for _, keys := range []int{20, 1200} { // few beside what a segment has, and many
		e, j := single(t, vfs.NewMem(), func(c *Config) { c.MergeSlack = slack })
		m := make(map[string]string)
		value := strings.Repeat("v", 300)
		var merged bool
		for i := range 12_000 {
			k := key(1, fmt.Sprint(i%keys))
			mustSet(t, e, k, value)
			m[string(k)] = value
			if i%50 > 0 {
				continue
			}
			j.run()
			stats := e.Stats()
			if stats.Compactions > 0 && !merged && i*(len(value)+64) < slack {
				t.Fatalf("%d keys: a merge after %d puts", keys, i)
			}
			merged = merged || stats.Compactions > 0
			if most := uint64(2*slack + 4*e.cfg.SegmentBytes); stats.DiskBytes > most {
				t.Fatalf("%d keys: %d bytes on the disk", keys, stats.DiskBytes)
			}
		}
		if !merged {
			t.Fatalf("%d keys: nothing was merged", keys)
		}
		checkAll(t, e, m)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMergePace: the owner of an engine slows merges down, but not while garbage
// piles up.
func TestMergePace(t *testing.T) {
	const slack, rate = 1 << 20, 1 << 20
	asked := 0
	e, j := single(t, vfs.NewMem(), func(c *Config) {
		c.MergeSlack, c.MergeRate = slack, rate
		c.Hooks.Pace = func(pause time.Duration) time.Duration {
			asked++
			return 16 * pause
		}
	})
	const step = 1 << 10
	rest := step * time.Second / rate
	for _, c := range []struct {
		garbage     float64 // of the slack
		least, most time.Duration
	}{
		{0.9, 16 * rest, 16 * rest},
		{1.01, 16 * rest, 16 * rest},
		{1.25, 3 * rest / 2, 5 * rest / 2},
		{1.45, rest, 3 * rest / 2},
		{1.6, 0, 0},
	} {
		for float64(e.Stats().DiskBytes) < c.garbage*slack { // no job runs meanwhile
			mustSet(t, e, key(1, "a"), strings.Repeat("v", 1<<10))
		}
		if got := e.mergePause(step); got < c.least || got > c.most {
			t.Errorf("with %.2f of the slack a merge rests for %v, not %v to %v", c.garbage, got, c.least, c.most)
		}
	}
	if asked == 0 {
		t.Error("the owner was not asked")
	}
	j.run()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMergeFreesSpace overwrites a few keys for long: the disk does not fill up,
// and no deletion stays for ever.
func TestMergeFreesSpace(t *testing.T) {
	e, j := single(t, vfs.NewMem(), nil)
	m := make(map[string]string)
	rng := rand.New(rand.NewPCG(1, 1))
	var most uint64
	for range 60 {
		churn(t, e, m, rng, 100)
		j.run()
		most = max(most, e.Stats().DiskBytes)
	}
	checkAll(t, e, m)
	live := 0
	for k, v := range m {
		live += len(k) + len(v) + headerLen
	}
	if most > uint64(4*live)+8*(64<<10) {
		t.Errorf("%d bytes on the disk for %d live ones", most, live)
	}
	if e.Stats().Compactions < 10 {
		t.Errorf("%d merges", e.Stats().Compactions)
	}
	// All is deleted: nothing is to stay but the last segments, and spares.
	for k := range m {
		var b storage.Batch
		b.Delete([]byte(k))
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		e.rollNow(t)
		j.run()
	}
	e.dropSpares()
	// The present segment may be written over a spare.
	if s, most := e.Stats(), 16<<10+uint64(e.log.mu.segment.reused.Load()); s.DiskBytes > most || s.Keys != 0 {
		t.Errorf("an empty engine has %d bytes on the disk, %d keys", s.DiskBytes, s.Keys)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMergeCrash cuts the power after each change of the disk during merges, and
// looks whether what was synced is there.
func TestMergeCrash(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		met := 0
		for at := 0; ; at += storagetest.Step(5) {
			if !mergeCrash(t, seed, at, &met) {
				break
			}
		}
		if met < 30/storagetest.Step(5) {
			t.Errorf("seed %d: only %d crashes", seed, met)
		}
	}
}

// mergeCrash cuts the power after change number at of the disk, and returns false
// when there were fewer.
func mergeCrash(t *testing.T, seed uint64, at int, met *int) bool {
	t.Helper()
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(seed, 7))
	var left *vfs.MemFS
	n, armed := 0, false
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !armed || op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		if n++; n-1 == at {
			left = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[rng.IntN(3)], RNG: rng})
		}
		return nil
	}))
	e, j := single(t, fs, func(c *Config) { c.MergeGarbage = 0.9 })
	m := make(map[string]string)
	churn(t, e, m, rng, 150)
	e.rollNow(t)
	e.cfg.MergeGarbage = 0.05
	armed = true
	e.mergeSoon()
	j.run()
	armed = false
	if e.Stats().Compactions == 0 {
		t.Fatal("nothing was merged")
	}
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if left == nil {
		return false
	}
	*met++
	back, j := single(t, left, nil)
	checkAll(t, back, m)
	j.run()
	checkAll(t, back, m)
	if err := back.Close(); err != nil {
		t.Fatal(err)
	}
	return true
}

// TestMergeKeepsWhatIsNotSuperseded: a change that is lost in a crash brings back what it had
// superseded, though a merge was on its way to remove that.
func TestMergeKeepsWhatIsNotSuperseded(t *testing.T) {
	disk := vfs.NewCrashableMem()
	e, j := single(t, disk, nil)
	for i := range 20 {
		mustSet(t, e, key(1, fmt.Sprint(i)), "first")
	}
	e.rollNow(t)
	var b storage.Batch
	for i := range 20 {
		b.Set(key(1, fmt.Sprint(i)), []byte("second"))
	}
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	for more := true; more; more = j.step() {
		back, _ := single(t, disk.CrashClone(vfs.CrashCloneCfg{}), nil)
		if got := contents(t, back); len(got) != 20 {
			t.Fatalf("after a crash %d keys are there, want 20", len(got))
		}
		if err := back.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if e.Stats().Compactions == 0 {
		t.Error("nothing was merged")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMergeDuringScan: a scan sees its moment though all segments that it reads
// are merged away meanwhile.
func TestMergeDuringScan(t *testing.T) {
	e, j := single(t, vfs.NewMem(), nil)
	want := make(map[string]string)
	for i := range 50 {
		k := key(1, fmt.Sprintf("%03d", i))
		mustSet(t, e, k, fmt.Sprint("first ", i))
		want[string(k)] = fmt.Sprint("first ", i)
	}
	e.rollNow(t)
	got := make(map[string]string)
	err := e.Scan(storage.PrefixOf(key(1, "")), nil, func(k, v []byte) bool {
		if len(got) == 0 {
			for i := range 50 {
				mustSet(t, e, key(1, fmt.Sprintf("%03d", i)), "second")
			}
			e.rollNow(t)
			j.run()
		}
		got[string(k)] = string(v)
		return true
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("the scan shows %d keys, %v", len(got), err)
	}
	if e.Stats().Compactions == 0 {
		t.Error("nothing was merged")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
