package storagetest

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

func testDurable(t *testing.T, e storage.Engine) {
	var acks []*ack
	for i := range 500 {
		a := newAck()
		var b storage.Batch
		b.Set(key(p1, numbered(i)), []byte(numbered(i)))
		if err := e.Apply(&b, a); err != nil {
			t.Fatal(err)
		}
		// Visible at once, durable later.
		wantValue(t, e, key(p1, numbered(i)), numbered(i))
		acks = append(acks, a)
	}
	for i, a := range acks {
		if err := a.wait(); err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
	}
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
}

func testDurableEmptyBatch(t *testing.T, e storage.Engine) {
	set(t, e, key(p1, "k"), "v")
	a := newAck()
	if err := e.Apply(new(storage.Batch), a); err != nil {
		t.Fatal(err)
	}
	if err := a.wait(); err != nil {
		t.Fatal(err)
	}
	apply(t, e, new(storage.Batch))
	wantScan(t, e, p1, nil, pair{"k", "v"})
}

// testDurableAtClose closes an engine with batches on their way.
func testDurableAtClose(t *testing.T, e storage.Engine) {
	var acks []*ack
	for i := range 100 {
		a := newAck()
		var b storage.Batch
		b.Set(key(p1, numbered(i)), []byte("v"))
		if err := e.Apply(&b, a); err != nil {
			t.Fatal(err)
		}
		acks = append(acks, a)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for i, a := range acks {
		if !a.called() {
			t.Fatalf("the Waiter of batch %d was not called before Close returned", i)
		}
		if err := a.wait(); err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
}

func testStats(t *testing.T, e storage.Engine) {
	before := e.Stats()
	for i := range 200 {
		set(t, e, key(p1, numbered(i)), "a value of some length")
	}
	a := newAck()
	var b storage.Batch
	b.Set(key(p1, "last"), nil)
	if err := e.Apply(&b, a); err != nil {
		t.Fatal(err)
	}
	if err := a.wait(); err != nil {
		t.Fatal(err)
	}
	s := e.Stats()
	// An estimate may be off by half, not by more, while nothing is overwritten.
	if n := s.Keys - before.Keys; n < 100 || n > 400 {
		t.Errorf("Keys is %d for 201 keys", n)
	}
	if s.MemoryBytes == 0 {
		t.Error("MemoryBytes is 0")
	}
	if s.Refused != 0 {
		t.Errorf("Refused is %d", s.Refused)
	}
	if s.Syncs < before.Syncs || s.Compactions < before.Compactions || s.Stalls < before.Stalls {
		t.Errorf("a counter went back: %+v, then %+v", before, s)
	}
}

func testClosed(t *testing.T, e storage.Engine) {
	k := key(p1, "k")
	set(t, e, k, "v")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	dst := []byte("dst")
	got, found, err := e.Get(k, dst)
	wantKind(t, err, kv.KindClosed)
	if found || string(got) != "dst" {
		t.Errorf("Get = %q, %v, want dst as it was", got, found)
	}
	var b storage.Batch
	b.Set(k, []byte("v"))
	a := newAck()
	wantKind(t, e.Apply(&b, a), kv.KindClosed)
	wantKind(t, e.Apply(&b, nil), kv.KindClosed)
	if a.called() {
		t.Error("the Waiter of a refused batch was called")
	}
	wantKind(t, e.Scan(p1, nil, func(_, _ []byte) bool {
		t.Error("a closed engine shows a key")
		return true
	}), kv.KindClosed)
	wantKind(t, dropAll(e, p1), kv.KindClosed)
	wantKind(t, e.Sync(), kv.KindClosed)
	wantKind(t, e.Close(), kv.KindClosed)
	e.Stats() // works still
}
