package logstore

import (
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// withJobs are the engines that settle is called for, by their jobs.
var withJobs sync.Map

func onDiskCounted(d storagetest.Disk) (storage.Engine, error) {
	c := testConfig(d.FS)
	jobs := new(counted)
	jobs.use(&c)
	c.Hooks.Failed, c.Hooks.Corrupted = d.Failed, d.Corrupted
	e, err := Open(c)
	if err != nil {
		return nil, err
	}
	withJobs.Store(e, jobs)
	return e, nil
}

// settle ends the segment, merges all that has garbage, and waits for that.
func settle(engine storage.Engine) error {
	e := engine.(*Engine)
	jobs, _ := withJobs.Load(e)
	e.log.mu.Lock()
	e.log.roll()
	e.log.mu.Unlock()
	err := e.flushNow()
	jobs.(*counted).wait()
	e.mergeAll.Store(true)
	e.mergeSoon()
	jobs.(*counted).wait()
	return err
}

func flip(at func(size int) int) func([]byte) []byte {
	return func(data []byte) []byte {
		data[at(len(data))] ^= 0x10
		return data
	}
}

func at(n int) func(int) int { return func(size int) int { return (n + size) % size } }

func middle(size int) int { return size / 2 }

// fifth returns a change of the fifth record of the largest file with a suffix.
func fifth(suffix string, offset int) func(testing.TB, vfs.FS) string {
	return storagetest.File(suffix, func(data []byte) []byte {
		at := preamble
		for range 4 {
			h, _ := getHeader(data[at:])
			at += int(h.size())
		}
		data[at+offset] ^= 0x10
		return data
	})
}

// spots are the ways to damage a directory.
var spots = []storagetest.Damage{
	{Name: "Preamble", Do: storagetest.File(segmentSuffix, flip(at(3))), Harmless: true},
	{Name: "Clean", Do: storagetest.File(segmentSuffix, flip(at(17))), Harmless: true},
	{Name: "RecordSum", Do: fifth(segmentSuffix, 0)},
	{Name: "RecordLength", Do: fifth(segmentSuffix, 17)},
	{Name: "RecordNumber", Do: fifth(segmentSuffix, 9)},
	{Name: "RecordKey", Do: fifth(segmentSuffix, headerLen+5)},
	{Name: "RecordValue", Do: fifth(segmentSuffix, headerLen+20)},
	{Name: "Middle", Do: storagetest.File(segmentSuffix, flip(middle))},
	{Name: "Several", Do: storagetest.File(segmentSuffix, func(data []byte) []byte {
		for i := 1; i < 10; i++ {
			data[i*len(data)/10] ^= 1
		}
		return data
	})},
	{Name: "Zeros", Do: storagetest.File(segmentSuffix, func(data []byte) []byte {
		clear(data[len(data)/4 : len(data)/2])
		return data
	})},
	{Name: "Footer", Do: storagetest.File(segmentSuffix, flip(at(-3))), Harmless: true},
	{Name: "SegmentCutShort", Do: storagetest.File(segmentSuffix, storagetest.Halve)},
	{Name: "SegmentEmpty", Do: storagetest.File(segmentSuffix, storagetest.Empty)},
	{Name: "SegmentMissing", Do: storagetest.Missing(segmentSuffix)},
	{Name: "MergedLength", Do: fifth(mergedSuffix, 17)},
	{Name: "MergedValue", Do: fifth(mergedSuffix, headerLen+20)},
	{Name: "MergedMiddle", Do: storagetest.File(mergedSuffix, flip(middle))},
	{Name: "MergedCutShort", Do: storagetest.File(mergedSuffix, storagetest.Halve)},
	{Name: "MergedMissing", Do: storagetest.Missing(mergedSuffix)},
	{Name: "HintHead", Do: storagetest.File(hintSuffix, flip(at(14))), Harmless: true},
	{Name: "HintMiddle", Do: storagetest.File(hintSuffix, flip(middle)), Harmless: true},
	{Name: "HintLength", Do: storagetest.File(hintSuffix, flip(at(hintHeader+2))), Harmless: true},
	{Name: "HintEnd", Do: storagetest.File(hintSuffix, flip(at(-1))), Harmless: true},
	{Name: "HintCutShort", Do: storagetest.File(hintSuffix, storagetest.Halve), Harmless: true},
	{Name: "HintEmpty", Do: storagetest.File(hintSuffix, storagetest.Empty), Harmless: true},
	{Name: "HintMissing", Do: storagetest.Missing(hintSuffix), Harmless: true},
}

func TestDamage(t *testing.T) {
	t.Parallel()
	storagetest.RunDamage(t, onDiskCounted, settle, spots)
}

// TestDamageIsTold: the owner learns of each run of keys that is lost, though
// only one is read.
func TestDamageIsTold(t *testing.T) {
	fs := vfs.NewMem()
	e := mustOpen(t, testConfig(fs))
	for i := range 20 {
		mustSet(t, e, key(1, string(rune('a'+i))), strings.Repeat("v", 100))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	path := storagetest.File(segmentSuffix, func(data []byte) []byte {
		size := headerLen + 4 + 100
		for _, i := range []int{3, 4, 5, 12} {
			data[preamble+i*size+40] ^= 1
		}
		return data
	})(t, fs)
	var told []storage.Damage
	e, j := single(t, fs, func(c *Config) { c.Hooks.Corrupted = func(d storage.Damage) { told = append(told, d) } })
	for range 2 {
		if _, _, err := e.Get(key(1, "m"), nil); kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("Get: %v", err)
		}
		j.run()
	}
	if len(told) != 2 {
		t.Fatalf("told of %d runs: %v", len(told), told)
	}
	for i, want := range []struct{ from, to string }{{"d", "f\x00"}, {"m", "m\x00"}} {
		d := told[i]
		if d.File != path || string(d.From) != string(key(1, want.from)) || string(d.To) != string(key(1, want.to)) {
			t.Errorf("told of %q to %q in %s", d.From, d.To, d.File)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
