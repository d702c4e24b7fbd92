package riak

import (
	"context"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// get answers a get.
func (c *conn) get(ctx context.Context, m *pb.Get) error {
	at, err := c.server.place(m.Place)
	if err != nil {
		return err
	}
	key, err := at.key(m.Key)
	if err != nil {
		return err
	}
	o, err := at.options(request{m.Timeout, m.Sloppy, m.NVal})
	if err != nil {
		return err
	}
	if err := at.reads(&o, m.R, m.PR); err != nil {
		return err
	}
	a, err := c.server.parts.Store.Get(ctx, key, o)
	if err == nil && a.Object.Live() == 0 {
		a, err = c.lookFurther(ctx, &at, m, key, o, a)
	}
	if err != nil {
		return err
	}
	c.appendGet(m, a)
	return nil
}

// lookFurther is what notfound_ok=false asks for. A get that too few owners answer
// to say more leaves it at what is known.
func (c *conn) lookFurther(ctx context.Context, at *place, m *pb.Get, key kv.Key, o kv.Options, a object.Answer) (object.Answer, error) {
	wanted := at.extra.Look(m.NotFoundOK, m.BasicQuorum).Further(o.R, at.props.R, at.n)
	if wanted == 0 {
		return a, nil
	}
	o.R = wanted
	more, err := c.server.parts.Store.Get(ctx, key, o)
	if err != nil && kv.KindOf(err) == kv.KindUnavailable {
		return a, nil
	}
	return more, err
}

// appendGet appends a GetResp, empty for a key without a value.
func (c *conn) appendGet(m *pb.Get, a object.Answer) {
	from := len(c.out)
	c.out = pb.Begin(c.out, pb.GetResp)
	switch {
	case a.Object.Live() == 0:
		if m.DeletedVClock && len(a.Context) > 0 {
			c.out = pb.AppendVClock(c.out, a.Context)
		}
	case len(m.IfModified) > 0 && object.SameSeen(m.IfModified, a.Context):
		// Clients read a context wherever there is an answer at all.
		c.out = pb.AppendUnchanged(pb.AppendVClock(c.out, a.Context))
	default:
		c.out = appendValues(c.out, a.Object, m.Head)
		c.out = pb.AppendVClock(c.out, a.Context)
	}
	c.out = pb.End(c.out, from)
}

// appendValues appends the siblings, the oldest first, deletes among them.
func appendValues(b []byte, o object.Object, head bool) []byte {
	for _, s := range ByTime(o) {
		b = pb.AppendValue(b, pb.Value{Sibling: s, Head: head})
	}
	return b
}

// ByTime returns the siblings of o, the oldest first by their coordinators' clocks:
// clients show them in the order in which they come.
func ByTime(o object.Object) []object.Sibling {
	list := make([]object.Sibling, 0, o.Len())
	for cur := o.Siblings(); cur.Next(); {
		list = append(list, cur.Sibling)
	}
	slices.SortStableFunc(list, func(a, b object.Sibling) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return list
}

// put answers a put. What m refers to is the store's from here on.
func (c *conn) put(ctx context.Context, m *pb.Put) error {
	at, err := c.server.place(m.Place)
	if err != nil {
		return err
	}
	made := ""
	if len(m.Key) == 0 {
		if made, err = content.NewKey(); err != nil {
			return kv.Wrap(kv.KindInternal, "make key", err)
		}
		m.Key = []byte(made)
	}
	key, err := at.key(m.Key)
	if err != nil {
		return err
	}
	o, err := at.options(request{m.Timeout, m.Sloppy, m.NVal})
	if err != nil {
		return err
	}
	if err := at.writes(&o, m.W, m.DW, m.PW); err != nil {
		return err
	}
	u, err := updateOf(m)
	if err != nil {
		return err
	}
	if err := c.condition(ctx, m, key, o); err != nil {
		return err
	}
	o.ReturnBody = m.ReturnBody || m.ReturnHead
	a, err := c.server.parts.Store.Put(ctx, key, u, o)
	if err != nil {
		return err
	}
	c.appendPut(m, a, made)
	return nil
}

// updateOf returns what a put asks the store for.
func updateOf(m *pb.Put) (object.Update, error) {
	v := &m.Content
	u := object.Update{Context: m.VClock, ContentType: v.ContentType, Value: v.Value, Meta: v.Meta.Encode()}
	u.Life.TTL = min(kv.TTL(v.TTL)*1000, kv.MaxTTL)
	switch {
	case m.AsIs:
		return u, kv.Errorf(kv.KindInvalid, "put", "asis: only a cluster's own nodes may store a version as it is")
	case len(v.Value) > kv.MaxValue:
		return u, kv.Errorf(kv.KindTooLarge, "put", "the value has %d bytes, the limit is %d", len(v.Value), kv.MaxValue)
	case len(v.ContentType) > kv.MaxContentType:
		return u, kv.Errorf(kv.KindTooLarge, "put", "the content type has %d bytes, the limit is %d", len(v.ContentType), kv.MaxContentType)
	}
	return u, nil
}

// condition checks what a put wants to be so before it. As in Riak another write
// may come between the check and the put.
func (c *conn) condition(ctx context.Context, m *pb.Put, key kv.Key, o kv.Options) error {
	if !m.IfNoneMatch && !m.IfNotModified {
		return nil
	}
	read := kv.Defaults()
	read.Strict, read.Timeout = o.Strict, o.Timeout
	a, err := c.server.parts.Store.Get(ctx, key, read)
	if err != nil {
		// Nothing was written.
		return &kv.Error{Op: "read before put", Kind: kv.KindOf(err), Err: err}
	}
	switch live := a.Object.Live() > 0; {
	case m.IfNoneMatch && live:
		return wordsMatchFound
	case m.IfNotModified && !live:
		return wordsNotFound
	case m.IfNotModified && !object.SameSeen(m.VClock, a.Context):
		return wordsModified
	}
	return nil
}

// appendPut appends a PutResp.
func (c *conn) appendPut(m *pb.Put, a object.Answer, made string) {
	from := len(c.out)
	c.out = pb.Begin(c.out, pb.PutResp)
	if m.ReturnBody || m.ReturnHead {
		c.out = appendValues(c.out, a.Object, !m.ReturnBody)
		c.out = pb.AppendVClock(c.out, a.Context)
	}
	if made != "" {
		c.out = pb.AppendKey(c.out, made)
	}
	c.out = pb.End(c.out, from)
}

// del answers a delete. One of a key that has no value is done already.
func (c *conn) del(ctx context.Context, m *pb.Del) error {
	at, err := c.server.place(m.Place)
	if err != nil {
		return err
	}
	key, err := at.key(m.Key)
	if err != nil {
		return err
	}
	o, err := at.options(request{m.Timeout, m.Sloppy, m.NVal})
	if err != nil {
		return err
	}
	if err := at.reads(&o, orElse(m.R, m.RW), m.PR); err != nil {
		return err
	}
	if err := at.writes(&o, orElse(m.W, m.RW), m.DW, m.PW); err != nil {
		return err
	}
	seen := append([]byte(nil), m.VClock...)
	if _, err := c.server.parts.Store.Put(ctx, key, object.Update{Deleted: true, Context: seen}, o); err != nil {
		return err
	}
	c.out = pb.AppendEmpty(c.out, pb.DelResp)
	return nil
}
