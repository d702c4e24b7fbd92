package replica

import (
	"bytes"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
)

// tornEngine cannot read ranges of its keys, as an engine whose disk has damaged
// blocks: neither can it read on through them. A key that is written again can
// be read by itself.
type tornEngine struct {
	storage.Engine
	torn    []keyRange
	rewrote map[string]bool
}

type keyRange struct{ from, to []byte }

func (r keyRange) has(key []byte) bool {
	return bytes.Compare(key, r.from) >= 0 && bytes.Compare(key, r.to) < 0
}

var errTorn = kv.Errorf(kv.KindCorrupt, "get", "the checksum does not match")

func newTornEngine(t testing.TB) *tornEngine {
	t.Helper()
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	return &tornEngine{Engine: e, rewrote: map[string]bool{}}
}

func (e *tornEngine) isTorn(key []byte) bool {
	for _, r := range e.torn {
		if r.has(key) {
			return true
		}
	}
	return false
}

func (e *tornEngine) Get(key, dst []byte) ([]byte, bool, error) {
	if e.isTorn(key) && !e.rewrote[string(key)] {
		return dst, false, errTorn
	}
	return e.Engine.Get(key, dst)
}

func (e *tornEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	for _, op := range b.Ops() {
		e.rewrote[string(op.Key)] = true
	}
	return e.Engine.Apply(b, w)
}

func (e *tornEngine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	at := from
	stopped := false
	torn := func(to []byte) bool { // tells whether reading on to the key meets damage
		for _, r := range e.torn {
			if bytes.Compare(r.to, at) > 0 && bytes.Compare(r.from, to) <= 0 && bytes.HasPrefix(r.from, p[:]) {
				return true
			}
		}
		return false
	}
	var bad error
	err := e.Engine.Scan(p, from, func(key, value []byte) bool {
		if torn(key) {
			bad, stopped = errTorn, true
			return false
		}
		at = append(bytes.Clone(key), 0)
		stopped = !fn(key, value)
		return !stopped
	})
	if end, ok := p.Next(); ok && err == nil && !stopped && torn(end[:]) {
		bad = errTorn
	}
	if err == nil {
		err = bad
	}
	return err
}

func (e *tornEngine) Drop(from, to []byte) error {
	var left []keyRange
	for _, r := range e.torn {
		if bytes.Compare(r.from, from) < 0 && bytes.Compare(r.to, from) > 0 {
			left = append(left, keyRange{r.from, from})
		}
		if bytes.Compare(r.to, to) > 0 {
			if bytes.Compare(r.from, to) < 0 {
				r.from = to
			}
			left = append(left, r)
		}
	}
	e.torn = left
	return e.Engine.Drop(from, to)
}

// told are the hook's calls.
func told(s *Store) *[]string {
	var out []string
	s.hints.damaged = func(p kv.Partition, cause error) {
		if kv.KindOf(cause) != kv.KindCorrupt {
			panic(cause)
		}
		out = append(out, cause.Error())
	}
	return &out
}

// TestDamagedHintsAreSetAside tears ranges of the hints: what is in them is never
// served, what is not in them stays, unless it is between two of them, and the
// counts are right afterwards.
func TestDamagedHintsAreSetAside(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newTornEngine(t)
		source := &counter{}
		s := hintStore(t, e, source, 1<<30)
		keys := rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 'b', 255}), 1, 12), 1, 30, func(k []byte) string { return string(k) }).Draw(rt, "keys")
		var at [][]byte
		for _, key := range keys {
			k := kv.AppendKey(nil, "bucket", key)
			for _, owner := range []kv.NodeID{2, 3} {
				mustHint(t, s, owner, 1, k, object.Write{Value: key})
				at = append(at, appendHintKey(nil, owner, 1, k))
			}
			mustHint(t, s, 2, 2, k, object.Write{Value: key})
		}
		for range rapid.IntRange(1, 3).Draw(rt, "damages") {
			from := rapid.SampledFrom(at).Draw(rt, "from")
			to := append(bytes.Clone(from), 0)
			if other := rapid.SampledFrom(at).Draw(rt, "to"); bytes.Compare(other, from) > 0 {
				to = other
			}
			e.torn = append(e.torn, keyRange{from, to})
		}
		clear(e.rewrote)
		damages := slices.Clone(e.torn)
		torn := map[string]bool{}
		for _, key := range at {
			torn[string(key)] = e.isTorn(key)
		}
		names := told(s)
		if rapid.Bool().Draw(rt, "restart") {
			s = hintStore(t, e, source, 1<<30)
		} else {
			checkTornReads(rt, s, keys, torn)
			for _, owner := range []kv.NodeID{2, 3} {
				mustPage(t, s, owner, 1, 4)
			}
			if len(*names) < 2 || s.DamagedHints() == 0 {
				rt.Errorf("told are %q, %d were set aside", *names, s.DamagedHints())
			}
		}
		if len(e.torn) != 0 {
			rt.Errorf("the damage is still there: %x", e.torn)
		}
		kept := len(keys)
		for _, key := range at {
			rec, _, err := s.read(key, nil, false)
			gone := rec.obj.Bytes() == nil
			if err != nil || gone != torn[string(key)] && !(gone && betweenTears(damages, key)) {
				rt.Errorf("hint %x: gone %v, %v", key, gone, err)
			}
			if !gone {
				kept++
			}
		}
		total := uint64(0)
		for _, st := range s.Hints() {
			total += st.Keys
		}
		if int(total) != kept {
			rt.Errorf("%d hints are counted, want %d", total, kept)
		}
	})
}

// betweenTears tells whether key is after one of ranges and before another.
func betweenTears(ranges []keyRange, key []byte) bool {
	var before, after bool
	for _, r := range ranges {
		before = before || bytes.Compare(r.to, key) <= 0
		after = after || bytes.Compare(r.from, key) > 0
	}
	return before && after
}

// checkTornReads: no damaged hint is served.
func checkTornReads(t *rapid.T, s *Store, keys [][]byte, torn map[string]bool) {
	for _, key := range keys {
		k := kv.AppendKey(nil, "bucket", key)
		bad := torn[string(appendHintKey(nil, 2, 1, k))] || torn[string(appendHintKey(nil, 3, 1, k))]
		o, _, err := s.ReadHints(1, k, nil)
		if (kv.KindOf(err) == kv.KindCorrupt && err != nil) != bad || err != nil && o.Bytes() != nil {
			t.Errorf("a damaged hint is read as %x, %v", o.Bytes(), err)
		}
	}
}

// TestWriteOverADamagedHint: it counts as absent, and once.
func TestWriteOverADamagedHint(t *testing.T) {
	e := newTornEngine(t)
	s := hintStore(t, e, &counter{}, 1<<30)
	names := told(s)
	k := hintTestKey(1)
	mustHint(t, s, 2, 1, k, object.Write{Value: []byte("v")})
	at := appendHintKey(nil, 2, 1, k)
	e.torn, e.rewrote = []keyRange{{at, append(bytes.Clone(at), 0)}}, map[string]bool{}
	if ok, err := s.DeleteHint(2, 1, k, 1); ok || kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("a damaged hint is deleted: %v, %v", ok, err)
	}
	o := mustHint(t, s, 2, 1, k, object.Write{Value: []byte("w")})
	if got := mustReadHints(t, s, 1, k); !bytes.Equal(got.Bytes(), o.Bytes()) || o.Len() != 1 || len(*names) == 0 {
		t.Errorf("the hint is %x, want %x; told are %q", got.Bytes(), o.Bytes(), *names)
	}
	e.torn = nil // the engine has written it elsewhere by now
	page := mustPage(t, s, 2, 1, 9)
	if len(page) != 1 || s.Hints()[0].Keys != 1 || s.hints.isDamaged(s.hints.find(2, 1)) {
		t.Errorf("%d hints, counted as %+v", len(page), s.Hints())
	}
}

// TestHintsThatTheEngineCutOut: the counts follow once somebody looks for the
// hints.
func TestHintsThatTheEngineCutOut(t *testing.T) {
	s, e := newHintStore(t)
	names := told(s)
	for i := range 3 {
		mustHint(t, s, 2, 1, hintTestKey(i), object.Write{Value: []byte("v")})
	}
	mustHint(t, s, 3, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	if err := e.Drop(appendHintKey(nil, 2, 1, nil), appendHintKey(nil, 3, 1, nil)); err != nil {
		t.Fatal(err)
	}
	if n := len(mustPage(t, s, 2, 1, 9)); n != 0 || len(*names) != 1 || s.DamagedHints() != 1 {
		t.Errorf("%d hints are found, told are %q", n, *names)
	}
	if st := s.Hints(); len(st) != 1 || st[0].Owner != 3 || st[0].Keys != 1 || !s.HoldsHints(1) {
		t.Errorf("counted are %+v", st)
	}
	mustPage(t, s, 2, 1, 9)
	mustPage(t, s, 3, 1, 9)
	if s.DamagedHints() != 1 {
		t.Error("it is told again")
	}
}

// TestHintsBetweenDamages: of two damaged hints, each is set aside by itself when
// others end their part of the keys.
func TestHintsBetweenDamages(t *testing.T) {
	e := newTornEngine(t)
	s := hintStore(t, e, &counter{}, 1<<30)
	for owner, damaged := range map[kv.NodeID]int{2: 7, 3: 0} {
		for i := range 20 {
			mustHint(t, s, owner, 1, hintTestKey(i), object.Write{Value: []byte("v")})
		}
		at := appendHintKey(nil, owner, 1, hintTestKey(damaged))
		e.torn = append(e.torn, keyRange{at, append(bytes.Clone(at), 0)})
	}
	clear(e.rewrote)
	for _, owner := range []kv.NodeID{2, 3} {
		if n := len(mustPage(t, s, owner, 1, 9)); n != 19 {
			t.Errorf("of 20 hints for %v, one of them damaged, %d are left", owner, n)
		}
	}
}

// TestMendWaitsForWrites: a hint that the engine has, and that is not counted
// yet, is not counted twice.
func TestMendWaitsForWrites(t *testing.T) {
	m, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	e := &busyEngine{Engine: m}
	s := hintStore(t, e, &counter{}, 1<<30)
	mended := make(chan error, 1)
	e.after = func() {
		go func() { mended <- s.mendHints(1) }()
		for range 1000 {
			runtime.Gosched() // time enough, were it not to wait
		}
	}
	mustHint(t, s, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	if err := <-mended; err != nil {
		t.Error(err)
	}
	if st := s.Hints(); len(st) != 1 || st[0].Keys != 1 {
		t.Errorf("counted are %+v", st)
	}
}

// TestMalformedHints: records and keys that this package did not write are
// deleted, those of a later release are kept.
func TestMalformedHints(t *testing.T) {
	s, e := newHintStore(t)
	names := told(s)
	mustHint(t, s, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	mustHint(t, s, 2, 1, hintTestKey(3), object.Write{Value: []byte("v")})
	var b storage.Batch
	b.Set(appendHintKey(nil, 2, 1, hintTestKey(2)), []byte("no record"))
	b.Set(appendHintKey(nil, 2, 1, kv.Key{0}), nil)
	b.Set([]byte{byte(storage.SpaceHints), 0, 1, 9}, nil)
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	if page := mustPage(t, s, 2, 1, 1); len(page) != 2 || s.DamagedHints() != 3 || len(*names) != 3 {
		t.Errorf("%d hints, %d set aside, told are %q", len(page), s.DamagedHints(), *names)
	}
	var later storage.Batch
	later.Set(appendHintKey(nil, 2, 1, hintTestKey(2)), append([]byte{recordVersion + 1}, make([]byte, 99)...))
	if err := e.Apply(&later, nil); err != nil {
		t.Fatal(err)
	}
	s = hintStore(t, e, &counter{}, 1<<30)
	if _, _, err := s.HintPage(2, 1, nil, 9, 1<<20); kv.KindOf(err) != kv.KindWrongVersion || s.Hints()[0].Keys != 3 {
		t.Errorf("a hint of a later release: %v, counted %+v", err, s.Hints())
	}
}
