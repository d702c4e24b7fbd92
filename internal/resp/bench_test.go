package resp

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// fixedStore answers every get with one value, at once.
type fixedStore struct {
	*testStore
	answer wire.Answer
}

func (s *fixedStore) Get(_ kv.Key, _ kv.Options, to Receiver) { to.Receive(s.answer, nil) }

func (s *fixedStore) Put(_ kv.Key, _ object.Update, _ kv.Options, to Receiver) {
	to.Receive(wire.Answer{}, nil)
}

// pipeline returns a round of depth commands over a connection: what it sends and
// reads is always the same.
func pipeline(t testing.TB, name string, depth int) func() {
	store := &fixedStore{testStore: newTestStore()}
	if _, err := store.put(kv.AppendKey(nil, Bucket, []byte("a")), object.Update{Value: make([]byte, 100)}, kv.Defaults()); err != nil {
		t.Fatal(err)
	}
	store.answer.Object = store.objects[string(kv.AppendKey(nil, Bucket, []byte("a")))]
	d := startDoor(t, nil)
	d.parts.Store = store
	var send, want strings.Builder
	for i := range depth {
		key := fmt.Sprint("key:", i)
		if name == "get" {
			send.WriteString(array("GET", key))
			want.WriteString("$100\r\n" + strings.Repeat("\x00", 100) + "\r\n")
		} else {
			send.WriteString(array("SET", key, "value"))
			want.WriteString("+OK\r\n")
		}
	}
	c, out, in := d.dial(), []byte(send.String()), make([]byte, want.Len())
	round := func() {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.Conn, in); err != nil {
			t.Fatal(err)
		}
	}
	if round(); string(in) != want.String() {
		t.Fatalf("%q", in)
	}
	return round
}

func BenchmarkDoor(b *testing.B) {
	for _, name := range []string{"get", "set"} {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/depth=%d", name, depth), func(b *testing.B) {
				round := pipeline(b, name, depth)
				b.ReportAllocs()
				for b.Loop() {
					round()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*depth), "ns/command")
			})
		}
	}
}
