package replica

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// testRing returns a ring of the first n nodes, of which one owns a partition.
func testRing(t testing.TB, n int) *ring.Ring {
	t.Helper()
	var nodes []ring.Node
	for i := range n {
		nodes = append(nodes, ring.Node{ID: kv.NodeID(i + 1), Weight: 1})
	}
	r, err := ring.Claim(nil, ring.Params{N: 1, R: 1, W: 1, Q: 8}, 7, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answers is a Responder that keeps what it is sent, as one line each.
type answers struct{ lines []string }

// Respond implements wire.Responder.
func (a *answers) Respond(id uint64, t wire.Type, f wire.Flags, m wire.Appender) {
	b := m.AppendTo(nil)
	if len(b) != m.Size() {
		panic("a message's Size is wrong")
	}
	line := fmt.Sprintf("%d %v", id, t)
	switch {
	case f&wire.FlagError != 0:
		err := wire.ParseError(b)
		line += fmt.Sprintf(" error %v applied %v", kv.KindOf(err), kv.AppliedOf(err))
	case f&wire.FlagInterim != 0:
		line += fmt.Sprintf(" interim %x", b)
	default:
		line += fmt.Sprintf(" %x", b)
	}
	a.lines = append(a.lines, line)
}

// ask has s serve one request, and returns the answers to it.
func ask(s *Store, t wire.Type, epoch uint64, payload []byte) []string {
	var a answers
	s.Handle(wire.Request{Type: t, Level: kv.LevelOf(epoch), Payload: payload, Reply: wire.Reply{To: &a, ID: 9, Type: t}})
	return a.lines
}

func wantLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestHandleRead(t *testing.T) {
	r := testRing(t, 1)
	s, e := newStore(t, r)
	k, absent := kv.AppendKey(nil, "b", []byte("k")), kv.AppendKey(nil, "b", []byte("absent"))
	corrupt := kv.AppendKey(nil, "b", []byte("corrupt"))
	o := mustPut(t, s, r.PartitionOf(k), k, object.Write{Value: []byte("v")})
	var b storage.Batch
	b.Set(appendDataKey(nil, r.PartitionOf(corrupt), corrupt), []byte("nonsense"))
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	read := func(have uint64, k kv.Key) []byte { return (&wire.ReplicaRead{Have: have, Key: k}).AppendTo(nil) }
	name := "9 " + wire.TypeReplicaRead.String()
	whole := fmt.Sprintf("%s %02x%x", name, wire.CopyObject, o.Bytes())
	for _, c := range []struct {
		what    string
		payload []byte
		want    string
	}{
		{"the object", read(0, k), whole},
		{"another version", read(object.VersionHash(o)+1, k), whole},
		{"the same version", read(object.VersionHash(o), k), fmt.Sprintf("%s %02x", name, wire.CopySame)},
		{"an absent key", read(0, absent), fmt.Sprintf("%s %02x", name, wire.CopyAbsent)},
		{"an absent key, of which the sender has a version", read(5, absent), fmt.Sprintf("%s %02x", name, wire.CopyAbsent)},
		{"a damaged record", read(0, corrupt), name + " error corrupt applied no"},
		{"a malformed request", []byte("x"), name + " error invalid applied no"},
	} {
		wantLines(t, c.what, ask(s, wire.TypeReplicaRead, 7, c.payload), c.want)
	}
}

func TestHandlePut(t *testing.T) {
	r := testRing(t, 1)
	k := kv.AppendKey(nil, "b", []byte("k"))
	p := r.PartitionOf(k)
	donor, _ := newStore(t, r)
	o := mustPut(t, donor, p, k, object.Write{Value: []byte("v")})
	put := func(ack wire.Ack, k kv.Key, b []byte) []byte {
		return (&wire.ReplicaPut{Ack: ack, Key: k, Object: b}).AppendTo(nil)
	}
	name := "9 " + wire.TypeReplicaPut.String()
	for _, c := range []struct {
		what    string
		payload []byte
		stored  bool
		want    []string
	}{
		{"applied", put(wire.AckApplied, k, o.Bytes()), true, []string{name + " 01"}},
		{"durable", put(wire.AckDurable, k, o.Bytes()), true, []string{name + " 02"}},
		// The memory engine is durable at once, so that answer comes first.
		{"both", put(wire.AckBoth, k, o.Bytes()), true, []string{name + " 02", name + " interim 01"}},
		{"no object", put(wire.AckApplied, k, nil), false, []string{name + " error invalid applied no"}},
		{"a cut object", put(wire.AckDurable, k, o.Bytes()[:20]), false, []string{name + " error invalid applied no"}},
		{"a malformed request", put(wire.AckBoth+1, k, o.Bytes()), false, []string{name + " error invalid applied no"}},
	} {
		s, _ := newStore(t, r)
		wantLines(t, c.what, ask(s, wire.TypeReplicaPut, 7, c.payload), c.want...)
		if got := mustRead(t, s, p, k); bytes.Equal(got.Bytes(), o.Bytes()) != c.stored {
			t.Errorf("%s: stored %x", c.what, got.Bytes())
		}
	}
	s, e := newStore(t, r)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for _, ack := range []wire.Ack{wire.AckApplied, wire.AckDurable, wire.AckBoth} {
		wantLines(t, "an engine that is closed", ask(s, wire.TypeReplicaPut, 7, put(ack, k, o.Bytes())), name+" error closed applied no")
	}
}

// TestDurableFailure: when the fsync fails, whoever waits for it is told that
// nobody knows.
func TestDurableFailure(t *testing.T) {
	r := testRing(t, 1)
	k := kv.AppendKey(nil, "b", []byte("k"))
	donor, _ := newStore(t, r)
	o := mustPut(t, donor, r.PartitionOf(k), k, object.Write{Value: []byte("v")})
	s, e := newStore(t, r)
	s.engine = unsyncedEngine{e}
	m := wire.ReplicaPut{Ack: wire.AckBoth, Key: k, Object: o.Bytes()}
	name := "9 " + wire.TypeReplicaPut.String()
	wantLines(t, "a failed fsync", ask(s, wire.TypeReplicaPut, 7, m.AppendTo(nil)),
		name+" error storage applied unknown", name+" interim 01")
}

// unsyncedEngine applies every batch and makes none durable.
type unsyncedEngine struct{ storage.Engine }

func (e unsyncedEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	if err := e.Engine.Apply(b, nil); err != nil || w == nil {
		return err
	}
	w.Durable(&kv.Error{Op: "sync", Kind: kv.KindStorage, Applied: kv.AppliedUnknown})
	return nil
}

func TestHandleRings(t *testing.T) {
	r := testRing(t, 2)
	s, _ := newStore(t, r)
	var own, other kv.Key
	for i := 0; own == nil || other == nil; i++ {
		k := kv.AppendKey(nil, "b", fmt.Append(nil, i))
		if r.Owns(r.PartitionOf(k), self) {
			own = k
		} else {
			other = k
		}
	}
	name := "9 " + wire.TypeReplicaRead.String()
	served, stale := name+" 00", name+" error stale ring applied no"
	for _, c := range []struct {
		what  string
		key   kv.Key
		epoch uint64
		want  string
	}{
		{"an owner serves", own, 7, served},
		{"also who knows an older ring", own, 6, served},
		{"or a newer one", own, 8, served},
		{"no owner in a newer ring than the sender's refuses", other, 6, stale},
		{"and in the sender's own", other, 7, stale},
		{"and when the sender knows more", other, 8, served},
	} {
		m := wire.ReplicaRead{Key: c.key}
		wantLines(t, c.what, ask(s, wire.TypeReplicaRead, c.epoch, m.AppendTo(nil)), c.want)
		put := wire.ReplicaPut{Ack: wire.AckApplied, Key: c.key}
		refused := slices.ContainsFunc(ask(s, wire.TypeReplicaPut, c.epoch, put.AppendTo(nil)), func(line string) bool {
			return line == "9 "+wire.TypeReplicaPut.String()+" error stale ring applied no"
		})
		if refused != (c.want == stale) {
			t.Errorf("%s: a put is refused as stale: %v", c.what, refused)
		}
	}
	none, _ := newStore(t, nil)
	m := wire.ReplicaRead{Key: own}
	wantLines(t, "without a ring", ask(none, wire.TypeReplicaRead, 7, m.AppendTo(nil)), name+" error unavailable applied no")
	wantLines(t, "another request", ask(s, wire.TypePing, 7, nil), "9 "+wire.TypePing.String()+" error invalid applied no")
}

// TestListKeys lists keys of any bytes over several partitions, page by page.
func TestListKeys(t *testing.T) {
	r := testRing(t, 1)
	rapid.Check(t, func(rt *rapid.T) {
		s, _ := newStore(t, r)
		var want []string
		users := rapid.SliceOfNDistinct(rapid.SliceOfN(rapid.ByteRange(254, 255), 1, 6), 0, 30,
			func(b []byte) string { return string(b) }).Draw(rt, "keys")
		for _, user := range users {
			k := kv.AppendKey(nil, "b", user)
			w := object.Write{Value: []byte("v")}
			if rapid.IntRange(0, 3).Draw(rt, "deleted") == 0 {
				w = object.Write{Deleted: true}
			} else {
				want = append(want, string(user))
			}
			mustPut(t, s, r.PartitionOf(k), k, w)
			for _, other := range []string{"a", "bb", "c"} {
				k := kv.AppendKey(nil, other, user)
				mustPut(t, s, r.PartitionOf(k), k, object.Write{Value: []byte("v")})
			}
		}
		got := listAll(rt, s, "b", r.Params().Q)
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			rt.Fatalf("listed %q, want %q", got, want)
		}
	})
}

// listAll lists a bucket as a coordinator does.
func listAll(t interface{ Fatalf(string, ...any) }, s *Store, bucket string, q int) []string {
	m := wire.ListKeys{Bucket: []byte(bucket)}
	for p := range q {
		m.Partitions = append(m.Partitions, kv.Partition(p))
	}
	var got []string
	for len(m.Partitions) > 0 {
		page, err := s.KeysPage(unplanned, m)
		if err != nil {
			t.Fatalf("list keys: %v", err)
		}
		if page.Done == 0 && len(page.Keys) == 0 {
			t.Fatalf("a page without progress")
		}
		if back, err := wire.ParseKeysPage(page.AppendTo(nil)); err != nil || len(back.Keys) != len(page.Keys) {
			t.Fatalf("the page cannot be sent: %v", err)
		}
		for _, k := range page.Keys {
			got = append(got, string(k))
		}
		m.Partitions, m.After = m.Partitions[page.Done:], nil
		if page.Partial {
			m.After = page.Keys[len(page.Keys)-1]
		}
	}
	return got
}

// TestListKeysPages fills more than one page: within a partition, and so that
// pages end with a partition.
func TestListKeysPages(t *testing.T) {
	r := testRing(t, 1)
	s, _ := newStore(t, r)
	const n = 300
	want := map[string]bool{}
	for i := range n {
		user := append(fmt.Appendf(nil, "%04d", i), make([]byte, kv.MaxKey-4)...)
		k := kv.AppendKey(nil, "b", user)
		mustPut(t, s, r.PartitionOf(k), k, object.Write{Value: []byte("v")})
		want[string(user)] = true
	}
	for _, k := range listAll(t, s, "b", r.Params().Q) {
		if !want[k] {
			t.Fatalf("%q is listed twice, or was never put", k[:4])
		}
		delete(want, k)
	}
	if len(want) != 0 {
		t.Errorf("%d of %d keys are missing", len(want), n)
	}
	m := wire.ListKeys{Bucket: []byte("b")}
	for p := range r.Params().Q {
		m.Partitions = append(m.Partitions, kv.Partition(p))
	}
	page, err := s.KeysPage(unplanned, m)
	if err != nil || !page.Partial || len(page.Keys) != wire.MaxKeysPage/(kv.MaxKey+2)+1 {
		t.Errorf("a full page has %d keys, partial %v, %v", len(page.Keys), page.Partial, err)
	}
}

func TestListKeysRefuses(t *testing.T) {
	r := testRing(t, 1)
	s, e := newStore(t, r)
	k := kv.AppendKey(nil, "bad", []byte("k"))
	var b storage.Batch
	b.Set(appendDataKey(nil, 0, k), []byte("nonsense"))
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	list := func(bucket string, p kv.Partition) []byte {
		return (&wire.ListKeys{Bucket: []byte(bucket), Partitions: []kv.Partition{p}}).AppendTo(nil)
	}
	name := "9 " + wire.TypeListKeys.String()
	for _, c := range []struct {
		what    string
		payload []byte
		want    string
	}{
		{"an empty bucket's keys", list("b", 7), name + " 0000000100"},
		{"past the last partition", list("b", 8), name + " error invalid applied no"},
		{"a damaged record, which is left out", list("bad", 0), name + " 0000000100"},
		{"a malformed request", nil, name + " error invalid applied no"},
	} {
		wantLines(t, c.what, ask(s, wire.TypeListKeys, 7, c.payload), c.want)
	}
	none, _ := newStore(t, nil)
	wantLines(t, "without a ring", ask(none, wire.TypeListKeys, 7, list("b", 0)), name+" error unavailable applied no")
}

// TestHandleFloors: an answer brings the floor where it is another one than the
// asker's; copies that differ only in what was reaped are the same; and a put
// under the receiver's own floor brings what its sender has seen.
func TestHandleFloors(t *testing.T) {
	r := testRing(t, 1)
	s, _ := newStore(t, r)
	k := kv.AppendKey(nil, "b", []byte("k"))
	p := r.PartitionOf(k)
	o := mustPut(t, s, p, k, object.Write{Value: []byte("v")})
	mustPut(t, s, p, k, object.Write{Deleted: true, Context: object.ContextOf(o)})
	other := mustPut(t, s, p, k, object.Write{Value: []byte("w")})
	if err := s.RaiseFloor([]kv.Partition{p}, selfFloor(2)); err != nil {
		t.Fatal(err)
	}
	f, version := s.Floor(p)
	read := func(have, floor uint64) []byte {
		return (&wire.ReplicaRead{Have: have, Floor: floor, Key: k}).AppendTo(nil)
	}
	answer := func(c wire.ReplicaCopy) string {
		return fmt.Sprintf("9 %v %x", wire.TypeReplicaRead, c.AppendTo(nil))
	}
	for _, c := range []struct {
		what    string
		payload []byte
		want    wire.ReplicaCopy
	}{
		{"under the same floor", read(0, version), wire.ReplicaCopy{Copy: wire.CopyObject, Object: other.Bytes()}},
		{"under none", read(0, 0), wire.ReplicaCopy{Copy: wire.CopyObject, OtherFloor: true, Floor: f, Object: other.Bytes()}},
		{"of the same digest", read(object.Digest(other, f), version), wire.ReplicaCopy{Copy: wire.CopySame}},
		{"of the same digest under none", read(object.Digest(other, f), 0), wire.ReplicaCopy{Copy: wire.CopySame, OtherFloor: true, Floor: f}},
	} {
		wantLines(t, c.what, ask(s, wire.TypeReplicaRead, 7, c.payload), answer(c.want))
	}
	// A sender under the same floor that has not o has seen it and what became
	// of it: s, which has o still, drops it.
	late, _ := newStore(t, r)
	if err := late.Merge(p, k, o, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := late.RaiseFloor([]kv.Partition{p}, selfFloor(2)); err != nil {
		t.Fatal(err)
	}
	donor := mustOpenAs(t, 2)
	unrelated := mustPut(t, donor, p, k, object.Write{Value: []byte("x")})
	put := func(floor uint64) []byte {
		return (&wire.ReplicaPut{Ack: wire.AckApplied, Floor: floor, Key: k, Object: unrelated.Bytes()}).AppendTo(nil)
	}
	for _, c := range []struct {
		floor    uint64
		siblings int
	}{{0, 2}, {version + 1, 2}, {version, 1}} {
		ask(late, wire.TypeReplicaPut, 7, put(c.floor))
		if got := mustRead(t, late, p, k).Len(); got != c.siblings {
			t.Errorf("after a put under floor %x there are %d siblings, want %d", c.floor, got, c.siblings)
		}
	}
}

// mustOpenAs returns a Store of node id on an engine of its own.
func mustOpenAs(t testing.TB, id kv.NodeID) *Store {
	_, e := newStore(t, nil)
	return mustOpen(t, 0, id, e, &sequence{id: id, reserved: new(uint64)}, rings{testRing(t, 1)}, 1)
}

// TestStandInWithDamagedCopy: what a node keeps for others it reads out, also
// when its own copy of the partition is damaged.
func TestStandInWithDamagedCopy(t *testing.T) {
	r := testRing(t, 1)
	s, _ := newStore(t, r)
	k := kv.AppendKey(nil, "b", []byte("k"))
	p := r.PartitionOf(k)
	o := mustPut(t, mustOpenAs(t, 2), p, k, object.Write{Value: []byte("v")})
	if err := s.MergeHint(3, p, k, o, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkDamaged(p, errDamaged(p)); err != nil {
		t.Fatal(err)
	}
	name := "9 " + wire.TypeReplicaRead.String()
	whole := wire.ReplicaCopy{Copy: wire.CopyObject, Object: o.Bytes()}
	for hints, want := range map[bool]string{true: fmt.Sprintf("%s %x", name, whole.AppendTo(nil)), false: name + " error corrupt applied no"} {
		m := wire.ReplicaRead{Hints: hints, Key: k}
		wantLines(t, fmt.Sprintf("hints %v", hints), ask(s, wire.TypeReplicaRead, 7, m.AppendTo(nil)), want)
	}
}
