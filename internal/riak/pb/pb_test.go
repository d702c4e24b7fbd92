package pb

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
	"github.com/ringtaildb/ringtail/internal/riak/field"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// message builds a message of fields: numbers, flags, text, or messages.
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		num := field.Num(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = field.AppendUint(b, num, uint64(v))
		case bool:
			b = field.AppendBool(b, num, v)
		case string:
			b = field.AppendText(b, num, v)
		case []byte:
			b = field.AppendBytes(b, num, v)
		}
	}
	return b
}

var place = Place{Type: []byte("t"), Bucket: []byte("b"), Key: []byte("k")}

func TestParseGet(t *testing.T) {
	got, err := ParseGet(message(1, "b", 2, "k", 3, 4294967294, 4, 2, 5, true, 6, false, 7, "seen", 8, true, 9, true, 10, 99, 11, false, 12, 3, 13, "t", 99, "new"))
	want := Get{
		Place: place, R: One, PR: 2, BasicQuorum: Yes, NotFoundOK: No, IfModified: []byte("seen"), Head: true,
		DeletedVClock: true, Timeout: 99, Sloppy: No, NVal: 3,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	got, err = ParseGet(nil)
	if diff := cmp.Diff(Get{R: Default, PR: Default}, got); diff != "" || err != nil {
		t.Errorf("an empty one: %v (-want +got):\n%s", err, diff)
	}
}

func TestParsePut(t *testing.T) {
	value := message(1, "v", 2, "text/plain", 3, "utf-8", 4, "gzip", 6, message(1, "b", 2, "k", 3, "t"),
		7, 5, 9, message(1, "u", 2, "w"), 10, message(1, "i", 2, "7"), 12, 60)
	got, err := ParsePut(message(1, "b", 2, "k", 3, "seen", 4, value, 5, 1, 6, 0, 7, true, 8, 4294967292, 9, true, 10, true, 11, true, 12, 9, 13, true, 14, true, 15, 3, 16, "t"))
	want := Put{
		Place: place, VClock: []byte("seen"), W: 1, DW: 0, PW: All, ReturnBody: true, ReturnHead: true, IfNotModified: true, IfNoneMatch: true,
		Timeout: 9, AsIs: true, Sloppy: Yes, NVal: 3,
		Content: Content{Value: []byte("v"), ContentType: []byte("text/plain"), TTL: 60, Meta: content.Meta{
			Charset: []byte("utf-8"), Encoding: []byte("gzip"),
			Links:   []content.Link{{Bucket: []byte("b"), Key: []byte("k"), Tag: []byte("t")}},
			User:    []content.Pair{{Key: []byte("u"), Value: []byte("w"), HasValue: true}},
			Indexes: []content.Pair{{Key: []byte("i"), Value: []byte("7"), HasValue: true}},
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := ParsePut(message(1, "b")); kv.KindOf(err) != kv.KindInvalid || err == nil {
		t.Errorf("without a value: %v", err)
	}
}

func TestParseDel(t *testing.T) {
	got, err := ParseDel(message(1, "b", 2, "k", 3, 1, 4, "seen", 5, 2, 6, 3, 7, 1, 8, 2, 9, 3, 10, 9, 11, true, 12, 3, 13, "t"))
	want := Del{Place: place, VClock: []byte("seen"), RW: 1, R: 2, W: 3, PR: 1, PW: 2, DW: 3, Timeout: 9, Sloppy: Yes, NVal: 3}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestProps(t *testing.T) {
	n, ttl, one, three := uint32(3), uint32(60), One, Quorum(3)
	want := Props{
		NVal: &n, TTL: &ttl, AllowMult: Yes, LastWriteWins: No, BasicQuorum: Yes, NotFoundOK: No,
		R: &one, W: &three, DW: &three, RW: &one, PR: &three, PW: &one,
	}
	got, err := ParseProps(appendProps(nil, want))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, b := range map[string][]byte{
		"precommit": message(4, ""), "has_postcommit": message(7, true), "search": message(23, true), "search_index": message(25, "x"),
		"datatype": message(26, "map"), "consistent": message(27, true), "write_once": message(28, true), "backend": message(22, "x"),
	} {
		if p, err := ParseProps(b); err != nil || p.Lacking != name {
			t.Errorf("%s: %q, %v", name, p.Lacking, err)
		}
	}
	if p, err := ParseProps(message(5, false, 7, false, 8, message(1, "m"), 10, 5, 23, false, 24, 0)); err != nil || p.Lacking != "" {
		t.Errorf("what clients send back: %q, %v", p.Lacking, err)
	}
	set, err := ParseSetBucket(message(1, "b", 2, message(2, true), 3, "t"))
	if diff := cmp.Diff(SetProps{Place{Type: []byte("t"), Bucket: []byte("b")}, Props{AllowMult: Yes}}, set); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := ParseSetType(message(1, "t")); err == nil {
		t.Error("a request to set nothing is taken")
	}
}

func TestAppendValue(t *testing.T) {
	m := content.Meta{Charset: []byte("utf-8")}
	s := object.Sibling{
		Dot: vclock.Dot{Counter: 1}, Time: 1_700_000_000_123_456, Value: bytes.Repeat([]byte("v"), 300),
		ContentType: []byte("text/plain"), Meta: m.Encode(), Expires: 1_700_000_060_000,
	}
	whole := Value{Sibling: s}
	b := AppendValue(nil, whole)
	f := field.Read(b)
	if !f.Next() || f.Num != 1 {
		t.Fatalf("%x is no content", b)
	}
	body := f.Bytes()
	if f.Next() || f.Err() != nil {
		t.Fatalf("something follows the content: %v", f.Err())
	}
	c, err := parseContent(body)
	want := Content{Value: s.Value, ContentType: s.ContentType, Meta: m, TTL: 60}
	if diff := cmp.Diff(want, c); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := bytes.Count(body, message(7, 1_700_000_000, 8, 123_456)); n != 1 {
		t.Errorf("the time is missing from %x", body)
	}
	if head := AppendValue(nil, Value{Sibling: s, Head: true}); len(head) > len(b)-300 {
		t.Errorf("a head has %d bytes of %d", len(head), len(b))
	}
	gone := AppendValue(nil, Value{Sibling: object.Sibling{Deleted: true}})
	if !bytes.Contains(gone, message(11, true)) {
		t.Errorf("a tombstone is %x", gone)
	}
	s.ContentType, s.Expires = bytes.Repeat([]byte("t"), kv.MaxContentType), math.MaxUint64
	if _, err := parseContent(AppendValue(nil, Value{Sibling: s})[3:]); err != nil {
		t.Error(err)
	}
}

func TestFrames(t *testing.T) {
	b := AppendError(nil, "no", 1)
	b = AppendEmpty(b, PingResp)
	b = AppendServerInfo(b, "n1", "2")
	b = AppendClientID(b, []byte("id"))
	b = AppendPreflist(b, []Holder{{Partition: 3, Node: "n1", Primary: true}})
	var codes []Code
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint32(b))
		codes = append(codes, Code(b[4]))
		f := field.Read(b[HeadSize : 4+n])
		for f.Next() {
		}
		if f.Err() != nil {
			t.Errorf("message %d: %v", codes[len(codes)-1], f.Err())
		}
		b = b[4+n:]
	}
	if diff := cmp.Diff([]Code{ErrorResp, PingResp, GetServerInfoResp, GetClientIDResp, GetPreflistResp}, codes); diff != "" {
		t.Error(diff)
	}
}

// FuzzRequests: every parser takes what it is given, or says why not.
func FuzzRequests(f *testing.F) {
	f.Add(message(1, "b", 2, "k", 3, 1))
	f.Add(message(1, "b", 4, message(1, "v", 9, message(1, "u"))))
	f.Add(message(1, "b", 2, message(2, true, 15, 3)))
	f.Add([]byte{0x0b, 0x0b, 0x0b})
	parsers := []func([]byte) error{
		func(b []byte) error { _, err := ParseGet(b); return err },
		func(b []byte) error { _, err := ParsePut(b); return err },
		func(b []byte) error { _, err := ParseDel(b); return err },
		func(b []byte) error { _, err := ParseListBuckets(b); return err },
		func(b []byte) error { _, err := ParseListKeys(b); return err },
		func(b []byte) error { _, err := ParseBucket(b); return err },
		func(b []byte) error { _, err := ParsePreflist(b); return err },
		func(b []byte) error { _, err := ParseClientID(b); return err },
		func(b []byte) error { _, err := ParseSetBucket(b); return err },
		func(b []byte) error { _, err := ParseSetType(b); return err },
		func(b []byte) error { _, err := ParseGetType(b); return err },
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, parse := range parsers {
			if err := parse(b); err != nil && kv.KindOf(err) != kv.KindInvalid {
				t.Errorf("parser %d: %v", i, err)
			}
		}
	})
}
