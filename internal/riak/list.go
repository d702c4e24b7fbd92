package riak

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

const (
	// partSize is the size, in bytes, of one of the messages of a listing.
	partSize = 16 << 10
	// maxListing bounds a listing that is answered in one message, in bytes.
	maxListing = kv.MaxObject
)

// listKeys streams the keys of a bucket.
func (c *conn) listKeys(ctx context.Context, body []byte) error {
	m, err := pb.ParseListKeys(body)
	if err != nil {
		return err
	}
	name, err := c.server.bucketOf(m.Place)
	if err != nil {
		return err
	}
	return c.list(ctx, pb.ListKeysResp, m.Timeout, true, func(ctx context.Context, fn func([]byte) error) error {
		return c.server.parts.Store.Keys(ctx, name, fn)
	})
}

// listBuckets lists the buckets of a type that have keys.
func (c *conn) listBuckets(ctx context.Context, body []byte) error {
	m, err := pb.ParseListBuckets(body)
	if err != nil {
		return err
	}
	typ := string(m.Type)
	if err := c.server.checkType(typ); err != nil {
		return err
	}
	if typ == "" {
		typ = kv.DefaultType
	}
	return c.list(ctx, pb.ListBucketsResp, m.Timeout, m.Stream, func(ctx context.Context, fn func([]byte) error) error {
		return c.server.parts.Store.Buckets(ctx, func(name []byte) error {
			if of, bucket := kv.SplitBucket(string(name)); of == typ {
				return fn([]byte(bucket))
			}
			return nil
		})
	})
}

// list answers with what run calls its argument with, in several messages or in
// one. The last one says that it is.
func (c *conn) list(ctx context.Context, code pb.Code, timeout uint32, stream bool, run func(context.Context, func([]byte) error) error) error {
	limit := c.server.cfg.ListTimeout
	if timeout != 0 {
		limit = time.Duration(timeout) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	from := len(c.out)
	c.out = pb.Begin(c.out, code)
	err := run(ctx, func(name []byte) error {
		c.out = pb.AppendName(c.out, name)
		switch size := len(c.out) - from; {
		case stream && size >= partSize:
			c.out = pb.End(c.out, from)
			if err := c.flush(); err != nil {
				return err
			}
			from, c.out = 0, pb.Begin(c.out, code)
		case size >= maxListing:
			return kv.Errorf(kv.KindTooLarge, "list", "more than %d bytes: ask for a stream", maxListing)
		}
		return nil
	})
	if err != nil {
		c.out = c.out[:from]
		return err
	}
	c.out = pb.End(pb.AppendDone(c.out), from)
	return nil
}
