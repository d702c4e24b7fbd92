package storagetest

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

func testGet(t *testing.T, e storage.Engine) {
	k := key(p1, "cart")
	wantNone(t, e, k)
	set(t, e, k, "apples")
	wantValue(t, e, k, "apples")
	wantNone(t, e, key(p1, "car"))
	wantNone(t, e, key(p1, "cart\x00"))
	wantNone(t, e, key(p2, "cart"))

	set(t, e, k, "pears and plums")
	wantValue(t, e, k, "pears and plums")
	set(t, e, k, "figs")
	wantValue(t, e, k, "figs")
	set(t, e, k, "")
	wantValue(t, e, k, "")

	var b storage.Batch
	b.Delete(k)
	apply(t, e, &b)
	wantNone(t, e, k)
	apply(t, e, &b)
	wantNone(t, e, k)
}

func testGetAppends(t *testing.T, e storage.Engine) {
	k := key(p1, "k")
	set(t, e, k, "value")
	room := make([]byte, 3, 64)
	copy(room, "abc")
	got, _, err := e.Get(k, room)
	if err != nil || string(got) != "abcvalue" {
		t.Errorf("Get = %q, %v, want abcvalue", got, err)
	}
	if &got[0] != &room[0] {
		t.Error("Get did not use the room of dst")
	}
	if got, found, err := e.Get(key(p1, "none"), room); err != nil || found || string(got) != "abc" {
		t.Errorf("Get of no key = %q, %v, %v, want dst as it was", got, found, err)
	}
	tight := []byte("abc")[:3:3]
	if got, _, err := e.Get(k, tight); err != nil || string(got) != "abcvalue" || string(tight) != "abc" {
		t.Errorf("Get without room = %q, %v; dst is %q", got, err, tight)
	}
}

func testGetDoesNotAllocate(t *testing.T, e storage.Engine) {
	defer closeOnce(t, e)
	k := key(p1, "k")
	set(t, e, k, strings.Repeat("v", 1024))
	dst := make([]byte, 0, 2048)
	// The average is rounded down: a pool may be emptied once in the runs.
	if n := testing.AllocsPerRun(1000, func() { dst, _, _ = e.Get(k, dst[:0]) }); n >= 1 {
		t.Errorf("Get allocates %v times", n)
	}
}

func testAnyBytes(t *testing.T, e storage.Engine) {
	var want []pair
	for c := range 256 {
		for _, rest := range []string{string([]byte{byte(c)}), string([]byte{byte(c), 0}), string([]byte{byte(c), 255})} {
			set(t, e, key(p1, rest), "v"+rest)
			want = append(want, pair{rest, "v" + rest})
		}
	}
	set(t, e, p1[:], "the prefix alone")
	want = append([]pair{{"", "the prefix alone"}}, want...)
	for _, w := range want {
		wantValue(t, e, key(p1, w.Key), w.Value)
	}
	wantScan(t, e, p1, nil, want...)

	for _, p := range []storage.Prefix{{0, 0, 0}, {0, 0, 255}, {255, 255, 255}} {
		set(t, e, key(p, "\xff\xff\xff\xff"), "v")
		wantScan(t, e, p, nil, pair{"\xff\xff\xff\xff", "v"})
	}
}

func testBigValues(t *testing.T, e storage.Engine) {
	sizes := []int{511, 512, 513, 1 << 20, 1<<20 + 1, 9 << 20}
	value := func(size int) string { return strings.Repeat(string(rune('a'+size%7)), size) }
	for i, size := range sizes {
		set(t, e, key(p1, numbered(i)), value(size))
	}
	for i, size := range sizes {
		wantValue(t, e, key(p1, numbered(i)), value(size))
	}
	i := 0
	err := e.Scan(p1, nil, func(_, v []byte) bool {
		if string(v) != value(sizes[i]) {
			t.Errorf("scan shows %d bytes for the value of %d", len(v), sizes[i])
		}
		i++
		return true
	})
	if err != nil || i != len(sizes) {
		t.Errorf("scan showed %d of %d values: %v", i, len(sizes), err)
	}
}

func testLimits(t *testing.T, e storage.Engine) {
	longest := bytes.Repeat([]byte{7}, storage.MaxKey)
	set(t, e, longest, "v")
	wantValue(t, e, longest, "v")

	var b storage.Batch
	k := key(p1, "k")
	b.Set(k, []byte("v"))
	b.Set(append(longest, 7), nil)
	a := newAck()
	wantKind(t, e.Apply(&b, a), kv.KindTooLarge)
	wantNone(t, e, k)
	if a.called() {
		t.Error("the Waiter of a refused batch was called")
	}
	if _, found, err := e.Get(append(longest, 7), nil); found || err != nil {
		t.Errorf("Get of a key past the limit: %v, %v", found, err)
	}
}
