package storage

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestPrefixParts(t *testing.T) {
	p := NewPrefix(SpaceHints, 0x0102)
	if p.Space() != SpaceHints || p.Partition() != 0x0102 {
		t.Errorf("prefix %v: space %d, partition %d", p, p.Space(), p.Partition())
	}
	if got := PrefixOf([]byte{3, 1, 2, 9, 9}); got != p {
		t.Errorf("PrefixOf = %v, want %v", got, p)
	}
	low, high := NewPrefix(SpaceData, 255), NewPrefix(SpaceData, 256)
	if bytes.Compare(low[:], high[:]) >= 0 {
		t.Error("partition 255 is not stored before 256")
	}
}

func TestPrefixNext(t *testing.T) {
	for _, c := range []struct {
		p, next Prefix
		ok      bool
	}{
		{Prefix{2, 0, 0}, Prefix{2, 0, 1}, true},
		{Prefix{2, 0, 255}, Prefix{2, 1, 0}, true},
		{Prefix{2, 255, 255}, Prefix{3, 0, 0}, true},
		{Prefix{255, 255, 255}, Prefix{}, false},
	} {
		if next, ok := c.p.Next(); next != c.next || ok != c.ok {
			t.Errorf("%v.Next() = %v, %v, want %v, %v", c.p, next, ok, c.next, c.ok)
		}
	}
}

func TestPrefixRange(t *testing.T) {
	for _, c := range []struct {
		p  Prefix
		to []byte
	}{
		{Prefix{2, 0, 0}, []byte{2, 0, 1}},
		{Prefix{2, 255, 255}, []byte{3, 0, 0}},
		{Prefix{255, 255, 255}, nil},
	} {
		from, to := c.p.Range()
		if !bytes.Equal(from, c.p[:]) || !bytes.Equal(to, c.to) || (to == nil) != (c.to == nil) {
			t.Errorf("%v.Range() = %v, %v, want %v", c.p, from, to, c.to)
		}
	}
}

func TestBatchKeepsOrderAndCounts(t *testing.T) {
	var b Batch
	b.Set([]byte("aaak"), []byte("value"))
	b.Delete([]byte("aaa"))
	if b.Len() != 2 || b.Size() != 12 {
		t.Errorf("Len %d, Size %d, want 2 and 12", b.Len(), b.Size())
	}
	want := []Op{{Key: []byte("aaak"), Value: []byte("value")}, {Key: []byte("aaa"), Delete: true}}
	if diff := cmp.Diff(want, b.Ops()); diff != "" {
		t.Errorf("ops (-want +got):\n%s", diff)
	}
	room := b.ops
	b.Reset()
	if b.Len() != 0 || b.Size() != 0 {
		t.Errorf("after Reset: Len %d, Size %d", b.Len(), b.Size())
	}
	if room[0].Key != nil || room[0].Value != nil {
		t.Error("Reset still holds a borrowed slice")
	}
}

func TestBatchReusedDoesNotAllocate(t *testing.T) {
	var b Batch
	key, value := []byte("aaak"), []byte("value")
	allocs := testing.AllocsPerRun(100, func() {
		b.Reset()
		b.Set(key, value)
		b.Delete(key)
	})
	if allocs != 0 {
		t.Errorf("a reused batch allocates %v times", allocs)
	}
}

func TestBatchLimits(t *testing.T) {
	key := make([]byte, MaxKey+1)
	value := make([]byte, MaxBatch)
	for _, c := range []struct {
		name       string
		key, value []byte
		tooLarge   bool
	}{
		{"key at the limit", key[:MaxKey], nil, false},
		{"key one past it", key[:MaxKey+1], nil, true},
		{"batch at the limit", key[:PrefixLen], value[:MaxBatch-PrefixLen], false},
		{"batch one past it", key[:PrefixLen], value[:MaxBatch-PrefixLen+1], true},
	} {
		var b Batch
		b.Set(c.key, c.value)
		if err := b.Check(); (err != nil) != c.tooLarge || (err != nil && kv.KindOf(err) != kv.KindTooLarge) {
			t.Errorf("%s: %v", c.name, err)
		}
		b.Reset()
		if err := b.Check(); err != nil {
			t.Errorf("%s, after Reset: %v", c.name, err)
		}
	}
}

func TestBatchPanicsWithoutPrefix(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a key of two bytes was taken")
		}
	}()
	new(Batch).Delete([]byte("ab"))
}
