package pebble

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// A directory that was closed in good order is sealed: a file names its
// manifest and its logs, with their lengths and checksums. After a crash the end
// of those may be torn, so that nobody can tell damage there from what never
// was acknowledged; with a seal there is no such doubt. It is removed before
// anything is changed.

const (
	sealName   = "SEAL"
	sealHeader = "ringtail seal 1\n"
	// maxSeal bounds the seal that is read, in bytes. A line takes some 40, and
	// there is one for each memtable.
	maxSeal = 64 << 10
)

// seal seals the directory, whose last logs in number are in use. Without a
// seal nothing is lost but certainty, so an error is only logged.
func (e *Engine) seal(logs int) {
	if err := writeSeal(e.fence.FS, e.dir, logs); err != nil {
		e.logger.Warn("seal data directory", "err", err)
	}
}

func writeSeal(fs vfs.FS, dir string, logs int) error {
	desc, err := pebble.Peek(dir, fs)
	if err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, logSuffix) })
	slices.SortFunc(names, func(a, b string) int { // by number
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	names = append(names[max(0, len(names)-logs):], fs.PathBase(desc.ManifestFilename))

	text := []byte(sealHeader)
	for _, name := range names {
		size, sum, err := digest(fs, fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		text = fmt.Appendf(text, "%s %d %08x\n", name, size, sum)
	}
	text = fmt.Appendf(text, "%08x\n", crc32.Checksum(text, castagnoli))
	return disk.WriteFile(fs, dir, sealName, text)
}

// unseal checks the directory against its seal, if it has one, and removes it.
// What differs is returned as damage, and the seal stays.
func (e *Engine) unseal() error {
	path := e.fence.PathJoin(e.dir, sealName)
	f, err := e.fence.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSeal))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := checkSeal(e.fence.FS, e.dir, text); err != nil {
		return err
	}
	if err := e.fence.Remove(path); err != nil {
		return err
	}
	return disk.SyncDir(e.fence, e.dir)
}

// checkSeal returns what of the directory is not as text, its seal, says. A
// seal that is damaged itself says nothing.
func checkSeal(fs vfs.FS, dir string, text []byte) error {
	body, ok := bytes.CutPrefix(text, []byte(sealHeader))
	if !ok {
		return nil
	}
	lines := bytes.SplitAfter(body, []byte("\n"))
	if n := len(lines); n < 2 || len(lines[n-1]) != 0 {
		return nil
	}
	last := lines[len(lines)-2]
	sum := crc32.Checksum(text[:len(text)-len(last)], castagnoli)
	if string(last) != fmt.Sprintf("%08x\n", sum) {
		return nil
	}
	for _, line := range lines[:len(lines)-2] {
		if err := checkSealed(fs, dir, string(line)); err != nil {
			return err
		}
	}
	return nil
}

func checkSealed(filesystem vfs.FS, dir, line string) error {
	var name string
	var size int64
	var sum uint32
	if _, err := fmt.Sscanf(line, "%s %d %x\n", &name, &size, &sum); err != nil {
		return nil // of another release
	}
	path := filesystem.PathJoin(dir, name)
	n, got, err := digest(filesystem, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errMissing
	case err != nil:
		return err
	case n != size:
		err = fmt.Errorf("the file has %d bytes of %d", n, size)
	case got != sum:
		err = errors.New("the file is not as it was when it was closed")
	default:
		return nil
	}
	return &storage.Damage{File: path, Err: err}
}

// digest returns the length and checksum of the file at path.
func digest(fs vfs.FS, path string) (size int64, sum uint32, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, 0, err
	}
	h := crc32.New(castagnoli)
	size, err = io.Copy(h, f)
	return size, h.Sum32(), errors.Join(err, f.Close())
}
