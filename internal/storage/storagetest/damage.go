package storagetest

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Damage is one way to damage what a closed engine has left on a disk.
type Damage struct {
	// Name says what is damaged.
	Name string
	// Do damages the disk and returns the path of the file, or "" when there is
	// none to damage.
	Do func(t testing.TB, disk vfs.FS) (file string)
	// Harmless says that the engine can do without what is damaged.
	Harmless bool
}

// RunDamage tests what an engine makes of damage: it is not served, it is
// reported with the file's name, what is whole can still be read, and what is
// not can be dropped, at once or in parts, after which nothing meets it again.
//
// settle makes the engine do all the work at once that it would do in the
// background; nil if it has none.
func RunDamage(t *testing.T, open OpenDisk, settle func(storage.Engine) error, damages []Damage) {
	if settle == nil {
		settle = storage.Engine.Sync
	}
	whole := &damaged{T: t, open: open, settle: settle}
	disk := whole.fill()
	for _, way := range []struct {
		name string
		drop func(d *damaged, lost []run)
	}{
		{"DroppedAtOnce", (*damaged).dropAtOnce},
		{"DroppedInParts", (*damaged).dropInParts},
		{"DroppedOverARestart", (*damaged).dropOverRestart},
	} {
		for _, how := range damages {
			t.Run(way.name+"/"+how.Name, func(t *testing.T) {
				t.Parallel()
				d := &damaged{T: t, open: open, settle: settle, model: maps.Clone(whole.model)}
				d.disk = disk.CrashClone(vfs.CrashCloneCfg{}) // what Close has made durable
				testDamage(d, how, way.drop)
			})
		}
	}
}

// damaged is an engine on a damaged disk.
type damaged struct {
	*testing.T
	open   OpenDisk
	settle func(storage.Engine) error
	disk   vfs.FS
	file   string // that is damaged
	engine storage.Engine
	model  map[string]string

	mu struct {
		sync.Mutex
		told []storage.Damage
	}
}

// damageKeys is the number of keys in each prefix. Each that is lost is read
// many times, and to fail takes long.
const damageKeys = 40

// damageValue is of a length that is stored beside its key, few to a block, or
// of one that an engine may store elsewhere.
func damageValue(i int) string {
	return strings.Repeat(fmt.Sprintf("%06d.", i), []int{45, 150}[i/3%2])
}

func testDamage(d *damaged, how Damage, drop func(*damaged, []run)) {
	if d.file = how.Do(d.T, d.disk); d.file == "" {
		d.Skip("there is nothing of the kind")
	}
	if err := d.reopen(); err != nil {
		d.wantDamage(err)
		if how.Harmless {
			d.Errorf("open: %v", err)
		}
		return
	}
	defer func() { closeOnce(d.T, d.engine) }()
	lost := d.lost()
	if (len(lost) == 0) != how.Harmless {
		d.Fatalf("%d ranges cannot be read", len(lost))
	}
	drop(d, lost)
	d.check("after the drop")
	d.refill(lost)
	d.mustReopen()
	d.check("after a restart")
	if err := d.settle(d.engine); err != nil {
		d.Errorf("settle: %v", err)
	}
	d.check("settled")
	d.mustReopen()
	d.check("settled, after a restart")
}

// fill makes an engine write many keys, some of them twice, and closes it. It
// returns the disk.
func (d *damaged) fill() *vfs.MemFS {
	disk := vfs.NewCrashableMem()
	e, err := d.open(Disk{FS: disk})
	if err != nil {
		d.Fatal(err)
	}
	d.model = make(map[string]string)
	put := func(p storage.Prefix, i int, value string) {
		k := key(p, numbered(i))
		set(d.T, e, k, value)
		d.model[string(k)] = value
	}
	for i := range damageKeys {
		for _, p := range modelPrefixes {
			put(p, i, damageValue(i))
		}
	}
	if err := d.settle(e); err != nil {
		d.Fatal(err)
	}
	for i := 0; i < damageKeys; i += 7 {
		for _, p := range modelPrefixes {
			put(p, i, "again"+damageValue(i+1))
		}
	}
	if err := e.Close(); err != nil {
		d.Fatal(err)
	}
	return disk
}

func (d *damaged) reopen() (err error) {
	if d.engine != nil {
		if err := d.engine.Close(); err != nil {
			d.Fatalf("close: %v", err)
		}
	}
	d.engine, err = d.open(Disk{
		FS:     d.disk,
		Failed: func(err error) { d.Errorf("the engine failed: %v", err) },
		Corrupted: func(damage storage.Damage) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.mu.told = append(d.mu.told, damage)
			if damage.File != d.file {
				d.Errorf("the engine tells of %v, damaged is %s", &damage, d.file)
			}
		},
	})
	return err
}

func (d *damaged) mustReopen() {
	d.Helper()
	if err := d.reopen(); err != nil {
		d.Fatalf("open: %v", err)
	}
}

// wantDamage checks that err is of KindCorrupt and names the file.
func (d *damaged) wantDamage(err error) {
	d.Helper()
	wantKind(d.T, err, kv.KindCorrupt)
	var damage *storage.Damage
	if !errors.As(err, &damage) || damage.File != d.file {
		d.Errorf("the error does not say that %s is damaged: %v", d.file, err)
	}
}

// run is keys in a row, [from, to), that cannot be read. Its numbers go on from
// one prefix to the next: places.
type run struct{ from, to int }

const places = 3 * damageKeys

// place returns the key of a number.
func place(i int) []byte { return key(modelPrefixes[i/damageKeys], numbered(i%damageKeys)) }

// bounds returns the range between the keys around the run that can be read.
func (r run) bounds() (from, to []byte) {
	if r.from > 0 {
		from = append(place(r.from-1), 0)
	}
	if r.to < places {
		to = place(r.to)
	}
	return from, to
}

// lost reads everything, by Get and by scans that go on behind damage, and
// returns the runs of keys that no scan shows.
func (d *damaged) lost() (runs []run) {
	was := true
	for n, p := range modelPrefixes {
		for i, shown := range d.scanOn(p) {
			at := n*damageKeys + i
			if shown || at%Step(3) == 0 { // a Get that fails takes long
				d.get(place(at), shown)
			}
			switch {
			case shown:
			case was:
				runs = append(runs, run{at, at + 1})
			default:
				runs[len(runs)-1].to++
			}
			was = shown
		}
	}
	return runs
}

// get reads a key: its value or damage, but a value if a scan has shown it.
func (d *damaged) get(k []byte, readable bool) {
	d.Helper()
	got, found, err := d.engine.Get(k, nil)
	if err != nil && !readable {
		d.wantDamage(err)
		return
	}
	if want, exists := d.model[string(k)]; err != nil || found != exists || string(got) != want {
		d.Errorf("Get(%q) = %d bytes, %v, %v", k, len(got), found, err)
	}
}

// scanOn scans p, and behind each damage goes on at the next key that can be
// read. It returns which keys it saw.
func (d *damaged) scanOn(p storage.Prefix) (shown [damageKeys]bool) {
	last := -1 // the last key that was seen or tried
	from := []byte(nil)
	for {
		err := d.engine.Scan(p, from, func(k, value []byte) bool {
			var i int
			if _, err := fmt.Sscanf(string(k[storage.PrefixLen:]), "%06d", &i); err != nil || d.model[string(k)] != string(value) {
				d.Errorf("scan shows %q with %d bytes", k, len(value))
			}
			for j := last + 1; j < i; j++ {
				if _, exists := d.model[string(key(p, numbered(j)))]; exists {
					d.Errorf("scan of %v passes over %d on its way to %d", p, j, i)
				}
			}
			shown[i], last = true, i
			return true
		})
		if err == nil {
			return shown
		}
		d.wantDamage(err)
		last++
		if last == damageKeys {
			return shown
		}
		from = append(key(p, numbered(last)), 0)
	}
}

// dropAtOnce drops each range that cannot be read.
func (d *damaged) dropAtOnce(lost []run) {
	for _, r := range lost {
		d.dropRange(r.bounds())
	}
}

// dropInParts drops a half of each range that cannot be read, and then the
// other. What is not dropped is not forgotten in between.
func (d *damaged) dropInParts(lost []run) { d.dropHalves(lost, func() {}) }

// dropOverRestart restarts the engine between the halves.
func (d *damaged) dropOverRestart(lost []run) { d.dropHalves(lost, d.mustReopen) }

func (d *damaged) dropHalves(lost []run, between func()) {
	for _, r := range lost {
		from, to := r.bounds()
		if r.to-r.from < 2 {
			d.dropRange(from, to)
			continue
		}
		middle := place((r.from + r.to) / 2)
		d.dropRange(from, middle)
		between()
		d.lost()
		d.dropRange(middle, to)
	}
}

func (d *damaged) dropRange(from, to []byte) {
	d.Helper()
	if err := d.engine.Drop(from, to); err != nil {
		d.Fatalf("drop: %v", err)
	}
	dropFrom(d.model, from, to)
}

// check reads everything, without meeting damage.
func (d *damaged) check(when string) {
	d.Helper()
	for _, p := range modelPrefixes {
		got, err := scan(d.engine, p, nil)
		if err != nil {
			d.Fatalf("scan %s: %v", when, err)
		}
		want := pairsOf(d.model, p, nil)
		if len(got) != len(want) {
			d.Errorf("scan %s shows %d keys, want %d", when, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				d.Fatalf("scan %s shows %q, want %q", when, got[i].Key, want[i].Key)
			}
		}
	}
	for i := range places {
		d.get(place(i), true)
	}
}

// refill writes into the ranges that were lost.
func (d *damaged) refill(lost []run) {
	for _, r := range lost {
		k := place(r.from)
		set(d.T, d.engine, k, "new")
		d.model[string(k)] = "new"
	}
	d.check("refilled")
}
