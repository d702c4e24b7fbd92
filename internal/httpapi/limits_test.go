package httpapi

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// endless is a body without end that counts what is taken of it.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func TestValueLimit(t *testing.T) {
	d := newDoor(t)
	at, past := make([]byte, kv.MaxValue), make([]byte, kv.MaxValue+1)
	hide := func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }
	d.want(d.send("PUT", "/buckets/b/keys/known", bytes.NewReader(at)), 204)
	d.want(d.send("PUT", "/buckets/b/keys/chunked", hide(at)), 204)
	d.wantError(d.send("PUT", "/buckets/b/keys/known", bytes.NewReader(past)), 413, kv.KindTooLarge)
	d.wantError(d.send("PUT", "/buckets/b/keys/chunked", hide(past)), 413, kv.KindTooLarge)
	if d.puts != 2 {
		t.Errorf("%d puts were applied, want 2", d.puts)
	}
	if n := len(d.want(d.do("GET", "/buckets/b/keys/chunked", ""), 200).body); n != kv.MaxValue {
		t.Errorf("%d bytes come back", n)
	}
}

// TestNoMoreIsReadThanTheLimit hands requests to the server without a
// connection, so that what is read is the server's own doing.
func TestNoMoreIsReadThanTheLimit(t *testing.T) {
	d := newServer(t, Default(), io.Discard)
	for _, c := range []struct {
		length int64
		most   int
	}{{kv.MaxValue + 1, 0}, {1 << 60, 0}, {-1, kv.MaxValue + 1}} {
		body := &endless{}
		got := d.serve(t, "PUT", pathA, body, c.length)
		d.wantError(got, 413, kv.KindTooLarge)
		if body.read > c.most {
			t.Errorf("announced as %d, %d bytes were read, want at most %d", c.length, body.read, c.most)
		}
	}
}

func TestKeyAndBucketLimits(t *testing.T) {
	d := newDoor(t)
	bucket, key := strings.Repeat("b", kv.MaxBucket), strings.Repeat("%00", kv.MaxKey)
	d.want(d.do("PUT", "/buckets/"+bucket+"/keys/"+key, "v"), 204)
	d.want(d.do("GET", "/buckets/"+bucket+"/keys/"+key, ""), 200)
	d.wantError(d.do("PUT", "/buckets/"+bucket+"/keys/"+key+"k", "v"), 413, kv.KindTooLarge)
	d.wantError(d.do("PUT", "/buckets/"+bucket+"b/keys/k", "v"), 413, kv.KindTooLarge)
	d.wantError(d.do("GET", "/buckets/"+bucket+"b/keys", ""), 413, kv.KindTooLarge)
	d.wantError(d.do("PUT", "/buckets/b/keys/", "v"), 400, kv.KindInvalid)
	d.wantError(d.do("PUT", "/buckets//keys/k", "v"), 400, kv.KindInvalid)
}

func TestRequestsAtOnce(t *testing.T) {
	cfg := Default()
	cfg.MaxRequests = 1
	d := newDoorWith(t, cfg)
	d.server.slots <- struct{}{}
	for _, path := range []string{pathA, "/buckets/b/keys", "/buckets/b/props", pathA + "/preflist"} {
		d.wantError(d.do("GET", path, ""), 503, kv.KindOverloaded)
	}
	d.want(d.do("GET", "/readyz", ""), 200)
	<-d.server.slots
	for range 3 {
		d.want(d.do("PUT", pathA, "v"), 204)
	}
}
