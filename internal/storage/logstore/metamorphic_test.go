package logstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// TestMetamorphic makes the same random calls to an engine and to the engine in
// memory, with merges, restarts and crashes that lose nothing in between: both
// always give the same answers.
func TestMetamorphic(t *testing.T) {
	t.Parallel()
	for seed := uint64(0); seed < 40; seed += uint64(storagetest.Step(8)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := &twins{T: t, rng: rand.New(rand.NewPCG(seed, 3)), disk: vfs.NewCrashableMem()}
			mem, err := memory.Open(memory.Default())
			if err != nil {
				t.Fatal(err)
			}
			defer mem.Close()
			m.mem = mem
			m.open()
			for range 500 {
				m.step()
			}
			m.restart()
			m.compareAll()
			if err := m.log.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// twins are an engine and its model.
type twins struct {
	*testing.T
	rng  *rand.Rand
	disk *vfs.MemFS
	log  *Engine
	jobs *jobs
	mem  storage.Engine
}

func (m *twins) open() {
	m.log, m.jobs = single(m, m.disk, func(c *Config) { c.SegmentBytes, c.FlushBytes = minSegment, 2<<10 })
}

// key returns a random key of a few prefixes, of a length between none and many.
func (m *twins) key() []byte {
	k := []byte{2, 0, byte(m.rng.IntN(3))}
	switch m.rng.IntN(4) {
	case 0:
		return append(k, make([]byte, m.rng.IntN(10))...)
	case 1:
		return append(k, byte(m.rng.IntN(256)))
	case 2:
		return append(k, bytes.Repeat([]byte{'k'}, m.rng.IntN(300))...)
	}
	return fmt.Appendf(k, "key %d", m.rng.IntN(300))
}

func (m *twins) step() {
	switch n := m.rng.IntN(100); {
	case n < 55:
		m.apply()
	case n < 65:
		m.get(m.key())
	case n < 70:
		m.scan(m.key())
	case n < 75:
		m.drop()
	case n < 95:
		for range m.rng.IntN(8) {
			m.jobs.step()
		}
	case n < 97:
		m.jobs.run()
		checkCounters(m, m.log)
	case n < 98:
		m.crash()
	default:
		m.restart()
	}
}

func (m *twins) apply() {
	var b storage.Batch
	for range 1 + m.rng.IntN(20) {
		if m.rng.IntN(3) == 0 {
			b.Delete(m.key())
		} else {
			b.Set(m.key(), bytes.Repeat([]byte{byte(m.rng.IntN(256))}, m.rng.IntN(400)))
		}
	}
	for _, e := range []storage.Engine{m.log, m.mem} {
		if err := e.Apply(&b, nil); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *twins) get(k []byte) {
	a, found, err := m.log.Get(k, nil)
	b, want, _ := m.mem.Get(k, nil)
	if err != nil || found != want || !bytes.Equal(a, b) {
		m.Fatalf("Get(%q) = %d bytes, %v, %v, want %d, %v", k, len(a), found, err, len(b), want)
	}
}

func (m *twins) scan(from []byte) {
	var got, want []string
	show := func(all *[]string) func(k, v []byte) bool {
		return func(k, v []byte) bool {
			*all = append(*all, string(k)+"="+string(v))
			return true
		}
	}
	p := storage.PrefixOf(from)
	if err := m.log.Scan(p, from, show(&got)); err != nil {
		m.Fatal(err)
	}
	if err := m.mem.Scan(p, from, show(&want)); err != nil {
		m.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.Fatalf("a scan from %q shows %d keys, want %d", from, len(got), len(want))
	}
}

func (m *twins) drop() {
	from, to := m.key(), m.key()
	if m.rng.IntN(3) == 0 {
		from, to = storage.PrefixOf(from).Range()
	}
	for _, e := range []storage.Engine{m.log, m.mem} {
		if err := e.Drop(from, to); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *twins) restart() {
	if err := m.log.Close(); err != nil {
		m.Fatal(err)
	}
	m.open()
	m.compareAll()
}

// crash loses what was not synced, which is nothing.
func (m *twins) crash() {
	if err := m.log.Sync(); err != nil {
		m.Fatal(err)
	}
	left := m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: m.rng})
	if err := m.log.Close(); err != nil {
		m.Fatal(err)
	}
	m.disk = left
	m.open()
	m.compareAll()
}

func (m *twins) compareAll() {
	for p := range byte(3) {
		m.scan([]byte{2, 0, p})
	}
	checkCounters(m, m.log)
}
