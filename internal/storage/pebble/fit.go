package pebble

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// reserveShare is the largest part of a disk, as 1/reserveShare, that is
	// left in reserve.
	reserveShare = 8
	// smallMemTable is the smallest memtable that Fit chooses, in bytes.
	smallMemTable = 1 << 20
)

// Fit returns c for the disk that holds c.Dir: on a small one the reserve is no
// more than an eighth of it, and the memtables shrink with the reserve, which
// must hold their flushes. On a disk of 8 GiB or more the default stays as it
// is. A file system that does not tell its size counts as large.
func (c Config) Fit() (Config, error) {
	if err := c.FS.MkdirAll(c.Dir, 0o755); err != nil {
		return c, kv.Wrap(kv.KindStorage, "size engine", err)
	}
	usage, err := c.FS.GetDiskUsage(c.Dir)
	if errors.Is(err, vfs.ErrUnsupported) {
		return c, nil
	}
	if err != nil {
		return c, kv.Wrap(kv.KindStorage, "size engine", err)
	}
	if share := int64(usage.TotalBytes / reserveShare); share < c.ReserveBytes {
		c.ReserveBytes = share
		c.MemTableBytes = max(smallMemTable, min(c.MemTableBytes, share/(2*maxMemTables)))
	}
	return c, nil
}
