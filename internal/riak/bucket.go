package riak

import (
	"context"
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/riak/props"
)

// getBucket shows the properties of a bucket.
func (c *conn) getBucket(body []byte) error {
	m, err := pb.ParseBucket(body)
	if err != nil {
		return err
	}
	at, err := c.server.place(m)
	if err != nil {
		return err
	}
	c.out = pb.AppendProps(c.out, props.Show(at.props, at.n))
	return nil
}

// setBucket changes properties of a bucket.
func (c *conn) setBucket(ctx context.Context, body []byte) error {
	m, err := pb.ParseSetBucket(body)
	if err != nil {
		return err
	}
	name, err := c.server.bucketOf(m.Place)
	if err != nil {
		return err
	}
	return c.change(ctx, name, m.Props, pb.SetBucketResp)
}

// change changes properties and appends the answer, which has no fields.
func (c *conn) change(ctx context.Context, name string, changes pb.Props, answer pb.Code) error {
	b := c.server.parts.Buckets
	_, err := b.SetProps(ctx, name, func(p kv.Props) (kv.Props, error) { return props.Apply(p, changes, b.N()) })
	if err != nil {
		return badProps(err)
	}
	c.out = pb.AppendEmpty(c.out, answer)
	return nil
}

// badProps says in Riak's words what is wrong with properties.
func badProps(err error) error {
	var e *kv.Error
	if errors.As(err, &e) && e.Kind == kv.KindInvalid && e.Err != nil {
		return words("Invalid bucket properties: " + e.Err.Error())
	}
	return err
}

// resetBucket gives a bucket the properties that it has in Riak when nobody has
// set any: its type's, or Riak's own.
func (c *conn) resetBucket(ctx context.Context, body []byte) error {
	m, err := pb.ParseBucket(body)
	if err != nil {
		return err
	}
	name, err := c.server.bucketOf(m)
	if err != nil {
		return err
	}
	b := c.server.parts.Buckets
	_, err = b.SetProps(ctx, name, func(kv.Props) (kv.Props, error) { return props.Reset(name, b.Props), nil })
	if err != nil {
		return err
	}
	c.out = pb.AppendEmpty(c.out, pb.ResetBucketResp)
	return nil
}

// getType shows the properties of a type.
func (c *conn) getType(body []byte) error {
	m, err := pb.ParseGetType(body)
	if err != nil {
		return err
	}
	b, typ := c.server.parts.Buckets, string(m.Type)
	if typ == "" || c.server.checkType(typ) != nil {
		return words("Invalid bucket type: " + typ)
	}
	c.out = pb.AppendProps(c.out, props.Show(b.Props(kv.TypedBucket(typ, "")), b.N()))
	return nil
}

// setType changes properties of a type.
func (c *conn) setType(ctx context.Context, body []byte) error {
	m, err := pb.ParseSetType(body)
	if err != nil {
		return err
	}
	typ := string(m.Type)
	switch {
	case typ == kv.DefaultType:
		return words("Invalid bucket properties: those of the type default are the cluster's")
	case typ == "" || c.server.checkType(typ) != nil:
		return wordsNotActive
	}
	return c.change(ctx, kv.TypedBucket(typ, ""), m.Props, pb.SetBucketResp)
}

// preflist shows who is in charge of a key.
func (c *conn) preflist(body []byte) error {
	m, err := pb.ParsePreflist(body)
	if err != nil {
		return err
	}
	at, err := c.server.place(m)
	if err != nil {
		return err
	}
	key, err := at.key(m.Key)
	if err != nil {
		return err
	}
	c.out = pb.AppendPreflist(c.out, c.server.parts.Store.Holders(key))
	return nil
}
