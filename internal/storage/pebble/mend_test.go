package pebble

import (
	"bytes"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// TestInspectAPart damages the first block of a file of which the beginning was
// cut out: what is left is whole.
func TestInspectAPart(t *testing.T) {
	disk, path := oneTable(t)
	bounds := liveTables(t, disk)[0].bounds
	flipAt(t, disk, path, int(layout(t, disk, path).Data[0].Offset))
	o := options(testConfig(disk), &Engine{health: health(), scheduler: newScheduler()}).MakeReaderOptions()
	tab, err := openTable(disk, path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	whole := tab.unreadable(bounds)
	if len(whole) != 1 || !bytes.Equal(whole[0].from, bounds.from) {
		t.Fatalf("the spans of the whole file: %q", whole)
	}
	first, err := tab.from(whole[0].to)
	if err != nil || first == nil {
		t.Fatalf("behind the damage: %q, %v", first, err)
	}
	if part := tab.unreadable(span{first, bounds.to}); len(part) > 0 {
		t.Errorf("the spans of what is behind the damage: %q", part)
	}
}

// twoTables returns a disk with a closed engine whose keys are all in one table,
// and again in another one above it.
func twoTables(t *testing.T) (disk *vfs.MemFS, below, above string) {
	t.Helper()
	disk, below = oneTable(t)
	e := mustOpen(t, testConfig(disk))
	for i := range damageKeys {
		mustSet(t, e, i, "again")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, live := range liveTables(t, disk) {
		if live.path != below {
			above = live.path
		}
	}
	if above == "" {
		t.Fatal("there is no second table")
	}
	return disk, below, above
}

// TestMoreDamageIsFound drops everything where one damaged table is known, and
// another one below it is not: neither stands in a compaction's way for long.
func TestMoreDamageIsFound(t *testing.T) {
	disk, below, above := twoTables(t)
	flipAt(t, disk, below, int(layout(t, disk, below).Data[2].Offset))
	flipAt(t, disk, above, int(layout(t, disk, above).Data[0].Offset))
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	if _, _, err := e.get(damageKey(0), nil); err == nil {
		t.Fatal("the damage above was not met")
	}
	if err := e.Drop(storage.Prefix{2, 0, 1}.Range()); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); e.damages.tables.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d damaged tables are left", e.damages.tables.Load())
		}
	}
	if err := settle(e); err != nil {
		t.Error(err)
	}
}

// TestPinnedFilesStay shows that who looks at the files of one moment can read
// them when compactions have replaced them.
func TestPinnedFilesStay(t *testing.T) {
	disk, path := oneTable(t)
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	tables, _, pin, err := pinFiles(e.db, e.fence, e.dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range damageKeys {
		mustSet(t, e, i, "new")
	}
	if err := settle(e); err != nil {
		t.Fatal(err)
	}
	for _, live := range tablesOf(t, e) {
		if live.path == path {
			t.Fatal("no compaction has replaced the table")
		}
	}
	for _, live := range tables {
		if err := e.withTable(live, func(tab *table) error {
			_, err := tab.keys(nil, live.bounds, nil)
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if err := pin.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHiddenSidesMayGo shows that a table beside a cut may go if it shows no
// key there: a compaction was faster, and that is no damage.
func TestHiddenSidesMayGo(t *testing.T) {
	disk, path := oneTable(t)
	c := testConfig(disk)
	c.Hooks.Corrupted = func(d storage.Damage) { t.Errorf("told of %v", &d) }
	e := mustOpen(t, c)
	tables := tablesOf(t, e)
	sides, err := e.sides(tables, damageKey(100), (*table).before)
	if err != nil || len(sides) != 1 || sides[0].table.path != path || !bytes.Equal(sides[0].key, damageKey(99)) {
		t.Fatalf("sides = %v, %v", sides, err)
	}
	mustSet(t, e, 99, "in another table")
	if err := settle(e); err != nil {
		t.Fatal(err)
	}
	e.stayed(sides)
	if err := e.Drop(nil, nil); err != nil {
		t.Fatal(err)
	}
	if sides, err := e.sides(tablesOf(t, e), damageKey(100), (*table).before); err != nil || len(sides) > 0 {
		t.Errorf("sides that are hidden: %v, %v", sides, err)
	}
	if err := e.Close(); err != nil { // by when all is told
		t.Fatal(err)
	}
}
