package pebble

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// settle flushes and compacts everything.
func settle(e storage.Engine) error {
	db := e.(*Engine).db
	if err := db.Flush(); err != nil {
		return err
	}
	return db.Compact(context.Background(), []byte{0}, afterAll, false)
}

// flipAt changes a bit of the file at path.
func flipAt(t testing.TB, fs vfs.FS, path string, offset int) {
	t.Helper()
	storagetest.Rewrite(t, fs, path, func(data []byte) []byte {
		data[offset] ^= 0x10
		return data
	})
}

// layout returns where the parts of a table file are.
func layout(t testing.TB, fs vfs.FS, path string) *sstable.Layout {
	t.Helper()
	o := new(pebble.Options)
	o.EnsureDefaults()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sstable.NewReader(t.Context(), readable, o.MakeReaderOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	l, err := r.Layout()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// inTable damages the part of the largest table that pick picks.
func inTable(pick func(*sstable.Layout) block.Handle) func(testing.TB, vfs.FS) string {
	return func(t testing.TB, fs vfs.FS) string {
		path := storagetest.Largest(t, fs, tableSuffix)
		h := pick(layout(t, fs, path))
		if h.Length == 0 {
			return ""
		}
		flipAt(t, fs, path, int(h.Offset+h.Length/2))
		return path
	}
}

// named returns the first path in the directory that contains part.
func named(t testing.TB, fs vfs.FS, part string) string {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.Contains(name, part) {
			return fs.PathJoin("data", name)
		}
	}
	return ""
}

func sizeOf(t testing.TB, fs vfs.FS, path string) int {
	t.Helper()
	info, err := fs.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Size())
}

func flipMiddle(data []byte) []byte {
	data[len(data)/2] ^= 0x10
	return data
}

// lastLog returns the path of the log that was written last.
func lastLog(t testing.TB, fs vfs.FS) string { return slices.Max(filesOf(t, fs, logSuffix)) }

// ofManifest changes the manifest that is in use.
func ofManifest(change func([]byte) []byte) func(testing.TB, vfs.FS) string {
	return func(t testing.TB, fs vfs.FS) string {
		desc, err := pebble.Peek("data", fs)
		if err != nil {
			t.Fatal(err)
		}
		storagetest.Rewrite(t, fs, desc.ManifestFilename, change)
		return desc.ManifestFilename
	}
}

func ofLastLog(change func([]byte) []byte) func(testing.TB, vfs.FS) string {
	return func(t testing.TB, fs vfs.FS) string {
		path := lastLog(t, fs)
		storagetest.Rewrite(t, fs, path, change)
		return path
	}
}

// spots are the ways to damage a directory.
var spots = []storagetest.Damage{
	{Name: "FirstBlock", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Data[0].Handle })},
	{Name: "MiddleBlock", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Data[len(l.Data)/2].Handle })},
	{Name: "LastBlock", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Data[len(l.Data)-1].Handle })},
	{Name: "SeveralBlocks", Do: func(t testing.TB, fs vfs.FS) string {
		path := storagetest.Largest(t, fs, tableSuffix)
		data := layout(t, fs, path).Data
		for _, i := range []int{1, len(data) / 2, len(data)/2 + 1, len(data) - 2} {
			flipAt(t, fs, path, int(data[i].Offset))
		}
		return path
	}},
	{Name: "Index", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Index[len(l.Index)/2] })},
	{Name: "TopIndex", Do: inTable(func(l *sstable.Layout) block.Handle { return l.TopIndex })},
	{Name: "Filter", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Filter[0].Handle }), Harmless: true},
	{Name: "Properties", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Properties })},
	{Name: "MetaIndex", Do: inTable(func(l *sstable.Layout) block.Handle { return l.MetaIndex })},
	{Name: "BlobIndex", Do: inTable(func(l *sstable.Layout) block.Handle { return l.BlobReferenceIndex }), Harmless: true},
	{Name: "TableFooter", Do: inTable(func(l *sstable.Layout) block.Handle { return l.Footer })},
	{Name: "TableCutShort", Do: storagetest.File(tableSuffix, storagetest.Halve)},
	{Name: "TableEmpty", Do: storagetest.File(tableSuffix, storagetest.Empty)},
	{Name: "TableMissing", Do: storagetest.Missing(tableSuffix)},
	{Name: "BlobBlock", Do: storagetest.File(blobSuffix, flipMiddle)},
	{Name: "BlobFooter", Do: storagetest.File(blobSuffix, func(data []byte) []byte {
		data[len(data)-5] ^= 1
		return data
	})},
	{Name: "BlobCutShort", Do: storagetest.File(blobSuffix, storagetest.Halve)},
	{Name: "BlobEmpty", Do: storagetest.File(blobSuffix, storagetest.Empty)},
	{Name: "BlobMissing", Do: storagetest.Missing(blobSuffix)},
	{Name: "Manifest", Do: ofManifest(flipMiddle)},
	{Name: "ManifestEnd", Do: ofManifest(func(data []byte) []byte {
		data[len(data)-1] ^= 1
		return data
	})},
	{Name: "ManifestCutShort", Do: ofManifest(storagetest.Halve)},
	{Name: "ManifestEmpty", Do: ofManifest(storagetest.Empty)},
	{Name: "ManifestMissing", Do: func(t testing.TB, fs vfs.FS) string {
		path := ofManifest(storagetest.Empty)(t, fs)
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{Name: "MarkerMissing", Do: func(t testing.TB, fs vfs.FS) string {
		if err := fs.Remove(named(t, fs, "marker.manifest")); err != nil {
			t.Fatal(err)
		}
		return "data/marker.manifest"
	}},
	{Name: "FormatMissing", Do: func(t testing.TB, fs vfs.FS) string {
		if err := fs.Remove(named(t, fs, "marker.format-version")); err != nil {
			t.Fatal(err)
		}
		return "data/marker.format-version"
	}},
	{Name: "Log", Do: ofLastLog(flipMiddle)},
	{Name: "LogEnd", Do: ofLastLog(func(data []byte) []byte {
		data[len(data)-20] ^= 1
		return data
	})},
	{Name: "LogCutShort", Do: ofLastLog(storagetest.Halve)},
	{Name: "LogMissing", Do: func(t testing.TB, fs vfs.FS) string {
		path := lastLog(t, fs)
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{Name: "OptionsCutShort", Harmless: true, Do: func(t testing.TB, fs vfs.FS) string {
		path := named(t, fs, "OPTIONS-")
		storagetest.Rewrite(t, fs, path, storagetest.Halve)
		return path
	}},
	{Name: "OptionsMissing", Harmless: true, Do: func(t testing.TB, fs vfs.FS) string {
		path := named(t, fs, "OPTIONS-")
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return path
	}},
	{Name: "SealCutShort", Harmless: true, Do: func(t testing.TB, fs vfs.FS) string {
		storagetest.Rewrite(t, fs, "data/"+sealName, storagetest.Halve)
		return "data/" + sealName
	}},
}

func TestDamage(t *testing.T) {
	t.Parallel()
	storagetest.RunDamage(t, onDisk, settle, spots)
}
