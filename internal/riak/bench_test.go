package riak

import (
	"context"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// still is a store that answers every get with the same.
type still struct {
	*model
	answer object.Answer
}

func (s still) Get(context.Context, kv.Key, kv.Options) (object.Answer, error) { return s.answer, nil }

func (s still) Put(context.Context, kv.Key, object.Update, kv.Options) (object.Answer, error) {
	return object.Answer{}, nil
}

// benchmarks measure the door alone: from a request's bytes to its answer's.
func benchmark(b *testing.B, code pb.Code, fields m) {
	s := still{model: newModel()}
	key, _ := kv.NewKey("b", "k")
	var err error
	if s.answer, err = s.model.Put(b.Context(), key, object.Update{Value: make([]byte, 1024), ContentType: []byte("text/plain")}, kv.Options{ReturnBody: true}); err != nil {
		b.Fatal(err)
	}
	server, err := New(Default(), Parts{Store: s, Buckets: s.model, Metrics: metrics.NewNode(time.Now())})
	if err != nil {
		b.Fatal(err)
	}
	c, body := &conn{server: server}, fields.bytes()
	b.ReportAllocs()
	for b.Loop() {
		c.out = c.out[:0]
		if err := c.answer(b.Context(), code, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) { benchmark(b, pb.GetReq, get("k")) }

func BenchmarkPut(b *testing.B) { benchmark(b, pb.PutReq, put("k", string(make([]byte, 1024)), nil)) }

func BenchmarkPing(b *testing.B) { benchmark(b, pb.PingReq, nil) }
