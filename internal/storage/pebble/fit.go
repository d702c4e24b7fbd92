package pebble

import "github.com/ringtaildb/ringtail/internal/storage/disk"

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
	size, known, err := disk.Total(c.FS, c.Dir)
	if !known {
		return c, err
	}
	if share := int64(size / reserveShare); share < c.ReserveBytes {
		c.ReserveBytes = share
		c.MemTableBytes = max(smallMemTable, min(c.MemTableBytes, share/(2*maxMemTables)))
	}
	return c, nil
}
