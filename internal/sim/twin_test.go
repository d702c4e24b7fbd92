package sim

import (
	"io"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/logstore"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
)

// engines are the real ones that outlive a crash.
var engines = map[string]OpenEngine{
	"logstore": func(fs vfs.FS) (storage.Engine, error) {
		cfg := logstore.Default()
		cfg.Dir, cfg.FS, cfg.ReserveBytes = "engine", fs, 0
		cfg.SegmentBytes, cfg.FlushBytes, cfg.PendingBytes = 64<<10, 4<<10, 1<<20
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		e, err := logstore.Open(cfg)
		if err != nil {
			return nil, err
		}
		return e, nil
	},
	"pebble": func(fs vfs.FS) (storage.Engine, error) {
		cfg := pebble.Default()
		cfg.Dir, cfg.FS, cfg.ReserveBytes = "engine", fs, 0
		cfg.CacheBytes, cfg.MemTableBytes = 1<<20, 1<<20
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		e, err := pebble.Open(cfg)
		if err != nil {
			return nil, err
		}
		return e, nil
	},
}

// onEngine has nodes of all scenarios store in the engine of that name, if there
// is a name.
func onEngine(t *testing.T, scenarios []*Scenario, name string) {
	t.Helper()
	open := engines[name]
	if name != "" && open == nil {
		t.Fatalf("there is no engine %q", name)
	}
	for _, s := range scenarios {
		s.Engine = open
	}
}

// TestTwins plays the first seed of every scenario on each real engine. For more,
// name the engine: -engine pebble -seeds 200.
func TestTwins(t *testing.T) {
	for name := range engines {
		t.Run(name, func(t *testing.T) {
			scenarios := load(t)
			onEngine(t, scenarios, name)
			for i, s := range scenarios {
				if i%twinEach != 0 {
					continue
				}
				t.Run(s.Name, func(t *testing.T) {
					t.Parallel()
					if r := Play(s, 0, nil, Trace{}); len(r.Violations) > 0 {
						t.Fatalf("seed 0: %v", r.Violations)
					}
				})
			}
		})
	}
}

// liar is an engine that breaks its contract in one way.
type liar struct {
	storage.Engine
	lie string
}

func (l liar) Sync() error {
	if l.lie == "fsyncs nothing" {
		return nil
	}
	return l.Engine.Sync()
}

func (l liar) Drop(from, to []byte) error {
	if l.lie == "drops nothing" {
		return nil
	}
	return l.Engine.Drop(from, to)
}

func (l liar) Get(key, dst []byte) ([]byte, bool, error) {
	if l.lie == "loses a key" && key[len(key)-1] == '3' {
		return dst, false, nil
	}
	return l.Engine.Get(key, dst)
}

func (l liar) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	n := 0
	return l.Engine.Scan(p, from, func(key, value []byte) bool {
		if n++; n == 2 && l.lie == "scans without the second key" {
			return true
		}
		return fn(key, value)
	})
}

// TestTwinNotices shows that an engine which breaks its contract is noticed.
func TestTwinNotices(t *testing.T) {
	for _, lie := range []string{"fsyncs nothing", "drops nothing", "loses a key", "scans without the second key"} {
		t.Run(lie, func(t *testing.T) {
			t.Parallel()
			for _, s := range load(t) {
				if !s.random() {
					continue
				}
				s.Engine = func(fs vfs.FS) (storage.Engine, error) {
					e, err := engines["pebble"](fs)
					return liar{e, lie}, err
				}
				for seed := range uint64(3) {
					if r := Play(s, seed, nil, Trace{}); len(r.Violations) > 0 && r.Violations[0].Promise == "the engine's contract" {
						return
					}
				}
			}
			t.Error("nobody noticed")
		})
	}
}
