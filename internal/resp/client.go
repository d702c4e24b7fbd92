package resp

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// client serves CLIENT.
func (c *conn) client() {
	sub, args := c.args[1], c.args[2:]
	switch {
	case is(sub, "ID") && len(args) == 0:
		c.integer(c.id)
	case is(sub, "GETNAME") && len(args) == 0:
		c.getName()
	case is(sub, "SETNAME") && len(args) == 1:
		if c.setName(args[0]) {
			c.ok()
		}
	case is(sub, "SETINFO") && len(args) == 2:
		c.setInfo(args[0], args[1])
	case is(sub, "INFO") && len(args) == 0:
		o := c.reply()
		o.text = appendVerbatim(o.text, o.proto, c.line())
	case is(sub, "LIST"):
		c.list()
	case is(sub, "KILL") && len(args) > 0:
		c.kill(args)
	case (is(sub, "NO-EVICT") || is(sub, "NO-TOUCH")) && len(args) == 1:
		// Nothing is ever evicted, and reading leaves no trace.
		c.ok()
	case is(sub, "REPLY") && len(args) == 1:
		c.setReply(args[0])
	case is(sub, "TRACKING"), is(sub, "CACHING"), is(sub, "TRACKINGINFO"), is(sub, "GETREDIR"):
		c.fail("ERR CLIENT " + strings.ToUpper(string(sub)) + " is not supported: a node does not see the writes that others " +
			"coordinate; turn the client's cache off")
	default:
		c.fail("ERR unknown subcommand or wrong number of arguments for 'CLIENT|" + string(cut(sub)) + "'")
	}
}

func (c *conn) getName() {
	o := c.reply()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.name == "" {
		o.text = appendNull(o.text, o.proto)
		return
	}
	o.text = appendBulk(o.text, c.mu.name)
}

// plain tells whether b can stand in a line of CLIENT LIST.
func plain(b []byte) bool {
	return len(b) <= maxName && !slices.ContainsFunc(b, func(x byte) bool { return x <= ' ' || x > '~' })
}

// setName takes the connection's name, or answers with an error.
func (c *conn) setName(name []byte) bool {
	if !plain(name) {
		c.fail("ERR Client names cannot contain spaces, newlines or special characters, and have at most 256 bytes")
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.name = string(name)
	return true
}

func (c *conn) setInfo(what, value []byte) {
	if !plain(value) {
		c.fail("ERR " + string(cut(what)) + " cannot contain spaces, newlines or special characters, and has at most 256 bytes")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case is(what, "LIB-NAME"):
		c.mu.lib = string(value)
	case is(what, "LIB-VER"):
		c.mu.libVersion = string(value)
	default:
		c.fail("ERR Unrecognized option '" + string(cut(what)) + "'")
		return
	}
	c.ok()
}

// line is the connection's in CLIENT LIST.
func (c *conn) line() string {
	cmd := "NULL"
	if last := c.last.Load(); last != nil {
		cmd = last.name
	}
	age := int64(time.Since(c.began) / time.Second)
	idle := max(0, c.s.seconds()-c.active.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("id=%d addr=%s laddr=%s name=%s age=%d idle=%d flags=N db=0 cmd=%s lib-name=%s lib-ver=%s\n",
		c.id, c.net.RemoteAddr(), c.net.LocalAddr(), c.mu.name, age, min(age, idle), cmd, c.mu.lib, c.mu.libVersion)
}

func (c *conn) list() {
	var conns []*conn
	c.s.each(func(other *conn) { conns = append(conns, other) })
	slices.SortFunc(conns, func(a, b *conn) int { return int(a.id - b.id) })
	var text strings.Builder
	for _, other := range conns {
		text.WriteString(other.line())
	}
	o := c.reply()
	o.text = appendVerbatim(o.text, o.proto, text.String())
}

// kill closes the connections that args choose, by address or by id.
func (c *conn) kill(args [][]byte) {
	if len(args) == 1 {
		if c.closeThose(func(other *conn) bool { return other.net.RemoteAddr().String() == string(args[0]) }) == 0 {
			c.fail("ERR No such client")
			return
		}
		c.ok()
		return
	}
	if len(args) != 2 {
		c.syntax()
		return
	}
	var chosen func(*conn) bool
	switch value := string(args[1]); {
	case is(args[0], "ID"):
		chosen = func(other *conn) bool { return fmt.Sprint(other.id) == value && other != c }
	case is(args[0], "ADDR"):
		chosen = func(other *conn) bool { return other.net.RemoteAddr().String() == value && other != c }
	default:
		c.syntax()
		return
	}
	c.integer(int64(c.closeThose(chosen)))
}

// closeThose closes the connections that are chosen, this one once it has
// answered, and returns how many they are.
func (c *conn) closeThose(chosen func(*conn) bool) int {
	n := 0
	c.s.each(func(other *conn) {
		if !chosen(other) {
			return
		}
		n++
		if other == c {
			c.closing = true
		} else {
			_ = other.net.Close()
		}
	})
	return n
}

func (c *conn) setReply(how []byte) {
	switch {
	case is(how, "ON"):
		c.quiet, c.skip = false, false
		c.ok()
	case is(how, "OFF"):
		c.quiet = true
	case is(how, "SKIP"):
		c.skipNext = !c.quiet
	default:
		c.syntax()
	}
}
