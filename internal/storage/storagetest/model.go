package storagetest

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// modelPrefixes are few, and neighbours.
var modelPrefixes = []storage.Prefix{p1, p2, storage.NewPrefix(storage.SpaceHints, 0)}

// testModel compares the engine with a map under random calls.
func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) {
		e := open(t)
		defer closeOnce(t, e)
		m := &machine{engine: e, model: make(map[string]string)}
		rt.Repeat(map[string]func(*rapid.T){
			"apply": m.apply,
			"get":   m.get,
			"scan":  m.scan,
			"drop":  m.drop,
			"sync":  m.sync,
		})
		for _, p := range modelPrefixes {
			m.compare(rt, p, nil)
		}
	})
}

// machine is an engine and the map that says what it should hold.
type machine struct {
	engine storage.Engine
	model  map[string]string
	batch  storage.Batch
	dst    []byte
}

var modelPrefix = rapid.SampledFrom(modelPrefixes)

// modelKey draws from few keys, so that they are overwritten and deleted.
func modelKey(t *rapid.T) []byte {
	p := modelPrefix.Draw(t, "prefix")
	return append(p[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 'a', 255}), 0, 3).Draw(t, "rest")...)
}

func (m *machine) apply(t *rapid.T) {
	m.batch.Reset()
	for range rapid.IntRange(0, 8).Draw(t, "ops") {
		k := modelKey(t)
		if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
			m.batch.Delete(k)
			delete(m.model, string(k))
			continue
		}
		size := rapid.SampledFrom([]int{0, 1, 100, 600, 3000}).Draw(t, "size")
		v := slices.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, size)
		m.batch.Set(k, v)
		m.model[string(k)] = string(v)
	}
	var err error
	if rapid.Bool().Draw(t, "durable") {
		a := newAck()
		if err = m.engine.Apply(&m.batch, a); err == nil {
			err = a.wait()
		}
	} else {
		err = m.engine.Apply(&m.batch, nil)
	}
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func (m *machine) get(t *rapid.T) {
	k := modelKey(t)
	got, found, err := m.engine.Get(k, m.dst[:0])
	want, exists := m.model[string(k)]
	if err != nil || found != exists || string(got) != want {
		t.Fatalf("Get(%q) = %.40q, %v, %v, want %.40q, %v", k, got, found, err, want, exists)
	}
	if peeker, ok := m.engine.(storage.Peeker); ok {
		now, seen, err := peeker.Peek(k, []byte("before "))
		switch {
		case errors.Is(err, storage.ErrWaits) && !seen && string(now) == "before ":
		case err != nil || seen != exists || string(now) != "before "+want:
			t.Fatalf("Peek(%q) = %.40q, %v, %v, want %.40q, %v", k, now, seen, err, want, exists)
		}
	}
	m.dst = got
}

func (m *machine) scan(t *rapid.T) {
	m.compare(t, modelPrefix.Draw(t, "prefix"), modelKey(t))
}

func (m *machine) drop(t *rapid.T) {
	from, to := modelPrefix.Draw(t, "prefix").Range()
	if rapid.Bool().Draw(t, "range") {
		from, to = modelKey(t), modelKey(t)
	}
	if err := m.engine.Drop(from, to); err != nil {
		t.Fatalf("drop: %v", err)
	}
	dropFrom(m.model, from, to)
}

func (m *machine) sync(t *rapid.T) {
	if err := m.engine.Sync(); err != nil {
		t.Fatalf("sync: %v", err)
	}
}

// compare checks a scan of p from `from` against the model.
func (m *machine) compare(t *rapid.T, p storage.Prefix, from []byte) {
	got, err := scan(m.engine, p, from)
	if err != nil {
		t.Fatalf("scan: %v", err)
	}
	if diff := cmp.Diff(pairsOf(m.model, p, from), got); diff != "" {
		t.Fatalf("scan of %v from %q (-model +engine):\n%s", p, from, diff)
	}
}

// dropFrom is Engine.Drop on a map. A nil to is the end.
func dropFrom(m map[string]string, from, to []byte) {
	maps.DeleteFunc(m, func(k, _ string) bool {
		return k >= string(from) && (to == nil || k < string(to))
	})
}

// pairsOf returns what a scan of a map should show.
func pairsOf(m map[string]string, p storage.Prefix, from []byte) []pair {
	var pairs []pair
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if storage.PrefixOf([]byte(k)) == p && k >= string(from) {
			pairs = append(pairs, pair{k, m[k]})
		}
	}
	return pairs
}
