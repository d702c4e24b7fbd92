package resp

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

var ownCommands = []command{
	{name: "rt.get", arity: -2, flags: "readonly", first: 1, last: 1, step: 1, run: (*conn).rtGet, summary: "Returns the context and all siblings of a key."},
	{name: "rt.put", arity: -3, flags: "write denyoom", first: 1, last: 1, step: 1, run: (*conn).rtPut, summary: "Puts a value that supersedes what its context has seen."},
	{name: "rt.del", arity: -2, flags: "write", first: 1, last: 1, step: 1, run: (*conn).rtDel, summary: "Deletes what its context, or a quorum read, has seen."},
}

// rtOptions are what follows key and value of the commands for Dynamo's model.
type rtOptions struct {
	options kv.Options
	bucket  string
	context []byte
	life    kv.Lifetime
}

// rtOptions reads those of words that are among allowed. Not ok means that it has
// answered with an error.
func (c *conn) rtOptions(words [][]byte, isPut, isDelete bool) (r rtOptions, ok bool) {
	r = rtOptions{options: kv.Defaults(), bucket: Bucket}
	for i := 0; i < len(words); i++ {
		w := words[i]
		if is(w, "STRICT") {
			r.options.Strict = true
			continue
		}
		if i++; i == len(words) {
			c.fail("ERR syntax error")
			return r, false
		}
		v, err := words[i], error(nil)
		switch t := timeUnit(w); {
		case is(w, "R"):
			r.options.R, err = quorum(v)
		case is(w, "BUCKET"):
			r.bucket = string(v)
			err = kv.CheckBucket(r.bucket)
		case is(w, "W") && (isPut || isDelete):
			r.options.W, err = quorum(v)
		case is(w, "DW") && (isPut || isDelete):
			r.options.DW, err = quorum(v)
		case is(w, "CTX") && (isPut || isDelete):
			r.context, err = object.DecodeContext(string(v))
		case t != nil && isPut:
			if r.life, ok = t.life(v); !ok {
				err = kv.Errorf(kv.KindInvalid, "read "+t.word, "%q is no time to live", cut(v))
			}
		default:
			c.fail("ERR syntax error")
			return r, false
		}
		if err != nil {
			c.fail(errorText(err, false))
			return r, false
		}
	}
	return r, true
}

// quorum reads a number of replicas; that it fits the cluster is checked later.
func quorum(b []byte) (int8, error) {
	n, ok := parseInt(b)
	if !ok || n < 0 || n > kv.MaxReplicas {
		return 0, kv.Errorf(kv.KindInvalid, "read options", "%q is no number of replicas, which is at most %d", cut(b), kv.MaxReplicas)
	}
	return int8(n), nil
}

// own returns a new op of one of these commands.
func (c *conn) own(do action, r *rtOptions, answer func(*conn, *op, *op)) *op {
	o := c.add()
	o.do, o.key, o.answer, o.options, o.all = do, c.batch.key(r.bucket, c.args[1]), answer, r.options, true
	return o
}

func (c *conn) rtGet() {
	r, ok := c.rtOptions(c.args[2:], false, false)
	if ok && c.checkKey(c.args[1]) {
		c.own(read, &r, (*conn).answerSiblings)
		c.batch.place()
	}
}

func (c *conn) rtPut() {
	r, ok := c.rtOptions(c.args[3:], true, false)
	if ok && c.checkKey(c.args[1]) {
		o := c.own(write, &r, (*conn).answerContext)
		o.update = object.Update{Value: c.args[2], Context: r.context, Life: r.life, Siblings: true}
		c.batch.place()
	}
}

func (c *conn) rtDel() {
	r, ok := c.rtOptions(c.args[2:], false, true)
	if ok && c.checkKey(c.args[1]) {
		o := c.own(write, &r, (*conn).answerOK)
		o.update = object.Update{Deleted: true, Context: r.context, Siblings: true}
		c.batch.place()
	}
}

// answerSiblings answers with an array of the context, null for a key that was
// never put, and an array of the values.
func (c *conn) answerSiblings(o, outcome *op) {
	if c.failed(outcome) {
		return
	}
	c.out = appendArray(c.out, 2)
	c.context(o, outcome)
	c.out = appendArray(c.out, outcome.found.Live())
	for s := outcome.found.Siblings(); s.Next(); {
		if !s.Deleted {
			c.value(s.Value)
		}
	}
}

// answerContext answers a put with the context that supersedes it, null where
// there is none: what else the key has must be read first.
func (c *conn) answerContext(o, outcome *op) {
	if !c.failed(outcome) {
		c.context(o, outcome)
	}
}

func (c *conn) context(o, outcome *op) {
	if len(outcome.context) == 0 {
		c.out = appendNull(c.out, o.proto)
		return
	}
	c.out = appendBulk(c.out, object.EncodeContext(outcome.context))
}
