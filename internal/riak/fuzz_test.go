package riak

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/riak/field"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// replay is a connection whose other end has sent all that it will.
type replay struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (r *replay) Read(b []byte) (int, error)       { return r.in.Read(b) }
func (r *replay) Write(b []byte) (int, error)      { return r.out.Write(b) }
func (r *replay) Close() error                     { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }

// FuzzConnection: whatever a client sends is answered in whole messages, one at
// least for each whole one of its own, until one is none.
func FuzzConnection(f *testing.F) {
	f.Add(append(frame(pb.PutReq, put("k", "v", m{11: true}).bytes()), frame(pb.GetReq, get("k").bytes())...))
	f.Add(append(frame(pb.ListKeysReq, m{1: "b"}.bytes()), frame(pb.SetBucketReq, m{1: "b", 2: m{2: true}}.bytes())...))
	f.Add(append(frame(pb.ListBucketsReq, nil), frame(pb.DelReq, get("k").bytes())...))
	f.Add(frame(pb.GetPreflistReq, get("k").bytes()))
	f.Add([]byte{0, 0, 0, 9, 11, 1, 2})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		store := newModel()
		s, err := New(Default(), Parts{Store: store, Buckets: store, Metrics: metrics.NewNode(time.Now()), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		r := &replay{in: bytes.NewReader(b)}
		newConn(s, r).serve(context.Background())
		asked, answered := 0, 0
		for rest := b; len(rest) > 4; asked++ {
			n := uint64(binary.BigEndian.Uint32(rest))
			if n == 0 || n > maxMessage || uint64(len(rest)-4) < n {
				break
			}
			rest = rest[4+n:]
		}
		for out := r.out.Bytes(); len(out) > 0; answered++ {
			n := binary.BigEndian.Uint32(out)
			m := field.Read(out[pb.HeadSize : 4+n])
			for m.Next() {
			}
			if m.Err() != nil {
				t.Fatalf("answer %d: %v", answered, m.Err())
			}
			out = out[4+n:]
		}
		if answered < asked {
			t.Fatalf("%d requests, %d answers", asked, answered)
		}
		for key := range store.records {
			if k := kv.Key(key); kv.CheckKey(string(k.Bucket()), string(k.User())) != nil {
				t.Fatalf("the key %q was stored", key)
			}
		}
	})
}
