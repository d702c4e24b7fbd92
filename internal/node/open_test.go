package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestAnEngineThatDoesNotOpenIsNone: the error is returned, and what close sees
// is nil.
func TestAnEngineThatDoesNotOpenIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, engine := range []string{EngineAuto, EngineLogstore, EnginePebble, EngineMemory} {
		n := &Node{cfg: valid(), log: slog.New(slog.DiscardHandler)}
		n.cfg.Engine, n.cfg.Memory.MaxBytes = engine, -1
		n.cfg.Pebble.Dir = filepath.Join(file, "engine")
		n.cfg.Logstore.Dir = n.cfg.Pebble.Dir
		if e, err := n.openEngine(); err == nil || e != nil {
			t.Errorf("%s: opened %v, error %v", engine, e, err)
		}
	}
}

// TestEngineAuto: a directory keeps its engine, an empty one gets the log store.
func TestEngineAuto(t *testing.T) {
	for _, first := range []string{EngineAuto, EngineLogstore, EnginePebble} {
		want := first
		if first == EngineAuto {
			want = EngineLogstore
		}
		dir := filepath.Join(t.TempDir(), "engine")
		for i, engine := range []string{first, EngineAuto} {
			n := &Node{cfg: valid(), log: slog.New(slog.DiscardHandler)}
			n.cfg.Engine, n.cfg.Pebble.Dir, n.cfg.Logstore.Dir = engine, dir, dir
			e, err := n.openEngine()
			if err != nil {
				t.Fatal(err)
			}
			if n.cfg.Engine != want {
				t.Errorf("%s, start %d: opened %s, want %s", first, i, n.cfg.Engine, want)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
