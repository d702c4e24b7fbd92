package resp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var connectionCommands = []command{
	{name: "ping", arity: -1, flags: "fast", run: (*conn).ping, summary: "Answers PONG, or what it is given."},
	{name: "echo", arity: 2, flags: "fast", run: (*conn).echo, summary: "Answers what it is given."},
	{name: "hello", arity: -1, flags: "fast noscript loading stale", run: (*conn).hello, summary: "Chooses RESP2 or RESP3, and introduces the server."},
	{name: "select", arity: 2, flags: "fast", run: (*conn).selectDatabase, summary: "Takes 0, the one database."},
	{name: "quit", arity: -1, flags: "fast", run: func(c *conn) { c.ok(); c.closing = true }, summary: "Closes the connection."},
	{name: "reset", arity: 1, flags: "fast", run: (*conn).resetState, summary: "Makes the connection as it was when it was new."},
	{name: "client", arity: -2, flags: "admin", run: (*conn).client, summary: "Names, lists and closes connections."},
	{name: "command", arity: -1, flags: "loading stale", run: (*conn).describe, summary: "Describes the commands."},
	{name: "info", arity: -1, flags: "loading stale", run: (*conn).info, summary: "Describes the server."},
	{name: "config", arity: -2, flags: "admin", run: (*conn).config, summary: "Has no parameters: GET answers none."},
	{name: "time", arity: 1, flags: "fast", run: (*conn).time, summary: "Returns the server's clock."},
	{name: "lolwut", arity: -1, flags: "fast", run: func(c *conn) { c.bulk("Ringtail " + c.s.parts.Version + "\n") }, summary: "Returns the version."},
}

func (c *conn) ok() { c.status("OK") }

func (c *conn) status(s string) {
	o := c.reply()
	o.text = appendStatus(o.text, s)
}

func (c *conn) bulk(s string) {
	o := c.reply()
	o.text = appendBulk(o.text, s)
}

func (c *conn) integer(n int64) {
	o := c.reply()
	o.text = appendInt(o.text, n)
}

func (c *conn) syntax() { c.fail("ERR syntax error") }

func (c *conn) ping() {
	switch len(c.args) {
	case 1:
		c.status("PONG")
	case 2:
		c.echo()
	default:
		c.wrongCount("ping")
	}
}

func (c *conn) echo() {
	o := c.reply()
	o.text = appendBulk(o.text, c.args[1])
}

func (c *conn) time() {
	o, now := c.reply(), time.Now()
	o.text = appendArray(o.text, 2)
	o.text = appendBulk(o.text, strconv.FormatInt(now.Unix(), 10))
	o.text = appendBulk(o.text, strconv.Itoa(now.Nanosecond()/1000))
}

func (c *conn) selectDatabase() {
	if n, ok := parseInt(c.args[1]); !ok {
		c.fail("ERR invalid DB index")
	} else if n != 0 {
		c.fail("ERR DB index is out of range: there is one database, 0")
	} else {
		c.ok()
	}
}

func (c *conn) resetState() {
	c.proto, c.quiet = resp2, false
	c.mu.Lock()
	c.mu.name = ""
	c.mu.Unlock()
	c.status("RESET")
}

// redisVersion is the version of Redis whose clients' commands are served; some
// clients look at it before they use newer ones.
const redisVersion = "7.2.0"

func (c *conn) hello() {
	words, proto := c.args[1:], c.proto
	if len(words) > 0 {
		n, ok := parseInt(words[0])
		if !ok || n != 2 && n != 3 {
			c.fail("NOPROTO unsupported protocol version")
			return
		}
		proto, words = protocol(n), words[1:]
	}
	for len(words) > 0 {
		switch {
		case is(words[0], "AUTH") && len(words) > 2:
			c.fail("ERR HELLO with AUTH " + whyUsers)
			return
		case is(words[0], "SETNAME") && len(words) > 1:
			if !c.setName(words[1]) {
				return
			}
			words = words[2:]
		default:
			c.fail("ERR Syntax error in HELLO option '" + string(cut(words[0])) + "'")
			return
		}
	}
	c.proto = proto
	o := c.reply()
	b := appendMap(o.text, proto, 7)
	b = appendBulk(appendBulk(b, "server"), "redis")
	b = appendBulk(appendBulk(b, "version"), redisVersion)
	b = appendInt(appendBulk(b, "proto"), int64(proto))
	b = appendInt(appendBulk(b, "id"), c.id)
	b = appendBulk(appendBulk(b, "mode"), c.mode())
	b = appendBulk(appendBulk(b, "role"), "master")
	o.text = appendArray(appendBulk(b, "modules"), 0)
}

func (c *conn) mode() string {
	if c.s.parts.Cluster.Enabled() {
		return "cluster"
	}
	return "standalone"
}

// config serves CONFIG GET, which finds nothing.
func (c *conn) config() {
	switch sub := c.args[1]; {
	case is(sub, "GET") && len(c.args) > 2:
		o := c.reply()
		o.text = appendMap(o.text, c.proto, 0)
	case is(sub, "RESETSTAT"):
		c.ok()
	default:
		c.fail("ERR CONFIG " + string(cut(sub)) + " is not supported: a node is configured when it is started")
	}
}

// describe serves COMMAND.
func (c *conn) describe() {
	all := described()
	if len(c.args) == 1 {
		o := c.reply()
		o.text = appendArray(o.text, len(all))
		for _, cmd := range all {
			o.text = cmd.appendTo(o.text, o.proto)
		}
		return
	}
	switch sub := c.args[1]; {
	case is(sub, "COUNT") && len(c.args) == 2:
		c.integer(int64(len(all)))
	case is(sub, "INFO"):
		c.describeSome(all)
	case is(sub, "DOCS"):
		c.document(all)
	case is(sub, "LIST") && len(c.args) == 2:
		o := c.reply()
		o.text = appendArray(o.text, len(all))
		for _, cmd := range all {
			o.text = appendBulk(o.text, cmd.name)
		}
	case is(sub, "GETKEYS") && len(c.args) > 2:
		c.keysOf(c.args[2:])
	default:
		c.fail("ERR unknown subcommand '" + string(cut(sub)) + "' of COMMAND")
	}
}

func (c *conn) describeSome(all []*command) {
	names := c.args[2:]
	o := c.reply()
	if len(names) == 0 {
		o.text = appendArray(o.text, len(all))
		for _, cmd := range all {
			o.text = cmd.appendTo(o.text, o.proto)
		}
		return
	}
	o.text = appendArray(o.text, len(names))
	for _, name := range names {
		if cmd := lookup(name); cmd != nil && cmd.described() {
			o.text = cmd.appendTo(o.text, o.proto)
		} else {
			o.text = appendNull(o.text, o.proto)
		}
	}
}

// document serves COMMAND DOCS.
func (c *conn) document(all []*command) {
	if names := c.args[2:]; len(names) > 0 {
		all = nil
		for _, name := range names {
			if cmd := lookup(name); cmd != nil && cmd.described() && !slices.Contains(all, cmd) {
				all = append(all, cmd)
			}
		}
	}
	o := c.reply()
	b := appendMap(o.text, c.proto, len(all))
	for _, cmd := range all {
		b = appendMap(appendBulk(b, cmd.name), c.proto, 2)
		b = appendBulk(appendBulk(b, "summary"), cmd.summary)
		b = appendBulk(appendBulk(b, "group"), "generic")
	}
	o.text = b
}

// keysOf serves COMMAND GETKEYS.
func (c *conn) keysOf(args [][]byte) {
	cmd := lookup(args[0])
	if cmd == nil || cmd.first == 0 || cmd.first >= len(args) {
		c.fail("ERR The command has no key arguments")
		return
	}
	last := cmd.last
	if last < 0 {
		last += len(args)
	}
	var keys [][]byte
	for i := cmd.first; i <= last; i += cmd.step {
		keys = append(keys, args[i])
	}
	o := c.reply()
	o.text = appendArray(o.text, len(keys))
	for _, k := range keys {
		o.text = appendBulk(o.text, k)
	}
}

// appendTo appends the command as COMMAND describes it: name, arity, flags,
// positions of the keys; then categories, tips, key specifications and
// subcommands, of which there are none.
func (cmd *command) appendTo(dst []byte, p protocol) []byte {
	dst = appendArray(dst, 10)
	dst = appendBulk(dst, cmd.name)
	dst = appendInt(dst, int64(cmd.arity))
	flags := strings.Fields(cmd.flags)
	dst = appendSet(dst, p, len(flags))
	for _, f := range flags {
		dst = appendStatus(dst, f)
	}
	for _, n := range []int{cmd.first, cmd.last, cmd.step} {
		dst = appendInt(dst, int64(n))
	}
	dst = appendSet(dst, p, 0)
	for range 3 {
		dst = appendArray(dst, 0)
	}
	return dst
}

// info serves INFO: all of it, whatever sections are asked for, for it is short.
func (c *conn) info() {
	s := c.s
	enabled := 0
	if s.parts.Cluster.Enabled() {
		enabled = 1
	}
	text := fmt.Sprintf("# Server\r\nredis_version:%s\r\nringtail_version:%s\r\nredis_mode:%s\r\nprocess_supervised:no\r\ntcp_port:%d\r\nuptime_in_seconds:%d\r\n\r\n"+
		"# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n\r\n"+
		"# Persistence\r\nloading:0\r\n\r\n"+
		"# Stats\r\ntotal_connections_received:%d\r\ntotal_commands_processed:%d\r\n\r\n"+
		"# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_link_status:up\r\n\r\n"+
		"# Cluster\r\ncluster_enabled:%d\r\n\r\n# Keyspace\r\n",
		redisVersion, s.parts.Version, c.mode(), s.parts.Port, s.seconds(),
		s.open(), s.cfg.MaxConnections, s.accepted.Load(), s.commands.Load()+c.served, enabled)
	o := c.reply()
	o.text = appendVerbatim(o.text, o.proto, text)
}
