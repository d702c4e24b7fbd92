package node

import (
	"errors"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
	"github.com/ringtaildb/ringtail/internal/storage/logstore"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
)

func engineDir(data string) string { return filepath.Join(data, "engine") }

// openEngine opens the configured engine. Of those on a disk, one whose directory
// is damaged so that it cannot be opened is set aside, and the node begins on an
// empty one.
func (n *Node) openEngine() (storage.Engine, error) {
	if n.cfg.Engine == EngineAuto {
		old, err := pebble.Holds(n.cfg.Pebble.FS, n.cfg.Pebble.Dir)
		if err != nil {
			return nil, err
		}
		n.cfg.Engine = EngineLogstore
		if old {
			n.cfg.Engine = EnginePebble
		}
	}
	switch n.cfg.Engine {
	case EngineMemory:
		return opened(memory.Open(n.cfg.Memory))
	case EngineLogstore:
		cfg, err := n.cfg.Logstore.Fit()
		if err != nil {
			return nil, err
		}
		cfg.Logger = n.log
		cfg.Hooks.Failed = n.fail
		cfg.Hooks.Corrupted = n.corrupted
		cfg.Hooks.Pace = n.shared
		return n.openDir(cfg.FS, cfg.Dir, func() (storage.Engine, error) { return opened(logstore.Open(cfg)) })
	}
	cfg, err := n.cfg.Pebble.Fit()
	if err != nil {
		return nil, err
	}
	cfg.Logger = n.log
	cfg.Hooks.Failed = n.fail
	cfg.Hooks.Corrupted = n.corrupted
	return n.openDir(cfg.FS, cfg.Dir, func() (storage.Engine, error) { return opened(pebble.Open(cfg)) })
}

// opened returns what a constructor returned, with no engine when there is an
// error: a nil pointer in an interface would not be nil.
func opened[E storage.Engine](e E, err error) (storage.Engine, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (n *Node) openDir(fsys vfs.FS, dir string, open func() (storage.Engine, error)) (storage.Engine, error) {
	e, err := open()
	if err == nil || kv.KindOf(err) != kv.KindCorrupt {
		return e, err
	}
	aside, asideErr := disk.SetAside(fsys, dir)
	if asideErr != nil {
		return nil, errors.Join(err, asideErr)
	}
	n.log.Error("the storage engine's files are damaged; they are set aside, and the node is filled again from the other owners", "aside", aside, "error", err)
	return open()
}

// begin makes sure that a node which lost its engine, whether it was set aside
// or somebody deleted it, does not pass for one whose copies are empty: all of
// them are damaged.
func (n *Node) begin() error {
	begun, err := n.store.Begun()
	switch {
	case err != nil && kv.KindOf(err) != kv.KindCorrupt:
		return err
	case begun:
		return nil
	}
	if n.boot() > 1 {
		lost := kv.Errorf(kv.KindCorrupt, "open engine", "the engine that held the copy is gone")
		if err := n.store.MarkLost(lost); err != nil {
			return err
		}
	}
	return n.store.Begin()
}
