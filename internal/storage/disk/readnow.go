package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// NowReader is a file that is not the system's, and knows itself what ReadNow
// would have to wait for.
type NowReader interface {
	vfs.File
	ReadNow(b []byte, offset int64) (filled, known bool)
}

// ReadNow fills b from offset of f if the system has those bytes in its memory, and
// tells whether it did: it never waits for the disk. What it does not fill is on
// the disk, or not in the file, which a usual read tells. It is not known where the
// file system does not tell what it would have to wait for.
func ReadNow(f vfs.File, b []byte, offset int64) (filled, known bool) {
	if r, ok := f.(NowReader); ok {
		return r.ReadNow(b, offset)
	}
	return readNow(f, b, offset)
}
