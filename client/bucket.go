package client

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// Bucket is a named group of keys. Safe for concurrent use; making one costs
// nothing and asks nobody.
//
// Keys are any 1 to 4,096 bytes, names of buckets any 1 to 255, values at most
// 1,048,576. Errors of its methods are of type [*Error].
//
// A put allocates once, for its Result's context. A get allocates twice, for all
// bytes of its Result and for its siblings, and once more for each content type.
type Bucket struct {
	client   *Client
	name     string
	defaults settings
}

// Bucket returns the bucket of that name. The options override the client's.
func (c *Client) Bucket(name string, opts ...Option) *Bucket {
	b := &Bucket{client: c, name: name, defaults: c.defaults}
	for _, o := range opts {
		b.defaults.set(o)
	}
	return b
}

// Get returns the values of key. A key without a value is no error: see
// [Result.Found]. A get whose connection is lost, or that an owner refuses, is
// tried at another node.
func (b *Bucket) Get(ctx context.Context, key string, opts ...Option) (Result, error) {
	return b.do(ctx, request{op: opGet, key: key}, opts)
}

// Put stores value under key, in place of all that seen covers: the context of
// the get, or put, that the value builds on. An empty context replaces nothing.
// The value is the caller's again when Put returns.
//
// The Result's context covers the value that was put, for a next put that
// builds on it. A put is tried at another node only while it was certainly not
// applied.
func (b *Bucket) Put(ctx context.Context, key string, seen Context, value []byte, opts ...Option) (Result, error) {
	return b.do(ctx, request{op: opPut, key: key, seen: seen, value: value}, opts)
}

// Delete removes the values of key that seen covers; with an empty context,
// those that a get would show now. Values put meanwhile stay. A key without a
// value is no error.
func (b *Bucket) Delete(ctx context.Context, key string, seen Context, opts ...Option) (Result, error) {
	return b.do(ctx, request{op: opDelete, key: key, seen: seen}, opts)
}

// request is what one call of a Bucket's method asks for.
type request struct {
	op    op
	key   string
	seen  Context
	value []byte
}

func (b *Bucket) do(ctx context.Context, rq request, opts []Option) (Result, error) {
	s := b.defaults
	for _, o := range opts {
		s.set(o)
	}
	if err := b.check(ctx, rq, &s); err != nil {
		return Result{}, failed(rq.op, err)
	}
	w := b.client.calls.Get().(*call)
	w.fill(b.name, rq, &s)
	now := time.Now()
	answer, err := b.client.exchange(ctx, w, now, s.deadline(ctx, now))
	if w.reset() {
		b.client.calls.Put(w)
	}
	var res Result
	if err == nil {
		res, err = parseResult(answer)
	}
	if err != nil {
		return Result{}, failed(rq.op, err)
	}
	return res, nil
}

// check returns an error, with AppliedNo, for what cannot succeed.
func (b *Bucket) check(ctx context.Context, rq request, s *settings) error {
	if err := ctx.Err(); err != nil {
		return kv.Wrap(kv.KindTimeout, "begin", context.Cause(ctx))
	}
	if err := kv.CheckKey(b.name, rq.key); err != nil {
		return err
	}
	switch {
	case len(rq.value) > kv.MaxValue:
		return kv.Errorf(kv.KindTooLarge, "check value", "the value has %d bytes, the limit is %d", len(rq.value), kv.MaxValue)
	case len(rq.seen) > object.MaxContext:
		return kv.Errorf(kv.KindBadContext, "check context", "%d bytes, the limit is %d", len(rq.seen), object.MaxContext)
	}
	return s.check()
}
