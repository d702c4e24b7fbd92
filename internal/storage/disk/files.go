package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Lock makes the data directory and locks it. It returns the one name by which
// the directory is to be known.
func Lock(fsys vfs.FS, dir string) (string, *pebble.Lock, error) {
	const op = "lock data directory"
	if fsys == vfs.Default {
		// One directory must have one name, for the lock to see it within a
		// process.
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", nil, kv.Wrap(kv.KindStorage, op, err)
		}
		dir = abs
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return "", nil, kv.Wrap(kv.KindStorage, "make data directory", err)
	}
	lock, err := pebble.LockDirectory(dir, fsys)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return "", nil, kv.Wrap(kv.KindStorage, op, err)
	case err != nil:
		return "", nil, kv.Errorf(kv.KindRefused, op, "data directory in use: %s: %w", dir, err)
	}
	return dir, lock, nil
}

// SyncDir makes the names in dir durable.
func SyncDir(fs vfs.FS, dir string) error {
	f, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Cut makes the file at path end at size, to give back its space. Other file
// systems than the real one leave the file as it is.
func Cut(fsys vfs.FS, path string, size int64) error {
	if fsys != vfs.Default {
		return nil
	}
	return os.Truncate(path, size)
}

// ReadFile returns what the file at path holds.
func ReadFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// WriteFile makes a file with text in dir, durably, in one step.
func WriteFile(fs vfs.FS, dir, name string, text []byte) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	return SyncDir(fs, dir)
}

// IsFull says that err means "no space", of the disk or of a quota.
func IsFull(err error) bool {
	return err != nil && (vfs.IsNoSpaceError(err) || errors.Is(err, syscall.EDQUOT))
}

// MakeDir makes dir and what is missing above it, durably.
func MakeDir(fsys vfs.FS, dir string) error {
	parent := fsys.PathDir(dir)
	if _, err := fsys.Stat(dir); err == nil {
		return SyncDir(fsys, parent) // who made it may not have come that far
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if parent != dir && parent != "." {
		if err := MakeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return SyncDir(fsys, parent)
}
