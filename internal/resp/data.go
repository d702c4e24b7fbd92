package resp

import (
	"math"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

var dataCommands = []command{
	{name: "get", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: (*conn).get, summary: "Returns the value of a key."},
	{name: "set", arity: -3, flags: "write denyoom", first: 1, last: 1, step: 1, run: (*conn).set, summary: "Sets the value of a key."},
	{name: "setex", arity: 4, flags: "write denyoom", first: 1, last: 1, step: 1, run: func(c *conn) { c.setFor(1000) }, summary: "Sets the value of a key for some seconds."},
	{name: "psetex", arity: 4, flags: "write denyoom", first: 1, last: 1, step: 1, run: func(c *conn) { c.setFor(1) }, summary: "Sets the value of a key for some milliseconds."},
	{name: "mget", arity: -2, flags: "readonly fast", first: 1, last: -1, step: 1, run: (*conn).mget, summary: "Returns the values of keys."},
	{name: "mset", arity: -3, flags: "write denyoom", first: 1, last: -1, step: 2, run: (*conn).mset, summary: "Sets the values of keys, each by itself."},
	{name: "del", arity: -2, flags: "write", first: 1, last: -1, step: 1, run: (*conn).del, summary: "Deletes keys, each by itself."},
	{name: "unlink", arity: -2, flags: "write fast", first: 1, last: -1, step: 1, run: (*conn).del, summary: "Deletes keys, each by itself."},
	{name: "exists", arity: -2, flags: "readonly fast", first: 1, last: -1, step: 1, run: (*conn).exists, summary: "Counts which of the keys have a value."},
	{name: "touch", arity: -2, flags: "readonly fast", first: 1, last: -1, step: 1, run: (*conn).exists, summary: "Counts which of the keys have a value."},
	{name: "strlen", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerLength) }, summary: "Returns the length of a value."},
	{name: "type", arity: 2, flags: "readonly fast", first: 1, last: 1, step: 1, run: func(c *conn) { c.look((*conn).answerType) }, summary: "Returns the type of a value."},
}

// checkKeys answers with an error unless each step'th word from first is a key.
func (c *conn) checkKeys(first, step int) bool {
	for i := first; i < len(c.args); i += step {
		if !c.checkKey(c.args[i]) {
			return false
		}
	}
	return true
}

func (c *conn) checkKey(key []byte) bool {
	switch {
	case len(key) == 0:
		c.fail("ERR the key is empty (kind: invalid, applied: no)")
	case len(key) > kv.MaxKey:
		c.fail("ERR the key is too large, the limit is 4096 bytes (kind: too large, applied: no)")
	default:
		return true
	}
	return false
}

// store returns a new op of key, which is to be placed when it is complete.
func (c *conn) store(do action, key []byte, answer func(*conn, *op, *op)) *op {
	o := c.add()
	o.do, o.key, o.answer, o.shared = do, c.batch.key(Bucket, key), answer, true
	o.options = kv.Defaults()
	// What is deleted or changed is named by the context of what was read.
	o.options.NoContext = do != change
	return o
}

// look adds a read of the command's key.
func (c *conn) look(answer func(*conn, *op, *op)) {
	if c.checkKey(c.args[1]) {
		c.store(read, c.args[1], answer)
		c.batch.place()
	}
}

func (c *conn) get() { c.look((*conn).answerValue) }

// failed appends the error of an outcome, if it is one.
func (c *conn) failed(outcome *op) bool {
	if outcome.err == nil {
		return false
	}
	c.out = appendError(c.out, errorText(outcome.err, outcome.do == write || outcome.wrote))
	return true
}

func (c *conn) answerValue(o, outcome *op) {
	switch {
	case c.failed(outcome):
	case outcome.live == 0:
		c.out = appendNull(c.out, o.proto)
	default:
		c.value(outcome.value)
	}
}

// value appends a value, or sends a large one as it is.
func (c *conn) value(v []byte) {
	if len(v) < maxUnsent || c.muted {
		c.out = appendBulk(c.out, v)
		return
	}
	c.out = appendLength(c.out, '$', len(v))
	_ = c.flush()
	_ = c.send(v)
	c.out = append(c.out, '\r', '\n')
}

func (c *conn) answerLength(_, outcome *op) {
	if !c.failed(outcome) {
		c.out = appendInt(c.out, int64(len(outcome.value)))
	}
}

func (c *conn) answerType(_, outcome *op) {
	switch {
	case c.failed(outcome):
	case outcome.live == 0:
		c.out = appendStatus(c.out, "none")
	default:
		c.out = appendStatus(c.out, "string")
	}
}

func (c *conn) answerOK(_, outcome *op) {
	if !c.failed(outcome) {
		c.out = append(c.out, "+OK\r\n"...)
	}
}

// put adds a put of the value.
func (c *conn) put(key, value []byte, life kv.Lifetime, answer func(*conn, *op, *op)) *op {
	o := c.store(write, key, answer)
	o.update = object.Update{Value: value, Life: life}
	c.batch.place()
	return o
}

func (c *conn) set() {
	if !c.checkKey(c.args[1]) {
		return
	}
	key, value := c.args[1], c.args[2]
	life, keep, ok := c.setOptions(c.args[3:])
	switch {
	case !ok:
	case keep:
		o := c.store(change, key, (*conn).answerOK)
		o.update.Value, o.make, o.all = value, keepTTL, true
		c.batch.place()
	default:
		c.put(key, value, life, (*conn).answerOK)
	}
}

// keepTTL puts the op's value, with the expiry of the one that was found.
func keepTTL(o *op) (object.Update, bool) {
	u := object.Update{Value: o.update.Value, Context: o.context}
	switch {
	case o.live == 0:
	case o.expires == 0:
		u.Life.TTL = kv.Forever
	default:
		u.Life.At = o.expires
	}
	return u, true
}

// setOptions reads what follows the value of a SET. Not ok means that it has
// answered with an error.
func (c *conn) setOptions(words [][]byte) (life kv.Lifetime, keep, ok bool) {
	timed := false
	for i := 0; i < len(words); i++ {
		w := words[i]
		unit := timeUnit(w)
		switch {
		case is(w, "NX"), is(w, "XX"), is(w, "GET"), is(w, "IFEQ"):
			c.fail("ERR SET with " + string(w) + " " + whyAtomic)
			return life, false, false
		case is(w, "KEEPTTL") && !timed:
			keep, timed = true, true
		case unit != nil && !timed && i+1 < len(words):
			timed = true
			i++
			if life, ok = unit.life(words[i]); !ok {
				c.badExpire("set")
				return life, false, false
			}
		default:
			c.fail("ERR syntax error")
			return life, false, false
		}
	}
	return life, keep, true
}

func (c *conn) badExpire(name string) {
	c.fail("ERR invalid expire time in '" + name + "' command")
}

// unit is how a command gives a time: at a moment, or from now on, in units of so
// many milliseconds.
type unit struct {
	word string
	at   bool
	ms   int64
}

var units = []unit{{"EX", false, 1000}, {"PX", false, 1}, {"EXAT", true, 1000}, {"PXAT", true, 1}}

func timeUnit(word []byte) *unit {
	for i := range units {
		if is(word, units[i].word) {
			return &units[i]
		}
	}
	return nil
}

// life returns the lifetime that a number of the unit gives, which is more than 0.
func (u *unit) life(number []byte) (kv.Lifetime, bool) {
	n, ok := parseInt(number)
	if !ok || n <= 0 || n > math.MaxInt64/u.ms {
		return kv.Lifetime{}, false
	}
	life := kv.Lifetime{TTL: kv.TTL(n * u.ms)}
	if u.at {
		life = kv.Lifetime{At: kv.Expiry(n * u.ms)}
	}
	return life, life.Validate() == nil
}

// setFor is SETEX, and PSETEX.
func (c *conn) setFor(ms int64) {
	u := unit{ms: ms}
	life, ok := u.life(c.args[2])
	switch {
	case !ok:
		c.badExpire(c.last.Load().name)
	case c.checkKey(c.args[1]):
		c.put(c.args[1], c.args[3], life, (*conn).answerOK)
	}
}

func (c *conn) mget() {
	if !c.checkKeys(1, 1) {
		return
	}
	head := c.reply()
	head.text = appendArray(head.text, len(c.args)-1)
	head.lead = true
	for i, key := range c.args[1:] {
		o := c.store(read, key, (*conn).answerElement)
		o.last = i == len(c.args)-2
		c.batch.place()
	}
}

// answerElement appends an element of an array. The error of one is the answer to
// the command, unless a part of the array is sent already.
func (c *conn) answerElement(o, outcome *op) {
	if outcome.err != nil && c.group.err == nil && c.group.mark >= 0 {
		c.group.err, c.group.failed = outcome.err, true
		c.out = appendError(c.out[:c.group.mark], errorText(outcome.err, false))
	}
	if !c.group.failed {
		c.answerValue(o, outcome)
	}
}

func (c *conn) mset() {
	if len(c.args)%2 == 0 {
		c.wrongCount("mset")
		return
	}
	if !c.checkKeys(1, 2) {
		return
	}
	for i := 1; i < len(c.args); i += 2 {
		o := c.store(write, c.args[i], (*conn).answerPart)
		o.update = object.Update{Value: c.args[i+1]}
		o.lead, o.last = i == 1, i == len(c.args)-2
		c.batch.place()
	}
}

// answerPart is of a command that answers once for all its keys: OK, or the
// first error.
func (c *conn) answerPart(o, outcome *op) {
	c.count(outcome, 0)
	if o.last && !c.groupFailed() {
		c.out = append(c.out, "+OK\r\n"...)
	}
}

// count adds n to what the keys of a command come to, and keeps the first error:
// one that leaves open whether something was applied before others.
func (c *conn) count(outcome *op, n int64) {
	g := &c.group
	g.sum += n
	if err := outcome.err; err != nil && g.err == nil {
		g.err, g.wrote = err, g.applied || outcome.do == write || outcome.wrote
	}
	g.applied = g.applied || outcome.err == nil && (outcome.do == write || outcome.wrote)
}

// groupFailed appends the error of a group, if it has one.
func (c *conn) groupFailed() bool {
	g := &c.group
	if g.err == nil {
		return false
	}
	if g.applied {
		c.out = appendError(c.out, errorText(&kv.Error{Op: "write some of the keys", Kind: kv.KindOf(g.err), Applied: kv.AppliedUnknown, Err: g.err}, true))
		return true
	}
	c.out = appendError(c.out, errorText(g.err, g.wrote))
	return true
}

func (c *conn) del() {
	if !c.checkKeys(1, 1) {
		return
	}
	for i, key := range c.args[1:] {
		o := c.store(change, key, (*conn).answerDeleted)
		o.make = deleted
		o.lead, o.last = i == 0, i == len(c.args)-2
		c.batch.place()
	}
}

// deleted deletes what was found.
func deleted(o *op) (object.Update, bool) {
	return object.Update{Deleted: true, Context: o.context}, o.live > 0
}

func (c *conn) answerDeleted(o, outcome *op) {
	var n int64
	if outcome.wrote {
		n = 1
	}
	c.answerCount(o, outcome, n)
}

// answerCount is of a command that answers with a count over all its keys.
func (c *conn) answerCount(o, outcome *op, n int64) {
	c.count(outcome, n)
	if o.last && !c.groupFailed() {
		c.out = appendInt(c.out, c.group.sum)
	}
}

func (c *conn) exists() {
	if !c.checkKeys(1, 1) {
		return
	}
	for i, key := range c.args[1:] {
		o := c.store(read, key, (*conn).answerExists)
		o.lead, o.last = i == 0, i == len(c.args)-2
		c.batch.place()
	}
}

func (c *conn) answerExists(o, outcome *op) { c.answerCount(o, outcome, int64(min(outcome.live, 1))) }
