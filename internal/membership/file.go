package membership

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A file of the data directory is
//
//	offset  size
//	     0     4  magic, which tells the node file from the cluster file
//	     4     2  format version
//	     6     4  length of the payload
//	    10     n  payload
//	  10+n     4  CRC-32C of all that precedes
//
// It is replaced as a whole: a reader finds the old or the new one.
type file struct {
	name, magic string
	version     uint16
	// max bounds the payload, in bytes.
	max int
}

var (
	nodeFile = file{name: "node", magic: "RTLn", version: 1, max: 16 << 10}
	// clusterFile's version, where it is used, is one of the protocol: the least
	// that members must speak, when it is written, and the highest that this
	// release speaks, when it is read.
	clusterFile = file{name: "cluster", magic: "RTLc", max: maxState}
)

// of returns the file with a format version.
func (f file) of(version wire.Version) file {
	f.version = uint16(version)
	return f
}

const fileHeader = 4 + 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errNoFile says that there is no such file yet.
var errNoFile = errors.New("no such file")

// read returns the file's payload, or errNoFile. A file that is damaged is an
// error of KindCorrupt, one of a later format one of KindWrongVersion.
func (f file) read(fs vfs.FS, dir string) ([]byte, error) {
	op := "read " + f.name + " file"
	h, err := fs.Open(fs.PathJoin(dir, f.name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoFile
	}
	if err != nil {
		return nil, kv.Wrap(kv.KindStorage, op, err)
	}
	defer h.Close()
	b, err := io.ReadAll(io.LimitReader(h, int64(fileHeader+f.max+4+1)))
	if err != nil {
		return nil, kv.Wrap(kv.KindStorage, op, err)
	}
	return f.parse(b)
}

// parse checks a whole file and returns its payload, a part of b.
func (f file) parse(b []byte) ([]byte, error) {
	op := "read " + f.name + " file"
	if len(b) < fileHeader+4 || string(b[:4]) != f.magic {
		return nil, kv.Errorf(kv.KindCorrupt, op, "it is damaged: %d bytes without the header", len(b))
	}
	end := len(b) - 4
	version, n := binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint32(b[6:])
	switch {
	case version > f.version:
		return nil, kv.Errorf(kv.KindWrongVersion, op, "it has format %d, this release reads up to %d: start the one that wrote it, or a later one", version, f.version)
	case int64(n) != int64(end-fileHeader):
		return nil, kv.Errorf(kv.KindCorrupt, op, "it is damaged: %d bytes where its length says %d", end-fileHeader, n)
	case crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]):
		return nil, kv.Errorf(kv.KindCorrupt, op, "it is damaged: the checksum does not match")
	}
	return b[fileHeader:end], nil
}

// append appends a whole file.
func (f file) append(b, payload []byte) []byte {
	at := len(b)
	b = append(b, f.magic...)
	b = binary.BigEndian.AppendUint16(b, f.version)
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, payload...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// write replaces the file. When it returns nil the new one is on stable
// storage; after an error, and a crash, either may be there.
func (f file) write(fs vfs.FS, dir string, payload []byte) error {
	op := "write " + f.name + " file"
	if len(payload) > f.max {
		return kv.Errorf(kv.KindTooLarge, op, "%d bytes, the limit is %d", len(payload), f.max)
	}
	temp := fs.PathJoin(dir, f.name+".new")
	if err := writeSynced(fs, temp, f.append(nil, payload)); err != nil {
		return kv.Wrap(kv.KindStorage, op, err)
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, f.name)); err != nil {
		return kv.Wrap(kv.KindStorage, op, err)
	}
	return kv.Wrap(kv.KindStorage, op, syncDir(fs, dir))
}

func writeSynced(fs vfs.FS, name string, b []byte) error {
	h, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = h.Write(b)
	if err == nil {
		err = h.Sync()
	}
	return errors.Join(err, h.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	h, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(h.Sync(), h.Close())
}

// makeDir makes a directory that survives a crash, with those above it.
func makeDir(fs vfs.FS, dir string) error {
	parents := []string{fs.PathDir(dir)}
	for d := fs.PathDir(dir); d != fs.PathDir(d); d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil {
			break
		}
		parents = append(parents, fs.PathDir(d))
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range parents {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}
