package membership

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// lockName is the file whose lock says that a process uses the directory.
const lockName = "lock"

// directory keeps a node's record on disk. Safe for concurrent use; changes are
// made one after the other.
type directory struct {
	fs vfs.FS
	// path is "" for a node that keeps nothing.
	path string
	// speaks is the version of the node's release.
	speaks wire.Version
	lock   io.Closer

	// turn holds a token while a change is under way. It is a channel because
	// a change waits for the disk.
	turn    chan struct{}
	current atomic.Pointer[record]
}

// openDirectory locks the data directory, which it makes if there is none, and
// counts a start: when it returns, a boot number and a block of sequences that
// no other start has used are on stable storage. An empty path keeps nothing:
// each start is a new node.
//
// Errors: KindRefused for a directory that is in use or belongs to another
// name, KindCorrupt for a damaged file, KindWrongVersion for one of a later
// release than speaks, KindStorage when the disk fails. A directory that it
// refuses stays as it is.
func openDirectory(fs vfs.FS, path, name string, random func() uint64, block uint64, speaks wire.Version) (*directory, error) {
	d := &directory{fs: fs, path: path, speaks: speaks, turn: make(chan struct{}, 1)}
	if err := d.open(name, random, block); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *directory) open(name string, random func() uint64, block uint64) error {
	const op = "open data directory"
	r := record{name: name}
	if d.path != "" {
		if err := makeDir(d.fs, d.path); err != nil {
			return kv.Wrap(kv.KindStorage, op, err)
		}
		lock, err := d.fs.Lock(d.fs.PathJoin(d.path, lockName))
		if err != nil {
			return kv.Errorf(kv.KindRefused, op, "%s is in use by another process: %w", d.path, err)
		}
		d.lock = lock
		if r, err = d.load(r); err != nil {
			return err
		}
	}
	if r.name != name {
		return kv.Errorf(kv.KindRefused, op, "%s belongs to node %q, not %q", d.path, r.name, name)
	}
	if r.node == 0 {
		r.node = kv.NodeID(nonZero(random))
	}
	r, err := r.started(nonZero(random), block)
	if err != nil {
		return err
	}
	return d.save(r)
}

// load returns the record on disk, or fresh for a directory without one.
func (d *directory) load(fresh record) (record, error) {
	b, err := nodeFile.read(d.fs, d.path)
	if err == nil {
		if _, err := clusterFile.of(d.speaks).read(d.fs, d.path); kv.KindOf(err) == kv.KindWrongVersion {
			return fresh, err // before the start is counted
		}
		return parseRecord(b)
	}
	if !errors.Is(err, errNoFile) {
		return fresh, err
	}
	if _, err := clusterFile.of(d.speaks).read(d.fs, d.path); !errors.Is(err, errNoFile) {
		return fresh, kv.Errorf(kv.KindCorrupt, "open data directory", "%s has a cluster file, but its node file is missing", d.path)
	}
	return fresh, nil
}

// record returns the record as it is on disk.
func (d *directory) record() record { return *d.current.Load() }

// identity returns what the node says of itself now.
func (d *directory) identity() wire.Identity { return d.record().identity() }

// errNoChange is how a change says that nothing is to be done.
var errNoChange = errors.New("no change")

// change replaces the record by what fn makes of it, durably. A change that fn
// refuses, or that the disk fails, leaves it as it was; errNoChange does so
// without being an error.
func (d *directory) change(ctx context.Context, fn func(record) (record, error)) error {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return kv.Wrap(kv.KindTimeout, "change node file", context.Cause(ctx))
	}
	r, err := fn(d.record())
	if err == errNoChange {
		return nil
	}
	if err != nil {
		return err
	}
	return d.save(r)
}

// save makes r durable, then current. Only one caller at a time.
func (d *directory) save(r record) error {
	if d.path != "" {
		if err := nodeFile.write(d.fs, d.path, r.append(nil)); err != nil {
			return err
		}
	}
	d.current.Store(&r)
	return nil
}

// loadState returns the cluster state on disk, nil without one.
func (d *directory) loadState() (*State, error) {
	if d.path == "" {
		return nil, nil
	}
	b, err := clusterFile.of(d.speaks).read(d.fs, d.path)
	if errors.Is(err, errNoFile) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := ParseState(b)
	if err != nil || d.speaks >= ChangesNeed {
		return s, err
	}
	return parseSections(s.cluster, s.encoded.first(sectionsOf(d.speaks)))
}

// saveState makes s durable. Only one caller at a time.
func (d *directory) saveState(s *State) error {
	if d.path == "" {
		return nil
	}
	return clusterFile.of(s.Least()).write(d.fs, d.path, s.AppendTo(nil))
}

func (d *directory) close() error {
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	return kv.Wrap(kv.KindStorage, "unlock data directory", lock.Close())
}

// nonZero draws until it has a number that may stand for something.
func nonZero(random func() uint64) uint64 {
	for {
		if v := random(); v != 0 {
			return v
		}
	}
}
