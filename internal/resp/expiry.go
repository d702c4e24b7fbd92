package resp

import (
	"math"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

var expiryCommands = []command{
	{name: "expire", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.expire(unit{ms: 1000}) }, summary: "Has a key expire after some seconds."},
	{name: "pexpire", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.expire(unit{ms: 1}) }, summary: "Has a key expire after some milliseconds."},
	{name: "expireat", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.expire(unit{at: true, ms: 1000}) }, summary: "Has a key expire at a moment, in seconds."},
	{name: "pexpireat", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.expire(unit{at: true, ms: 1}) }, summary: "Has a key expire at a moment, in milliseconds."},
	{name: "persist", arity: 2, flags: "write fast", first: 1, last: 1, step: 1, run: (*conn).persist, summary: "Has a key not expire any more."},
	{name: "ttl", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerTTL) }, summary: "Returns the seconds that a key has left."},
	{name: "pttl", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerPTTL) }, summary: "Returns the milliseconds that a key has left."},
	{name: "expiretime", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerExpireTime) }, summary: "Returns when a key expires, in seconds."},
	{name: "pexpiretime", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerPExpireTime) }, summary: "Returns when a key expires, in milliseconds."},
	{name: "getex", arity: -2, flags: "write fast", first: 1, last: 1, step: 1, run: (*conn).getex, summary: "Returns the value of a key, and changes when it expires."},
}

// alter adds a change of the key that keeps its value.
func (c *conn) alter(life kv.Lifetime, answer func(*conn, *op, *op), to func(*op) (object.Update, bool)) {
	o := c.store(change, c.args[1], answer)
	o.arg, o.make, o.all = life, to, true
	c.batch.place()
}

// relive puts the value that was found, with another lifetime. It is a write
// like any other: of a write at the same time only one is kept.
func relive(o *op) (object.Update, bool) {
	s := o.newest(o.found)
	return object.Update{Value: s.Value, ContentType: s.ContentType, Meta: s.Meta, Context: o.context, Life: o.arg}, o.live > 0
}

// outlive is relive for a value that expires.
func outlive(o *op) (object.Update, bool) {
	u, ok := relive(o)
	return u, ok && o.expires != 0
}

// expire serves EXPIRE and its like. A moment that is past deletes the key.
func (c *conn) expire(u unit) {
	if len(c.args) > 3 {
		c.fail("ERR NX, XX, GT and LT: this " + whyAtomic)
		return
	}
	if !c.checkKey(c.args[1]) {
		return
	}
	n, ok := parseInt(c.args[2])
	switch {
	case !ok:
		c.fail("ERR value is not an integer or out of range")
	case n > math.MaxInt64/u.ms || n < math.MinInt64/u.ms:
		c.badExpire(c.last.Load().name)
	case n*u.ms <= c.past(u):
		c.alter(kv.Lifetime{}, (*conn).answerAltered, deleted)
	default:
		life := kv.Lifetime{TTL: kv.TTL(n * u.ms)}
		if u.at {
			life = kv.Lifetime{At: kv.Expiry(n * u.ms)}
		}
		if life.Validate() != nil {
			c.badExpire(c.last.Load().name)
			return
		}
		c.alter(life, (*conn).answerAltered, relive)
	}
}

// past is the last time of a unit that is past, in milliseconds.
func (c *conn) past(u unit) int64 {
	if u.at {
		return time.Now().UnixMilli()
	}
	return 0
}

func (c *conn) persist() {
	if c.checkKey(c.args[1]) {
		c.alter(kv.Lifetime{TTL: kv.Forever}, (*conn).answerAltered, outlive)
	}
}

func (c *conn) answerAltered(_, outcome *op) {
	switch {
	case c.failed(outcome):
	case outcome.wrote:
		c.out = append(c.out, ":1\r\n"...)
	default:
		c.out = append(c.out, ":0\r\n"...)
	}
}

func (c *conn) getex() {
	switch words := c.args[2:]; {
	case !c.checkKey(c.args[1]):
	case len(words) == 0:
		c.get()
	case len(words) == 1 && is(words[0], "PERSIST"):
		c.alter(kv.Lifetime{TTL: kv.Forever}, (*conn).answerValue, outlive)
	case len(words) == 2 && timeUnit(words[0]) != nil:
		life, ok := timeUnit(words[0]).life(words[1])
		if !ok {
			c.badExpire("getex")
			return
		}
		c.alter(life, (*conn).answerValue, relive)
	default:
		c.fail("ERR syntax error")
	}
}

// answerTime answers with a time of the key: -2 if it has no value, -1 if that
// does not expire.
func (c *conn) answerTime(outcome *op, n int64) {
	switch {
	case c.failed(outcome):
		return
	case outcome.live == 0:
		n = -2
	case outcome.expires == 0:
		n = -1
	}
	c.out = appendInt(c.out, n)
}

func (c *conn) answerTTL(_, outcome *op) { c.answerTime(outcome, (outcome.left()+500)/1000) }

func (c *conn) answerPTTL(_, outcome *op) { c.answerTime(outcome, outcome.left()) }

func (c *conn) answerExpireTime(_, outcome *op) { c.answerTime(outcome, int64(outcome.expires)/1000) }

func (c *conn) answerPExpireTime(_, outcome *op) { c.answerTime(outcome, int64(outcome.expires)) }
