package pebble

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// sized is a file system of a given size.
type sized struct {
	vfs.FS
	total uint64
}

func (s sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: s.total, AvailBytes: s.total}, nil
}

func TestFit(t *testing.T) {
	d := Default()
	for _, tc := range []struct {
		total             uint64
		reserve, memtable int64
	}{
		{1 << 40, d.ReserveBytes, d.MemTableBytes},
		{uint64(reserveShare * d.ReserveBytes), d.ReserveBytes, d.MemTableBytes},
		{1 << 30, 128 << 20, 16 << 20},
		{64 << 20, 8 << 20, 1 << 20},
	} {
		c := d
		c.Dir, c.FS = "data", sized{vfs.NewMem(), tc.total}
		got, err := c.Fit()
		if err != nil {
			t.Fatal(err)
		}
		if got.ReserveBytes != tc.reserve || got.MemTableBytes != tc.memtable {
			t.Errorf("%d MiB: reserve %d, memtable %d, want %d and %d", tc.total>>20, got.ReserveBytes, got.MemTableBytes, tc.reserve, tc.memtable)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%d MiB: %v", tc.total>>20, err)
		}
	}
}
