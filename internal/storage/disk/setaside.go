package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// maxAside bounds the directories that are set aside beside each other.
const maxAside = 1000

// SetAside renames dir, which an engine has refused as damaged, to the first of
// dir+".damaged-1", "…-2" and so on that is free, durably, and returns the new
// name. Nothing is deleted. Its errors are of KindRefused when the directory is
// in use or maxAside were set aside before, and KindStorage; then dir is where
// it was, or its new name is not durable yet.
func SetAside(fsys vfs.FS, dir string) (name string, err error) {
	const op = "set damaged directory aside"
	dir, lock, err := Lock(fsys, dir)
	if err != nil {
		return "", err
	}
	name, err = moveAside(fsys, dir)
	// The lock is on a file, which has moved along.
	err = errors.Join(err, lock.Close())
	if err == nil {
		err = SyncDir(fsys, fsys.PathDir(dir))
	}
	switch {
	case errors.Is(err, errNoName):
		return "", kv.Wrap(kv.KindRefused, op, err)
	case err != nil:
		return "", kv.Wrap(kv.KindStorage, op, err)
	}
	return name, nil
}

var errNoName = fmt.Errorf("%d are there already", maxAside)

func moveAside(fsys vfs.FS, dir string) (name string, err error) {
	if name, err = freeName(fsys, dir); err != nil {
		return "", err
	}
	return name, fsys.Rename(dir, name)
}

func freeName(fsys vfs.FS, dir string) (string, error) {
	for i := 1; i <= maxAside; i++ {
		name := fmt.Sprintf("%s.damaged-%d", filepath.Clean(dir), i)
		if _, err := fsys.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", errNoName
}
