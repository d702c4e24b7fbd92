package node

import (
	"errors"
	"path/filepath"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
)

func engineDir(data string) string { return filepath.Join(data, "engine") }

func (n *Node) openEngine() (storage.Engine, error) {
	if n.cfg.Engine == EngineMemory {
		e, err := memory.Open(n.cfg.Memory)
		if err != nil {
			return nil, err // not a nil *Engine within a storage.Engine
		}
		return e, nil
	}
	cfg, err := n.cfg.Pebble.Fit()
	if err != nil {
		return nil, err
	}
	cfg.Logger = n.log
	cfg.Hooks.Failed = n.fail
	cfg.Hooks.Corrupted = n.corrupted
	e, err := n.openPebble(cfg)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// openPebble opens the engine's directory. One that is damaged so that it cannot
// be opened is set aside, and the node begins on an empty one.
func (n *Node) openPebble(cfg pebble.Config) (*pebble.Engine, error) {
	e, err := pebble.Open(cfg)
	if err == nil || kv.KindOf(err) != kv.KindCorrupt {
		return e, err
	}
	aside, asideErr := pebble.SetAside(cfg.FS, cfg.Dir)
	if asideErr != nil {
		return nil, errors.Join(err, asideErr)
	}
	n.log.Error("the storage engine's files are damaged; they are set aside, and the node is filled again from the other owners", "aside", aside, "error", err)
	return pebble.Open(cfg)
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
