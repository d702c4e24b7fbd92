package node

import (
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
	n := &Node{cfg: valid()}
	n.cfg.Pebble.Dir = filepath.Join(file, "engine")
	e, err := n.openEngine()
	if err == nil || e != nil {
		t.Errorf("opened %v, error %v", e, err)
	}
	n.cfg.Engine, n.cfg.Memory.MaxBytes = EngineMemory, -1
	if e, err = n.openEngine(); err == nil || e != nil {
		t.Errorf("opened %v, error %v", e, err)
	}
}
