package wire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Generators of what messages are made of; keys and buckets are of any bytes.
var (
	someBytes = rapid.SliceOfN(rapid.Byte(), 0, 40)
	someKey   = rapid.Custom(func(t *rapid.T) kv.Key {
		bucket := rapid.SliceOfN(rapid.Byte(), 1, kv.MaxBucket).Draw(t, "bucket")
		return kv.AppendKey(nil, string(bucket), rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "key"))
	})
	someGet = rapid.Custom(func(t *rapid.T) Get {
		return Get{
			Flags: RequestFlags(rapid.Byte().Draw(t, "flags")) & knownRequestFlags,
			R:     rapid.Int8().Draw(t, "r"), W: rapid.Int8().Draw(t, "w"), DW: rapid.Int8().Draw(t, "dw"),
			Key: someKey.Draw(t, "key"),
		}
	})
)

// message is a kind of message: how to draw one, and how to read it.
type message struct {
	name  string
	draw  func(*rapid.T) Appender
	parse func([]byte) (Appender, error)
}

// pointer makes a parser of messages one of Appenders.
func pointer[M any, P interface {
	*M
	Appender
}](parse func([]byte) (M, error)) func([]byte) (Appender, error) {
	return func(b []byte) (Appender, error) {
		m, err := parse(b)
		return P(&m), err
	}
}

var messages = []message{
	{"ReplicaRead", func(t *rapid.T) Appender {
		return &ReplicaRead{
			Have: rapid.Uint64().Draw(t, "have"), Floor: rapid.Uint64().Draw(t, "floor"),
			Hints: rapid.Bool().Draw(t, "hints"), Key: someKey.Draw(t, "key"),
		}
	}, pointer(ParseReplicaRead)},
	{"ReplicaCopy", func(t *rapid.T) Appender {
		m := &ReplicaCopy{Copy: Copy(rapid.IntRange(0, 2).Draw(t, "copy")), OtherFloor: rapid.Bool().Draw(t, "other floor")}
		if m.OtherFloor {
			m.Floor = someBytes.Draw(t, "floor")
		}
		if m.Copy == CopyObject {
			m.Object = someBytes.Draw(t, "object")
		}
		return m
	}, pointer(ParseReplicaCopy)},
	{"ReplicaPut", func(t *rapid.T) Appender {
		return &ReplicaPut{
			Ack: rapid.SampledFrom([]Ack{AckApplied, AckDurable, AckBoth}).Draw(t, "ack"),
			For: kv.NodeID(rapid.Uint64().Draw(t, "for")), Floor: rapid.Uint64().Draw(t, "floor"),
			Key: someKey.Draw(t, "key"), Object: someBytes.Draw(t, "object"),
		}
	}, pointer(ParseReplicaPut)},
	{"Ack", func(t *rapid.T) Appender {
		return rapid.SampledFrom([]Ack{AckApplied, AckDurable}).Draw(t, "ack")
	}, func(b []byte) (Appender, error) { return ParseAck(b) }},
	{"Get", func(t *rapid.T) Appender {
		m := someGet.Draw(t, "get")
		return &m
	}, pointer(ParseGet)},
	{"Put", func(t *rapid.T) Appender {
		m := &Put{
			Get: someGet.Draw(t, "get"), Context: someBytes.Draw(t, "context"),
			ContentType: someBytes.Draw(t, "type"), Value: someBytes.Draw(t, "value"),
		}
		if rapid.Bool().Draw(t, "beside") {
			m.Meta = someBytes.Draw(t, "meta")
			m.Life = kv.Lifetime{TTL: kv.TTL(rapid.Int64().Draw(t, "ttl")), At: kv.Expiry(rapid.Uint64().Draw(t, "at"))}
		}
		return m
	}, pointer(ParsePut)},
	{"Answer", func(t *rapid.T) Appender {
		return &Answer{Context: someBytes.Draw(t, "context"), Object: someBytes.Draw(t, "object")}
	}, pointer(ParseAnswer)},
	{"ListKeys", func(t *rapid.T) Appender {
		m := &ListKeys{Bucket: rapid.SliceOfN(rapid.Byte(), 0, kv.MaxBucket).Draw(t, "bucket"), After: someBytes.Draw(t, "after")}
		for _, p := range rapid.SliceOfN(rapid.Uint16(), 1, 20).Draw(t, "partitions") {
			m.Partitions = append(m.Partitions, kv.Partition(p))
		}
		return m
	}, pointer(ParseListKeys)},
	{"KeysPage", func(t *rapid.T) Appender {
		return &KeysPage{
			Done: int(rapid.Uint32().Draw(t, "done")), Partial: rapid.Bool().Draw(t, "partial"),
			Keys: rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, 40), 0, 9).Draw(t, "keys"),
		}
	}, pointer(ParseKeysPage)},
	{"RingQuery", func(t *rapid.T) Appender {
		return &RingQuery{Known: rapid.Uint64().Draw(t, "known")}
	}, pointer(ParseRingQuery)},
}

func TestMessagesRoundTrip(t *testing.T) {
	for _, kind := range messages {
		t.Run(kind.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := kind.draw(t)
				b := m.AppendTo([]byte("before"))
				if !bytes.HasPrefix(b, []byte("before")) || len(b) != len("before")+m.Size() {
					t.Fatalf("%d bytes are appended, Size says %d", len(b)-len("before"), m.Size())
				}
				got, err := kind.parse(b[len("before"):])
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(m, got, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("-sent +received:\n%s", diff)
				}
			})
		})
	}
}

// checkMessage fails unless b is refused with a fitting error, or is the one
// encoding of the message that it is read as.
func checkMessage(t interface{ Fatalf(string, ...any) }, kind message, b []byte) {
	m, err := kind.parse(b)
	switch {
	case err == nil && (m.Size() != len(b) || !bytes.Equal(m.AppendTo(nil), b)):
		t.Fatalf("%s: %x is read as %+v, whose encoding is %x", kind.name, b, m, m.AppendTo(nil))
	case err != nil && kv.KindOf(err) != kv.KindInvalid && kv.KindOf(err) != kv.KindTooLarge:
		t.Fatalf("%s: %x: %v", kind.name, b, err)
	}
}

// TestDamagedMessages cuts messages everywhere and changes them anywhere.
func TestDamagedMessages(t *testing.T) {
	for _, kind := range messages {
		t.Run(kind.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				b := kind.draw(t).AppendTo(nil)
				for i := range b {
					checkMessage(t, kind, b[:i])
				}
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= rapid.ByteMin(1).Draw(t, "change")
				checkMessage(t, kind, b)
			})
		})
	}
}

func TestMessagesRefused(t *testing.T) {
	key := kv.AppendKey(nil, "b", []byte("k"))
	long := kv.AppendKey(nil, "b", make([]byte, kv.MaxKey))
	longer := kv.AppendKey(nil, "b", make([]byte, kv.MaxKey+1))
	listed := func(n int) []byte {
		return (&ListKeys{Bucket: []byte("b"), Partitions: make([]kv.Partition, n)}).AppendTo(nil)
	}
	page := func(last int) []byte { // keys of MaxKeysPage in all, and one of last bytes
		m := KeysPage{Keys: slices.Repeat([][]byte{make([]byte, 1022)}, MaxKeysPage/1024)}
		m.Keys = append(m.Keys, make([]byte, last))
		return m.AppendTo(nil)
	}
	put := func(m Put) []byte { return m.AppendTo(nil) }
	for _, c := range []struct {
		name  string
		kind  string
		b     []byte
		want  kv.Kind
		taken bool
	}{
		{"the longest key", "ReplicaRead", (&ReplicaRead{Key: long}).AppendTo(nil), 0, true},
		{"one byte more", "ReplicaRead", (&ReplicaRead{Key: longer}).AppendTo(nil), kv.KindTooLarge, false},
		{"no key", "ReplicaRead", make([]byte, replicaReadHeader), kv.KindInvalid, false},
		{"neither with hints nor without", "ReplicaRead", append([]byte{2}, (&ReplicaRead{Key: key}).AppendTo(nil)[1:]...), kv.KindInvalid, false},
		{"the longest key", "ReplicaPut", (&ReplicaPut{Ack: AckBoth, Key: long}).AppendTo(nil), 0, true},
		{"one byte more", "ReplicaPut", (&ReplicaPut{Ack: AckBoth, Key: longer}).AppendTo(nil), kv.KindTooLarge, false},
		{"no acknowledgement", "ReplicaPut", (&ReplicaPut{Key: key}).AppendTo(nil), kv.KindInvalid, false},
		{"an unknown acknowledgement", "ReplicaPut", (&ReplicaPut{Ack: 4, Key: key}).AppendTo(nil), kv.KindInvalid, false},
		{"an unknown state", "ReplicaCopy", []byte{3}, kv.KindInvalid, false},
		{"an absent object", "ReplicaCopy", []byte{byte(CopyAbsent), 1}, kv.KindInvalid, false},
		{"a same object", "ReplicaCopy", []byte{byte(CopySame), 1}, kv.KindInvalid, false},
		{"an absent object under a floor", "ReplicaCopy", []byte{byte(CopyAbsent) | otherFloor, 0, 0, 0, 1, 7}, 0, true},
		{"a floor longer than the message", "ReplicaCopy", []byte{byte(CopyAbsent) | otherFloor, 0, 0, 0, 2, 7}, kv.KindInvalid, false},
		{"nothing", "ReplicaCopy", nil, kv.KindInvalid, false},
		{"both", "Ack", []byte{byte(AckBoth)}, kv.KindInvalid, false},
		{"two", "Ack", []byte{1, 1}, kv.KindInvalid, false},
		{"the longest key", "Get", (&Get{Key: long}).AppendTo(nil), 0, true},
		{"one byte more", "Get", (&Get{Key: longer}).AppendTo(nil), kv.KindTooLarge, false},
		{"an unknown flag", "Get", (&Get{Flags: knownRequestFlags + 1, Key: key}).AppendTo(nil), kv.KindInvalid, false},
		{"the longest key", "Put", put(Put{Get: Get{Key: long}}), 0, true},
		{"one byte more", "Put", put(Put{Get: Get{Key: longer}}), kv.KindTooLarge, false},
		{"a lifetime and meta that are none", "Put", append([]byte{byte(flagBeside)}, put(Put{Get: Get{Key: key}, Value: make([]byte, besideHeader)})[1:]...), kv.KindInvalid, false},
		{"a lifetime that is cut", "Put", append([]byte{byte(flagBeside)}, put(Put{Get: Get{Key: key}, Value: make([]byte, besideHeader-1)})[1:]...), kv.KindInvalid, false},
		{"a get with a lifetime", "Get", append([]byte{byte(flagBeside)}, (&Get{Key: key}).AppendTo(nil)[1:]...), kv.KindInvalid, false},
		{"an unknown flag", "Put", put(Put{Get: Get{Flags: 128, Key: key}}), kv.KindInvalid, false},
		{"a context longer than the message", "Put", append(put(Put{Get: Get{Key: key}})[:9], 255, 255, 255, 255, 0, 0), kv.KindInvalid, false},
		{"a context longer than the message", "Answer", []byte{255, 255, 255, 255}, kv.KindInvalid, false},
		{"all partitions", "ListKeys", listed(maxListed), 0, true},
		{"one more", "ListKeys", listed(maxListed + 1), kv.KindInvalid, false},
		{"no partition", "ListKeys", listed(0), kv.KindInvalid, false},
		{"half a partition", "ListKeys", append(listed(1), 0), kv.KindInvalid, false},
		{"the longest page", "KeysPage", page(kv.MaxKey), 0, true},
		{"an empty key", "KeysPage", page(0), kv.KindInvalid, false},
		{"half a page", "KeysPage", []byte{0, 0, 0, 0, 2}, kv.KindInvalid, false},
		{"one byte more", "KeysPage", page(kv.MaxKey + 1), kv.KindInvalid, false},
	} {
		for _, kind := range messages {
			if kind.name != c.kind {
				continue
			}
			_, err := kind.parse(c.b)
			if (err == nil) != c.taken || err != nil && kv.KindOf(err) != c.want {
				t.Errorf("%s, %s: %v", c.kind, c.name, err)
			}
		}
	}
}

// TestMessagesDoNotAllocate: the messages of every request are read and written
// in place.
func TestMessagesDoNotAllocate(t *testing.T) {
	key := kv.AppendKey(nil, "bucket", []byte("key"))
	room := make([]byte, 0, 1<<10)
	put := Put{Get: Get{Key: key}, Context: make([]byte, 99), Value: make([]byte, 100)}
	replicaPut := ReplicaPut{Ack: AckBoth, Key: key, Object: make([]byte, 100)}
	replicaRead := ReplicaRead{Have: 1, Key: key}
	replicaCopy := ReplicaCopy{Copy: CopyObject, OtherFloor: true, Floor: make([]byte, 32), Object: make([]byte, 100)}
	for name, op := range map[string]func() error{
		"Put":         func() error { _, err := ParsePut(put.AppendTo(room)); return err },
		"Get":         func() error { _, err := ParseGet(put.Get.AppendTo(room)); return err },
		"ReplicaRead": func() error { _, err := ParseReplicaRead(replicaRead.AppendTo(room)); return err },
		"ReplicaCopy": func() error { _, err := ParseReplicaCopy(replicaCopy.AppendTo(room)); return err },
		"ReplicaPut":  func() error { _, err := ParseReplicaPut(replicaPut.AppendTo(room)); return err },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := op(); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// FuzzMessages has every parser read the same bytes.
func FuzzMessages(f *testing.F) {
	for _, kind := range messages {
		for seed := range 3 {
			f.Add(rapid.Custom(kind.draw).Example(seed).AppendTo(nil))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range messages {
			checkMessage(t, kind, b)
		}
	})
}
