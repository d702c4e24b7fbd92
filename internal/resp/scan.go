package resp

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

var scanCommands = []command{
	{name: "scan", arity: -2, flags: "readonly", run: (*conn).scan, summary: "Goes over the keys, some at a time."},
	{name: "dbsize", arity: 1, flags: "readonly", run: (*conn).dbsize, summary: "Counts the keys, by reading them all."},
	{name: "flushall", arity: -1, flags: "write", run: (*conn).flushAll, summary: "Deletes all keys, in test mode."},
	{name: "flushdb", arity: -1, flags: "write", run: (*conn).flushAll, summary: "Deletes all keys, in test mode."},
}

const (
	// maxScanned bounds the keys of one answer to SCAN; those in one place of
	// the ring come together all the same.
	maxScanned = 4096
	// maxVisited bounds the partitions that one SCAN looks into.
	maxVisited = 64
	// scanTimeout bounds a listing of keys.
	scanTimeout = time.Minute
)

// A cursor is a partition and, in its lower 32 bits, the position in it from which
// on keys are still to be told. So a scan needs no memory here, and any node goes
// on with it. A key that is there all the time is told, for it never moves.
type cursor uint64

func cursorOf(p kv.Partition, position uint32) cursor { return cursor(p)<<32 | cursor(position) }

// place is a key and where it is in its partition.
type place struct {
	position uint32
	key      []byte
}

func byPosition(a, b place) int { return cmp.Compare(a.position, b.position) }

// scanning is a SCAN.
type scanning struct {
	from    cursor
	pattern []byte
	count   int
	none    bool
}

// scanOptions reads the words of a SCAN. Not ok means that it has answered with an
// error.
func (c *conn) scanOptions() (s scanning, ok bool) {
	from, err := strconv.ParseUint(string(c.args[1]), 10, 64)
	if err != nil {
		c.fail("ERR invalid cursor")
		return s, false
	}
	s = scanning{from: cursor(from), count: 10}
	words := c.args[2:]
	for ; len(words) >= 2; words = words[2:] {
		switch w, v := words[0], words[1]; {
		case is(w, "MATCH"):
			s.pattern = v
		case is(w, "COUNT"):
			n, ok := parseInt(v)
			if !ok || n < 1 {
				c.fail("ERR value is not an integer or out of range")
				return s, false
			}
			s.count = int(min(n, maxScanned))
		case is(w, "TYPE"):
			s.none = !is(v, "STRING")
		default:
			c.fail("ERR syntax error")
			return s, false
		}
	}
	if len(words) > 0 {
		c.fail("ERR syntax error")
		return s, false
	}
	return s, true
}

// listing begins a listing of keys, once all before it is carried out: it is the
// one thing for which a connection waits. Not ok means that it has answered with
// an error.
func (c *conn) listing() (ctx context.Context, end func(), ok bool) {
	c.runBatch()
	ctx, cancel := context.WithTimeout(c.ctx, scanTimeout)
	select {
	case c.s.scans <- struct{}{}:
		return ctx, func() { cancel(); <-c.s.scans }, true
	case <-ctx.Done():
		cancel()
		c.fail(errorText(kv.Errorf(kv.KindOverloaded, "list keys", "%d listings are under way", maxScans), false))
		return nil, nil, false
	}
}

func (c *conn) scan() {
	s, ok := c.scanOptions()
	if !ok {
		return
	}
	ctx, end, ok := c.listing()
	if !ok {
		return
	}
	defer end()
	keys, next, err := c.s.scan(ctx, s)
	if err != nil {
		c.fail(errorText(err, false))
		return
	}
	o := c.reply()
	o.text = appendArray(o.text, 2)
	o.text = appendBulk(o.text, strconv.FormatUint(uint64(next), 10))
	o.text = appendArray(o.text, len(keys))
	for _, k := range keys {
		o.text = appendBulk(o.text, k)
	}
}

// scan returns the keys of some partitions and the cursor that goes on after them.
func (s *Server) scan(ctx context.Context, q scanning) (keys [][]byte, next cursor, err error) {
	of := s.parts.Store.Partitions()
	p, position := int(q.from>>32), uint32(q.from)
	if of == 0 {
		return nil, 0, kv.Errorf(kv.KindUnavailable, "scan", "this node is not in a ring yet")
	}
	for visited := 0; p < of && len(keys) < q.count && visited < maxVisited; visited++ {
		found, rest, err := s.partition(ctx, kv.Partition(p), position)
		if err != nil {
			return nil, 0, err
		}
		for _, f := range found {
			if !q.none && (q.pattern == nil || match(q.pattern, f.key)) {
				keys = append(keys, f.key)
			}
		}
		if position = rest; position == 0 {
			p++
		}
	}
	if p >= of {
		return keys, 0, nil
	}
	return keys, cursorOf(kv.Partition(p), position), nil
}

// partition returns the first keys of a partition from a position on, in order,
// and the position from which there are more, 0 if there are none.
func (s *Server) partition(ctx context.Context, p kv.Partition, from uint32) ([]place, uint32, error) {
	var found []place
	var rest uint32
	err := s.parts.Store.Keys(ctx, Bucket, p, func(position uint32, key []byte) error {
		if position < from || rest != 0 && position >= rest {
			return nil
		}
		found = append(found, place{position, bytes.Clone(key)})
		if len(found) >= 2*maxScanned {
			found, rest = firstPlaces(found, rest)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(found, byPosition)
	if len(found) > maxScanned {
		found, rest = firstPlaces(found, rest)
	}
	return found, rest, nil
}

// firstPlaces returns the first maxScanned of found and those at the same
// position as the last, and the position of the first that is left out; rest if
// none is.
func firstPlaces(found []place, rest uint32) ([]place, uint32) {
	slices.SortFunc(found, byPosition)
	n := maxScanned
	for n < len(found) && found[n].position == found[n-1].position {
		n++
	}
	if n < len(found) {
		rest = found[n].position
	}
	return found[:n], rest
}

// everyKey calls fn with each key. Its error ends it.
func (s *Server) everyKey(ctx context.Context, fn func(key []byte) error) error {
	for p := range s.parts.Store.Partitions() {
		err := s.parts.Store.Keys(ctx, Bucket, kv.Partition(p), func(_ uint32, key []byte) error { return fn(key) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) dbsize() {
	ctx, end, ok := c.listing()
	if !ok {
		return
	}
	defer end()
	var n int64
	if err := c.s.everyKey(ctx, func([]byte) error { n++; return nil }); err != nil {
		c.fail(errorText(err, false))
		return
	}
	o := c.reply()
	o.text = appendInt(o.text, n)
}

// flushAll deletes the keys that it finds, one by one.
func (c *conn) flushAll() {
	if !c.s.cfg.Flush {
		c.fail("ERR " + string(c.args[0]) + " is not allowed: it is for tests, on nodes that were started with --resp-flush")
		return
	}
	ctx, end, ok := c.listing()
	if !ok {
		return
	}
	defer end()
	var failed error
	err := c.s.everyKey(ctx, func(key []byte) error {
		o := c.store(change, key, func(_ *conn, _, outcome *op) {
			if outcome.err != nil {
				failed = outcome.err
			}
		})
		o.make = deleted
		c.batch.place()
		return failed
	})
	c.runBatch()
	if err = cmp.Or(err, failed); err != nil {
		c.fail(errorText(err, true))
		return
	}
	o := c.reply()
	o.text = append(o.text, "+OK\r\n"...)
}
