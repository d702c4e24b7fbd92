package storagetest

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/storage"
)

func testBatchOrder(t *testing.T, e storage.Engine) {
	a, b, c := key(p1, "a"), key(p1, "b"), key(p1, "c")
	set(t, e, c, "old")
	var batch storage.Batch
	batch.Set(a, []byte("first"))
	batch.Set(a, []byte("second"))
	batch.Set(b, []byte("set, then deleted"))
	batch.Delete(b)
	batch.Delete(c)
	batch.Set(c, []byte("deleted, then set"))
	apply(t, e, &batch)
	wantValue(t, e, a, "second")
	wantNone(t, e, b)
	wantValue(t, e, c, "deleted, then set")
}

func testBatchReuse(t *testing.T, e storage.Engine) {
	var b storage.Batch
	for i := range 100 {
		b.Reset()
		b.Set(key(p1, numbered(i)), []byte(numbered(i)))
		apply(t, e, &b)
	}
	for i := range 100 {
		wantValue(t, e, key(p1, numbered(i)), numbered(i))
	}
	// A batch that is not reset can be applied again.
	set(t, e, key(p1, numbered(99)), "changed")
	apply(t, e, &b)
	wantValue(t, e, key(p1, numbered(99)), numbered(99))
}

func testBatchAcrossPrefixes(t *testing.T, e storage.Engine) {
	var b storage.Batch
	for i := range 300 {
		b.Set(key(storage.Prefix{byte(i % 3), byte(i / 7), byte(i)}, "k"), []byte(numbered(i)))
	}
	apply(t, e, &b)
	for i := range 300 {
		wantValue(t, e, key(storage.Prefix{byte(i % 3), byte(i / 7), byte(i)}, "k"), numbered(i))
	}
}

// testOwnership changes every slice after the call that borrowed it.
func testOwnership(t *testing.T, e storage.Engine) {
	k, v := key(p1, "key"), []byte("value")
	var b storage.Batch
	b.Set(k, v)
	a := newAck()
	if err := e.Apply(&b, a); err != nil {
		t.Fatal(err)
	}
	// Apply has returned: the slices are ours again, also before the batch is
	// durable.
	copy(k[storage.PrefixLen:], "xxx")
	copy(v, "xxxxx")
	b.Reset()
	if err := a.wait(); err != nil {
		t.Fatal(err)
	}
	wantValue(t, e, key(p1, "key"), "value")
	wantNone(t, e, key(p1, "xxx"))

	got, _, err := e.Get(key(p1, "key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	copy(got, "yyyyy")
	wantValue(t, e, key(p1, "key"), "value")

	// What Get returned does not change with the key, nor in a second Get.
	first, _, _ := e.Get(key(p1, "key"), nil)
	set(t, e, key(p1, "key"), "other")
	if second, _, _ := e.Get(key(p1, "key"), nil); string(first) != "value" || string(second) != "other" {
		t.Errorf("the results of two Gets are %q and %q", first, second)
	}
}
