package wire

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// hot returns the operations of every message, by name.
func hot(fatal func(args ...any)) map[string]func() {
	key := kv.AppendKey(nil, "carts", []byte("user:1001:cart"))
	object := bytes.Repeat([]byte{7}, 1100)
	write := &ReplicaPut{Ack: AckApplied, Key: key, Object: object}
	put := &Put{Get: Get{Key: key}, Context: object[:60], ContentType: []byte("text/plain"), Value: object[:1024]}
	frame := func(b []byte, t Type, m Appender) []byte {
		b, at := BeginFrame(b[:0])
		return EndFrame(m.AppendTo(b), at, Header{Type: t, ID: 1, Deadline: 1000})
	}
	buf := make([]byte, 0, MaxFrame)
	writeFrame := frame(nil, TypeReplicaPut, write)
	putFrame := frame(nil, TypePut, put)
	return map[string]func(){
		"AppendReplicaPut": func() { buf = frame(buf, TypeReplicaPut, write) },
		"AppendPut":        func() { buf = frame(buf, TypePut, put) },
		"ParseReplicaPut": func() {
			_, payload, err := ParseFrame(writeFrame)
			if err == nil {
				_, err = ParseReplicaPut(payload)
			}
			if err != nil {
				fatal(err)
			}
		},
		"ParsePut": func() {
			_, payload, err := ParseFrame(putFrame)
			if err == nil {
				_, err = ParsePut(payload)
			}
			if err != nil {
				fatal(err)
			}
		},
	}
}

// BenchmarkHot runs over frames with values of 1 KiB.
func BenchmarkHot(b *testing.B) {
	for name, op := range hot(b.Fatal) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, op := range hot(t.Fatal) {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
