package sim

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// OpenEngine opens a real storage engine on a file system. Its errors are faults
// of the engine: it meets none of the disk's, which are played without it.
type OpenEngine func(vfs.FS) (storage.Engine, error)

// twin is a real storage engine that goes through all that the model of one does:
// the node reads from it, what it reads is held against the model, and a crash
// leaves what it leaves. That has to be the outcome of the first changes, in
// order, and of all that were told to be durable: the contract of package storage.
//
// It makes no difference to a run but for how much of what was not durable a
// crash keeps.
type twin struct {
	open   OpenEngine
	fs     *vfs.MemFS
	rng    *rand.Rand
	engine storage.Engine
	wrong  func(format string, args ...any)
	batch  storage.Batch
	// used are the prefixes that keys were ever given.
	used map[storage.Prefix]bool
}

// mark is the key under which a twin has the number of the last change.
var mark = []byte{0xff, 0xff, 0xff, 'n'}

func newTwin(open OpenEngine, rng *rand.Rand, wrong func(string, ...any)) *twin {
	return &twin{open: open, fs: vfs.NewCrashableMem(), rng: rng, wrong: wrong, used: map[storage.Prefix]bool{}}
}

// check reports an error, of which the twin has no cause to have any.
func (t *twin) check(what string, err error) {
	if err != nil {
		t.wrong("%s: %v", what, err)
	}
}

// start opens the engine, for a process that starts.
func (t *twin) start() error {
	if t.engine != nil {
		return nil
	}
	e, err := t.open(t.fs)
	t.check("open", err)
	if err == nil {
		t.engine = e
	}
	return err
}

// stop ends the process in good order.
func (t *twin) stop() {
	if t.engine != nil {
		t.check("close", t.engine.Close())
		t.engine = nil
	}
}

// crash ends the process, and loses some of what was not synced.
func (t *twin) crash() {
	if t.engine == nil {
		return
	}
	left := t.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[t.rng.IntN(3)], RNG: rand.New(rand.NewPCG(t.rng.Uint64(), 0))})
	_ = t.engine.Close() // its file system is gone
	t.engine, t.fs = nil, left
}

// copied returns a twin of what would be left, were there a crash that loses all
// that may be lost.
func (t *twin) copied() *twin {
	c := *t
	c.engine, c.fs, c.batch = nil, t.fs.CrashClone(vfs.CrashCloneCfg{}), storage.Batch{}
	c.used = maps.Clone(t.used)
	return &c
}

// lose ends the process by a crash that loses some of what was not synced, and
// returns how many of the changes it kept.
func (t *twin) lose() uint64 {
	if t.engine != nil {
		t.crash()
	}
	return t.survey()
}

// survey returns how many changes are left, without a process.
func (t *twin) survey() uint64 {
	if t.start() != nil {
		return 0
	}
	return t.changes()
}

func (w *World) endTwins() {
	for _, t := range w.twins {
		t.stop()
	}
}

// apply is a change, the number-th of the disk.
func (t *twin) apply(c change, number uint64) {
	if c.drop != nil {
		var to []byte
		if !c.drop.open {
			to = []byte(c.drop.to)
		}
		t.check("drop", t.engine.Drop([]byte(c.drop.from), to))
	}
	t.batch.Reset()
	t.batch.UseReserve()
	for _, op := range c.ops {
		key := []byte(op.key)
		t.used[storage.PrefixOf(key)] = true
		if op.delete {
			t.batch.Delete(key)
		} else {
			t.batch.Set(key, op.value)
		}
	}
	t.batch.Set(mark, binary.BigEndian.AppendUint64(nil, number))
	t.check("apply", t.engine.Apply(&t.batch, nil))
}

// changes returns the number of the last change that the engine has.
func (t *twin) changes() uint64 {
	b, found, err := t.engine.Get(mark, nil)
	t.check("get", err)
	if err != nil || !found {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// get is a read of key, of which the model has want, if it is there.
func (t *twin) get(key, dst []byte, want row, there bool) ([]byte, bool) {
	at := len(dst)
	dst, found, err := t.engine.Get(key, dst)
	t.check("get", err)
	if found != there || string(dst[at:]) != string(want.value) {
		t.wrong("get %x: found %v, %x, the model has %x", key, found, dst[at:], want.value)
	}
	return dst, found
}

// scan is a scan that shows the keys and rows of the model, one by one, until fn
// returns false; with more, the engine may have others behind them. It tells
// whether fn has seen all.
func (t *twin) scan(p storage.Prefix, from []byte, keys []string, rows []row, fn func(key, value []byte) bool, more bool) (all bool) {
	i, stopped := 0, false
	err := t.engine.Scan(p, from, func(key, value []byte) bool {
		if i == len(keys) {
			if !more {
				t.wrong("scan of %x from %x: %x, which the model has not", p, from, key)
			}
			return false
		}
		if string(key) != keys[i] || string(value) != string(rows[i].value) {
			t.wrong("scan of %x from %x: %x, the model has %x", p, from, key, keys[i])
			return false
		}
		i++
		stopped = !fn(key, value)
		return !stopped
	})
	t.check("scan", err)
	if !stopped && i < len(keys) {
		t.wrong("scan of %x from %x: %d keys, the model has %d", p, from, i, len(keys))
	}
	return !stopped
}

// compare holds all that the engine has against a table.
func (t *twin) compare(with *table) {
	for _, p := range slices.SortedFunc(maps.Keys(t.used), func(a, b storage.Prefix) int { return slices.Compare(a[:], b[:]) }) {
		keys := with.within(prefixRange(p))
		i := 0
		err := t.engine.Scan(p, nil, func(key, value []byte) bool {
			if i == len(keys) || string(key) != keys[i] || string(value) != string(with.rows[keys[i]].value) {
				t.wrong("after a crash: %x is not what the first changes leave", key)
				return false
			}
			i++
			return true
		})
		t.check("scan", err)
		if i < len(keys) {
			t.wrong("after a crash: %x is not there", keys[i])
		}
	}
}
