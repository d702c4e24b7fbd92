package pebble

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// Open opens the engine in cfg.Dir. Its errors are of KindInvalid for a Config
// that is not valid, KindRefused when the directory is in use, KindDiskFull
// when the disk has no space for what opening writes, KindWrongVersion for a
// directory of a newer release, KindCorrupt when the directory is damaged so
// that it cannot be opened, or not without forgetting what was acknowledged (see
// SetAside), and KindStorage.
//
// Damage that does not prevent opening is told to cfg.Hooks.Corrupted.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, lock, err := disk.Lock(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	e := newEngine(cfg, lock)
	if err := e.open(cfg); err != nil {
		if cerr := lock.Close(); cerr != nil {
			cfg.Logger.Error("unlock data directory", "err", cerr)
		}
		return nil, err
	}
	return e, nil
}

func newEngine(cfg Config, lock *pebble.Lock) *Engine {
	e := &Engine{
		dir:     cfg.Dir,
		lock:    lock,
		health:  disk.NewHealth(cfg.Logger),
		space:   disk.NewSpace(cfg.FS, cfg.Dir, cfg.ReserveBytes, writeCost),
		users:   disk.NewUsers(),
		counts:  &counts{},
		damages: newDamages(cfg.Logger),
		logger:  cfg.Logger,
		pending: make(chan pending, cfg.WaitQueue),
		stop:    make(chan struct{}),
	}
	e.fence = &fence{FS: cfg.FS, health: e.health, space: e.space, damages: e.damages}
	return e
}

// open opens Pebble and starts the engine's goroutines. On an error it leaves
// nothing open but the lock.
func (e *Engine) open(cfg Config) error {
	if err := e.space.Sample(); err != nil {
		return kv.Wrap(kv.KindStorage, "look up free space", err)
	}
	err := e.openDB(cfg)
	if failure := e.health.Watch(cfg.Hooks.Failed); failure != nil {
		// The fence kept the failure from Pebble, which may have gone on. What
		// it says when it closes follows from the failure.
		if err == nil {
			_ = e.db.Close()
		}
		return failure
	}
	if err != nil {
		return e.openError(err)
	}
	e.measure()
	e.space.Start()
	e.damages.start(cfg.Hooks.Corrupted, e.inspect, e.mend)
	e.scheduler.release()
	e.waiter.Go(e.waitLoop)
	e.sampler.Go(func() { e.sampleLoop(cfg) })
	return nil
}

// openError returns err, which opening returned, in the contract's terms.
func (e *Engine) openError(err error) error {
	if k := kv.KindOf(err); k == kv.KindRefused || k == kv.KindWrongVersion {
		return err
	}
	var missing *fs.PathError
	if errors.Is(err, pebble.ErrDBNotPristine) { // a format of old, for want of a marker
		err = e.missing("marker.format-version")
	}
	if errors.Is(err, fs.ErrNotExist) && errors.As(err, &missing) {
		err = &storage.Damage{File: missing.Path, Err: fs.ErrNotExist}
	}
	return readError("open", err)
}

// openDB opens Pebble, and sets e.db unless it returns an error.
//
// It may take two attempts. Pebble creates a new directory in an old format
// and brings it up to date, but its first log stays in the old format, which
// cannot tell damage from a write that a crash cut short. And when files are
// missing, Pebble is to know the empty ones that were made in their place.
func (e *Engine) openDB(cfg Config) error {
	if err := e.unseal(); err != nil {
		return err
	}
	exists, err := e.peek()
	if err != nil {
		return err
	}
	for range 2 {
		if err := e.openOnce(cfg); err != nil {
			return err
		}
		made, err := whole(e.db, e.fence, e.dir, e.damages)
		if err == nil && exists && !made || e.health.Failed() {
			return err
		}
		if err := errors.Join(err, e.db.Close()); err != nil {
			return err
		}
		exists = true
	}
	return e.openOnce(cfg)
}

func (e *Engine) openOnce(cfg Config) (err error) {
	e.scheduler = newScheduler()
	e.options = options(cfg, e)
	if e.db, err = pebble.Open(e.dir, e.options); err != nil {
		e.scheduler.Unregister()
	}
	return err
}

// peek says whether there is a database, and checks what Pebble would not see:
// without its marker a database passes for a new one, and its files for left
// over.
func (e *Engine) peek() (exists bool, err error) {
	desc, err := pebble.Peek(e.dir, e.fence)
	if err != nil {
		return false, err
	}
	if v := desc.FormatMajorVersion; v > pebble.FormatNewest {
		return false, kv.Errorf(kv.KindWrongVersion, "open", "%s has format %d, this release knows %d",
			e.dir, v, pebble.FormatNewest)
	}
	if err := e.checkOptions(desc.OptionsFilename); err != nil {
		return false, err
	}
	if desc.Exists {
		return true, nil
	}
	names, err := e.fence.List(e.dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		switch filepath.Ext(name) {
		case ".seg", ".merged":
			return false, kv.Errorf(kv.KindRefused, "open", "%s holds data of the engine logstore", e.dir)
		case tableSuffix, blobSuffix, logSuffix: // written after the marker
			return false, e.missing("marker.manifest")
		}
	}
	return false, nil
}

// Holds tells whether dir has files of this engine's.
func Holds(fsys vfs.FS, dir string) (bool, error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(names, func(name string) bool {
		switch filepath.Ext(name) {
		case tableSuffix, blobSuffix, logSuffix:
			return true
		}
		return strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.manifest")
	}), nil
}

// missing returns the error of a file that is not there.
func (e *Engine) missing(name string) error {
	return &storage.Damage{File: e.fence.PathJoin(e.dir, name), Err: errMissing}
}

// checkOptions moves the file of Pebble's options out of the way when it is
// damaged. Pebble would not open, and needs nothing of what it says.
func (e *Engine) checkOptions(path string) error {
	if path == "" {
		return nil
	}
	text, err := disk.ReadFile(e.fence, path)
	if err != nil {
		return err
	}
	if err := new(pebble.Options).Parse(string(text), nil); err == nil {
		return nil
	}
	e.logger.Error("stored options are damaged; set aside, as they are not needed", "file", path)
	aside := e.fence.PathJoin(e.dir, "damaged-"+e.fence.PathBase(path))
	if err := e.fence.Rename(path, aside); err != nil {
		return err
	}
	return disk.SyncDir(e.fence, e.dir)
}
