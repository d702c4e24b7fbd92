package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// oneTable returns a disk with a closed engine whose data is in one table, and
// the table's path.
func oneTable(t *testing.T) (disk *vfs.MemFS, path string) {
	t.Helper()
	disk = written(t)
	e := mustOpen(t, testConfig(disk))
	if err := settle(e); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	path = storagetest.Largest(t, disk, tableSuffix)
	if got := liveTables(t, disk); len(got) != 1 || got[0].path != path {
		t.Fatalf("the tables are %v", got)
	}
	return disk, path
}

// liveTables returns the tables of a closed engine.
func liveTables(t *testing.T, disk vfs.FS) []liveFile {
	t.Helper()
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	return tablesOf(t, e)
}

func tablesOf(t *testing.T, e *Engine) []liveFile {
	t.Helper()
	tables, _, err := liveFiles(e.db, e.fence, e.dir)
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// unreadable returns the first and the last number of the keys that cannot be
// read, which are in a row.
func unreadable(t *testing.T, e *Engine) (first, last int) {
	t.Helper()
	first = -1
	for i := range damageKeys {
		if _, _, err := e.Get(damageKey(i), nil); err == nil {
			continue
		} else if kv.KindOf(err) != kv.KindCorrupt {
			t.Fatal(err)
		}
		if first < 0 {
			first = i
		}
		last = i
	}
	if last-first < 4 {
		t.Fatalf("only the keys %d to %d cannot be read", first, last)
	}
	return first, last
}

func mustSet(t *testing.T, e *Engine, i int, value string) {
	t.Helper()
	var b storage.Batch
	b.Set(damageKey(i), []byte(value))
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
}

// TestCutKeepsWhatIsNew writes into the first half of what cannot be read after
// that was dropped, and drops the second.
func TestCutKeepsWhatIsNew(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	e := mustOpen(t, testConfig(disk))
	first, last := unreadable(t, e)
	middle := (first + last) / 2
	if err := e.Drop(after(damageKey(first-1)), damageKey(middle)); err != nil {
		t.Fatal(err)
	}
	mustSet(t, e, first+1, "new")
	mustSet(t, e, first+2, string(make([]byte, 5000)))
	if e.damages.tables.Load() != 1 {
		t.Error("half of the damage is still there, and nobody knows")
	}
	if err := e.Drop(damageKey(middle), damageKey(last+1)); err != nil {
		t.Fatal(err)
	}
	if n := e.damages.tables.Load(); n != 0 {
		t.Errorf("%d damaged tables are left", n)
	}
	for _, when := range []string{"after the cut", "after a crash"} {
		for i := range damageKeys {
			want := damageValue(i)
			switch {
			case i == first+1:
				want = "new"
			case i == first+2:
				want = string(make([]byte, 5000))
			case i >= first && i <= last:
				want = ""
			}
			got, found, err := e.Get(damageKey(i), nil)
			if err != nil || found != (want != "") || string(got) != want {
				t.Errorf("%s: Get(%d) = %d bytes, %v, %v", when, i, len(got), found, err)
			}
		}
		c := testConfig(disk.CrashClone(vfs.CrashCloneCfg{}))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e = mustOpen(t, c)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestExciseLosesNeighbours shows why a cut is so careful. Should it fail,
// Pebble has learned to say that it could not read, and border and stayed can
// go.
func TestExciseLosesNeighbours(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	first, last := unreadable(t, e)
	out := pebble.KeyRange{Start: damageKey(first + 1), End: damageKey(last)}
	if err := e.db.Excise(t.Context(), out); err != nil {
		t.Fatalf("it says so: %v", err)
	}
	lost := 0
	for i := range damageKeys {
		if _, found, err := e.Get(damageKey(i), nil); err == nil && !found && (i < first || i > last) {
			lost++
		}
	}
	if lost == 0 {
		t.Error("no key is lost")
	}
}

// TestDamagedFilter shows that a Get needs no filter.
func TestDamagedFilter(t *testing.T) {
	disk := written(t)
	for _, path := range filesOf(t, disk, tableSuffix) {
		h := layout(t, disk, path).Filter[0]
		flipAt(t, disk, path, int(h.Offset))
	}
	c := testConfig(disk)
	c.Hooks.Corrupted = func(d storage.Damage) { t.Errorf("told of %v", &d) }
	e := mustOpen(t, c)
	met := 0
	for i := 0; i < damageKeys; i += storagetest.Step(3) {
		if _, _, err := e.get(damageKey(i), nil); err != nil {
			met++
		}
	}
	if met == 0 {
		t.Error("no filter was read")
	}
	if n := readDamagedNow(t, e); n > 0 {
		t.Errorf("%d keys cannot be read", n)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedFileGoes shows that the file that was cut is deleted when the rest
// of it is compacted.
func TestDamagedFileGoes(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	e := mustOpen(t, testConfig(disk))
	first, last := unreadable(t, e)
	if err := e.Drop(after(damageKey(first-1)), damageKey(last+1)); err != nil {
		t.Fatal(err)
	}
	if tables := tablesOf(t, e); len(tables) < 2 {
		t.Errorf("the table was not cut: %v", tables)
	}
	mustSet(t, e, 0, "for a compaction of the one part")
	mustSet(t, e, damageKeys-1, "and of the other")
	if err := settle(e); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(filesOf(t, disk, tableSuffix), path) {
		t.Error("the damaged file is still there")
	}
}

// TestDroppedBeforeItWasMet drops damage of which the engine does not know.
// When a compaction meets it there is nothing to tell.
func TestDroppedBeforeItWasMet(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	c := testConfig(disk)
	c.Hooks.Corrupted = func(d storage.Damage) { t.Errorf("told of %v", &d) }
	e := mustOpen(t, c)
	if err := e.Drop(storage.Prefix{2, 0, 1}.Range()); err != nil {
		t.Fatal(err)
	}
	mustSet(t, e, 0, "new")
	if err := settle(e); err == nil {
		t.Log("no compaction met the damage")
	}
	if err := e.Close(); err != nil { // by when all that was met is handled
		t.Fatal(err)
	}
	e = mustOpen(t, c)
	if err := settle(e); err != nil {
		t.Error(err)
	}
	got, found, err := e.Get(damageKey(0), nil)
	if err != nil || !found || string(got) != "new" {
		t.Errorf("Get = %q, %v, %v", got, found, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCorruptedIsTold shows that the hook gets the file, and spans with all keys
// that cannot be read and few others.
func TestCorruptedIsTold(t *testing.T) {
	disk, path := oneTable(t)
	for _, i := range []int{2, 5} {
		flipAt(t, disk, path, int(layout(t, disk, path).Data[i].Offset))
	}
	var told []storage.Damage
	c := testConfig(disk)
	c.Hooks.Corrupted = func(d storage.Damage) { told = append(told, d) }
	e := mustOpen(t, c)
	bad := make(map[int]bool)
	for i := range damageKeys {
		_, _, err := e.Get(damageKey(i), nil)
		bad[i] = err != nil
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 {
		t.Fatalf("told %d times: %v", len(told), told)
	}
	for i := range damageKeys {
		in := slices.ContainsFunc(told, func(d storage.Damage) bool {
			return d.File == path && d.Err != nil && span{d.From, d.To}.holds(damageKey(i))
		})
		if in != bad[i] {
			t.Errorf("key %d: unreadable %v, told %v", i, bad[i], in)
		}
	}
}

// TestCompactionsRest shows that a compaction that meets damage is followed by
// a pause, which ends when the damage is cut out.
func TestCompactionsRest(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	mustSet(t, e, 0, "so that there is something to compact")
	if err := settle(e); err == nil {
		t.Fatal("a compaction passed over damage")
	}
	if ok, _ := e.scheduler.TrySchedule(); ok {
		t.Error("the next one may run at once")
	}
	first, last := unreadable(t, e)
	if err := e.Drop(after(damageKey(first-1)), damageKey(last+1)); err != nil {
		t.Fatal(err)
	}
	if err := settle(e); err != nil {
		t.Error(err)
	}
}

// TestStatisticsRest shows that Pebble's reading of a damaged table's statistics
// is slowed down.
func TestStatisticsRest(t *testing.T) {
	disk, path := oneTable(t)
	storagetest.Rewrite(t, disk, path, storagetest.Empty)
	e := mustOpen(t, testConfig(disk))
	for e.scheduler.rests.Load() == 0 {
		runtime.Gosched()
	}
	if err := e.Close(); err != nil { // does not wait for the rest
		t.Fatal(err)
	}
}

// TestInspectFindsEachSpan compares what the inspection of a table finds with
// what was damaged, block by block.
func TestInspectFindsEachSpan(t *testing.T) {
	disk, path := oneTable(t)
	data := layout(t, disk, path).Data
	bounds := liveTables(t, disk)[0].bounds
	o := options(testConfig(disk), &Engine{health: health(), scheduler: newScheduler()}).MakeReaderOptions()
	for i, b := range data {
		clone := disk.CrashClone(vfs.CrashCloneCfg{})
		flipAt(t, clone, path, int(b.Offset))
		tab, err := openTable(clone, path, o)
		if err != nil {
			t.Fatal(err)
		}
		spans := tab.unreadable(bounds)
		tab.close()
		if len(spans) != 1 {
			t.Fatalf("block %d: %d spans", i, len(spans))
		}
		if s := spans[0]; !bounds.holds(s.from) || bytes.Compare(s.to, bounds.to) > 0 {
			t.Errorf("block %d: %q to %q is not within the table", i, s.from, s.to)
		}
		if (i == 0) != bytes.Equal(spans[0].from, bounds.from) || (i == len(data)-1) != bytes.Equal(spans[0].to, bounds.to) {
			t.Errorf("block %d of %d: %q to %q", i, len(data), spans[0].from, spans[0].to)
		}
	}
}

func TestInspectWithoutIndex(t *testing.T) {
	disk, path := oneTable(t)
	bounds := liveTables(t, disk)[0].bounds
	index := layout(t, disk, path).Index
	if len(index) < 3 {
		t.Skipf("the index has %d parts", len(index))
	}
	o := options(testConfig(disk), &Engine{health: health(), scheduler: newScheduler()}).MakeReaderOptions()
	flipAt(t, disk, path, int(index[1].Offset))
	tab, err := openTable(disk, path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	for _, s := range tab.unreadable(bounds) {
		if !tab.canSeek(s.to) {
			t.Errorf("%q cannot be sought", s.to)
		}
		if s.empty() {
			t.Errorf("%q to %q is empty", s.from, s.to)
		}
	}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"a", "b"}, {"a", "a\x00\x00\x00\x01"}, {"", "\x02"}, {"abc", "abd"}, {"\x00", "\xff"}, {"a\xff\xff\xff\xff\xff\xff\xff\xff", "b"},
	} {
		if m := between([]byte(c.a), []byte(c.b)); m != nil && (string(m) <= c.a || string(m) >= c.b) {
			t.Errorf("between(%q, %q) = %q", c.a, c.b, m)
		}
	}
	if between([]byte("a"), []byte("c")) == nil {
		t.Error("nothing is found between a and c")
	}
	if m := between([]byte("a"), []byte("a")); m != nil {
		t.Errorf("%q is found between a and a", m)
	}
}

func TestSpans(t *testing.T) {
	of := func(keys string) span { return span{[]byte(keys[:1]), []byte(keys[1:])} }
	joined := join([]span{of("fg"), of("ac"), of("bd"), of("de"), of("hi")})
	if got := fmt.Sprintf("%s", joined); got != "[{a e} {f g} {h i}]" {
		t.Errorf("join: %s", got)
	}
	if got := fmt.Sprintf("%s", clip(joined, of("dh"))); got != "[{d e} {f g}]" {
		t.Errorf("clip: %s", got)
	}
	if !coveredBy(of("be"), joined) || coveredBy(of("bf"), joined) || coveredBy(of("ef"), joined) {
		t.Error("coveredBy is wrong")
	}
	old := tombstone{of("ae"), 5}
	if old.hiddenBy([]tombstone{{of("ac"), 6}, {of("ce"), 5}}) || !old.hiddenBy([]tombstone{{of("ac"), 6}, {of("bf"), 7}}) {
		t.Error("hiddenBy is wrong")
	}
}

// TestDamageNamesItsFile shows what a caller can ask an error for.
func TestDamageNamesItsFile(t *testing.T) {
	disk, path := oneTable(t)
	flipAt(t, disk, path, int(layout(t, disk, path).Data[2].Offset))
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	err := e.Scan(storage.Prefix{2, 0, 1}, nil, func(_, _ []byte) bool { return true })
	var d *storage.Damage
	if kv.KindOf(err) != kv.KindCorrupt || !errors.As(err, &d) || d.File != path {
		t.Errorf("scan: %v", err)
	}
}
