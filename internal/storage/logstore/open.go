package logstore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// Open opens the engine in cfg.Dir. Its errors are of KindInvalid for a Config
// that is not valid, KindRefused when the directory is in use or another
// engine's, KindDiskFull when the disk has no space for what opening writes,
// KindWrongVersion for a directory of a newer release, KindCorrupt when the
// directory is damaged so that it cannot be opened without forgetting what was
// acknowledged (see disk.SetAside), and KindStorage.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := disk.MakeDir(cfg.FS, cfg.Dir); err != nil {
		return nil, kv.Wrap(kv.KindStorage, "make data directory", err)
	}
	dir, lock, err := disk.Lock(cfg.FS, cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	e := &Engine{
		cfg:    cfg,
		lock:   lock,
		health: disk.NewHealth(cfg.Logger),
		space:  disk.NewSpace(cfg.FS, cfg.Dir, cfg.ReserveBytes, 1),
		users:  disk.NewUsers(),
		jobs:   disk.NewUsers(),
		logger: cfg.Logger,
		index:  newIndex(),
		cache:  newCache(cfg.CacheBytes),
		stop:   make(chan struct{}),
	}
	e.stalled.cond = sync.NewCond(&e.stalled.Mutex)
	e.tables.close = e.closeLater
	e.log.segmentBytes, e.log.newSegment = cfg.SegmentBytes, e.newSegment
	if err := e.open(); err != nil {
		e.closeFiles()
		if cerr := lock.Close(); cerr != nil {
			cfg.Logger.Error("unlock data directory", "err", cerr)
		}
		return nil, err
	}
	return e, nil
}

// closeNow closes a file that nothing is written to.
func closeNow(f vfs.File) { _ = f.Close() }

// closeFiles closes all that are open.
func (e *Engine) closeFiles() {
	for _, s := range e.tables.now.Load().segments {
		if s.file != nil {
			closeNow(s.file)
		}
		if s.draft != nil {
			_ = s.draft.drop() // it is removed when the engine opens
		}
	}
}

func (e *Engine) open() error {
	e.tables.change(func(map[uint32]*segment) {})
	if err := e.space.Sample(); err != nil {
		return kv.Wrap(kv.KindStorage, "look up free space", err)
	}
	if err := e.load(); err != nil {
		if kv.KindOf(err) == kv.KindInternal || disk.IsFull(err) {
			err = e.diskError("open", err)
		}
		return err
	}
	e.closing.Store(true) // a full disk is an error for now
	g := &e.log
	g.mu.Lock()
	g.mu.number++
	g.mu.segment = e.newSegment(g.mu.number, g.mu.seq)
	g.preamble()
	g.mu.Unlock()
	_ = e.flushNow()
	e.closing.Store(false)
	if failure := e.health.Watch(e.cfg.Hooks.Failed); failure != nil {
		return failure
	}
	if e.cfg.Ticks != nil {
		e.sampler.Go(e.sampleTicks)
	} else {
		e.sampleLater()
	}
	e.mergeSoon()
	return nil
}

// diskError returns an error of the disk in the contract's terms.
func (e *Engine) diskError(op string, err error) error {
	if disk.IsFull(err) {
		return &kv.Error{Op: op, Kind: kv.KindDiskFull, Err: err}
	}
	return &kv.Error{Op: op, Kind: kv.KindStorage, Err: err}
}

// newSegment returns a segment of the log, and has readers know it. Its file is
// made with the first write.
func (e *Engine) newSegment(number uint32, clean uint64) *segment {
	s := &segment{number: number, format: version, clean: clean, path: segmentPath(e.cfg.FS, e.cfg.Dir, number, segmentSuffix)}
	e.tables.change(func(segments map[uint32]*segment) { segments[number] = s })
	return s
}

// names is what a directory holds.
type names struct {
	segments map[uint32]string // file names, those of merges among them
	hints    map[uint32]bool
	numbers  []uint32 // of both, ascending
	spares   []uint32
	last     uint32 // of the segments of the log
}

// list looks through the directory, and removes what merges left unfinished.
func (e *Engine) list() (*names, error) {
	all, err := e.cfg.FS.List(e.cfg.Dir)
	if err != nil {
		return nil, err
	}
	n := &names{segments: make(map[uint32]string), hints: make(map[uint32]bool)}
	known := make(map[uint32]bool)
	for _, name := range all {
		if strings.HasPrefix(name, "MANIFEST-") || strings.HasPrefix(name, "marker.manifest") {
			return nil, kv.Errorf(kv.KindRefused, "open", "%s holds data of the engine pebble", e.cfg.Dir)
		}
		if strings.HasSuffix(name, tempSuffix) {
			if err := e.cfg.FS.Remove(e.cfg.FS.PathJoin(e.cfg.Dir, name)); err != nil {
				return nil, err
			}
			continue
		}
		stem, suffix, _ := strings.Cut(name, ".")
		number, err := strconv.ParseUint(stem, 16, 32)
		if err != nil {
			continue
		}
		switch k := uint32(number); "." + suffix {
		case segmentSuffix:
			n.last = max(n.last, k)
			fallthrough
		case mergedSuffix:
			n.segments[k] = name
			known[k] = true
		case hintSuffix:
			n.hints[k] = true
			known[k] = true
		case spareSuffix:
			n.spares = append(n.spares, k)
		}
	}
	for k := range known {
		n.numbers = append(n.numbers, k)
	}
	slices.Sort(n.numbers)
	return n, nil
}

// removeFile removes a file that is needed no more.
func (e *Engine) removeFile(path string) {
	if e.health.Failed() {
		return
	}
	if err := e.cfg.FS.Remove(path); err != nil {
		e.fail(fmt.Sprintf("remove %s", e.cfg.FS.PathBase(path)), err)
	}
}
