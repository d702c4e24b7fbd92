package replica

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

func TestRecordRoundTrip(t *testing.T) {
	own := vclock.Own{Actor: vclock.Actor{Node: 3, Birth: 4}, Counter: 5}
	o, _, _, err := object.Put(nil, object.Object{}, object.Write{Own: own, Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []vclock.Own{own, {}} {
		b := append(appendRecordHeader(nil, own, 7), o.Bytes()...)
		rec, err := parseRecord(b)
		if err != nil || rec.own != own || rec.digest != 7 || !bytes.Equal(rec.obj.Bytes(), o.Bytes()) {
			t.Errorf("%v comes back as %v, %v", own, rec.own, err)
		}
	}
	k := kv.AppendKey(nil, "b", []byte{0, 255})
	engineKey := appendDataKey(nil, 259, k)
	if got, ok := dataKey(engineKey); !ok || !bytes.Equal(got, k) {
		t.Errorf("key %x comes back as %x", k, got)
	}
	engineKey[4]++
	if _, ok := dataKey(engineKey); ok {
		t.Error("a key stands at another's position")
	}
}

func FuzzRecord(f *testing.F) {
	own := vclock.Own{Actor: vclock.Actor{Node: 3, Birth: 4}, Counter: 5}
	o, buf, _, err := object.Put(appendRecordHeader(nil, own, 7), object.Object{}, object.Write{Own: own, Value: []byte("v")})
	if err != nil || o.Len() != 1 {
		f.Fatal(err)
	}
	f.Add(buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := parseRecord(b)
		switch {
		case err != nil && kv.KindOf(err) != kv.KindCorrupt && kv.KindOf(err) != kv.KindWrongVersion:
			t.Fatal(err)
		case err == nil && !bytes.Equal(append(appendRecordHeader(nil, rec.own, rec.digest), rec.obj.Bytes()...), b):
			t.Fatalf("%x is not the encoding of what it is read as", b)
		}
	})
}
