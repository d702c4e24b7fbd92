package pebble

import "github.com/cockroachdb/pebble/v2/vfs"

const (
	// reserveShare is the largest part of a disk, as 1/reserveShare, that is
	// left in reserve.
	reserveShare = 8
	// minMemTable is the smallest memtable that Fit chooses, in bytes.
	minMemTable = 1 << 20
)

// Fit returns c for the disk that holds c.Dir: on a small one the reserve is no
// more than an eighth of it, and the memtables shrink with the reserve, which
// must hold their flushes. On a disk of 8 GiB or more the default stays as it
// is. A file system that does not tell its size counts as large.
func (c Config) Fit() (Config, error) {
	if err := c.FS.MkdirAll(c.Dir, 0o755); err != nil {
		return c, err
	}
	usage, err := c.FS.GetDiskUsage(c.Dir)
	if err != nil {
		if err == vfs.ErrUnsupported {
			return c, nil
		}
		return c, err
	}
	if share := int64(usage.TotalBytes / reserveShare); share < c.ReserveBytes {
		c.ReserveBytes = share
		c.MemTableBytes = max(minMemTable, min(c.MemTableBytes, share/(2*maxMemTables)))
	}
	return c, nil
}
