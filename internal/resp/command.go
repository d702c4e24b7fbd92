package resp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Bucket is where the keys of Redis's commands are.
const Bucket = kv.BucketRedis

// command is a command that the door knows.
type command struct {
	name string
	// arity is how many words it has, its name included; with a minus sign it is
	// the least that it has.
	arity int
	flags string
	// first, last and step tell which words are keys; last counts from the end
	// when it is negative.
	first, last, step int
	run               func(*conn)
	// why, if set, is the reason for which the command is refused.
	why string
	// summary is for COMMAND DOCS.
	summary string
}

// byName finds commands by their names in capitals.
var byName = map[string]*command{}

func init() {
	for _, list := range [][]command{connectionCommands, dataCommands, expiryCommands, scanCommands, ownCommands, clusterCommands, refusedCommands()} {
		for i := range list {
			byName[strings.ToUpper(list[i].name)] = &list[i]
		}
	}
}

// described tells whether COMMAND tells of the command: those that are served, and
// those that are refused for what they would do to a key, for clients of a cluster
// must know which key that is before they send them and are told why.
func (cmd *command) described() bool { return cmd.arity != 0 }

// described returns the commands that COMMAND tells of, by name.
func described() []*command {
	var out []*command
	for _, cmd := range byName {
		if cmd.described() {
			out = append(out, cmd)
		}
	}
	slices.SortFunc(out, func(a, b *command) int { return strings.Compare(a.name, b.name) })
	return out
}

// maxCommandName bounds the name of a command, in bytes.
const maxCommandName = 32

// lookup finds a command by its name in any case.
func lookup(name []byte) *command {
	var upper [maxCommandName]byte
	if len(name) > len(upper) {
		return nil
	}
	for i, b := range name {
		upper[i] = capital(b)
	}
	return byName[string(upper[:len(name)])]
}

func capital(b byte) byte {
	if b >= 'a' && b <= 'z' {
		return b - 'a' + 'A'
	}
	return b
}

// is tells whether b is word, which is in capitals, in any case.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if capital(b[i]) != word[i] {
			return false
		}
	}
	return true
}

// command serves the command in args: it adds its ops.
func (c *conn) command() {
	c.served++
	c.skip, c.skipNext = c.skipNext, false
	cmd := lookup(c.args[0])
	switch {
	case cmd == nil && (is(c.args[0], "POST") || is(c.args[0], "HOST:")):
		// A web page has a browser send what it thinks is HTTP: what follows may
		// look like commands.
		c.closing = true
	case cmd == nil:
		c.fail(unknown(c.args))
	case cmd.why != "":
		c.fail("ERR " + cmd.why)
	case cmd.arity >= 0 && len(c.args) != cmd.arity, len(c.args) < -cmd.arity:
		c.wrongCount(cmd.name)
	default:
		c.last.Store(cmd)
		cmd.run(c)
	}
}

func (c *conn) wrongCount(name string) {
	c.fail("ERR wrong number of arguments for '" + name + "' command")
}

// unknown is the error for a command that nobody knows, in Redis's words.
func unknown(args [][]byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ERR unknown command '%s', with args beginning with: ", cut(args[0]))
	for _, a := range args[1:min(len(args), 8)] {
		fmt.Fprintf(&b, "'%s' ", cut(a))
	}
	return b.String()
}

// cut returns as much of b as is repeated in an error.
func cut(b []byte) []byte { return b[:min(len(b), 128)] }

// reasons are why commands are refused that other servers serve.
const (
	whyAtomic = "needs to read and write a key in one step, which no node of an always-writable store can: " +
		"there is no primary, and two nodes may take writes of one key at once; see RT.GET and RT.PUT, which keep both"
	whyTransaction = "is not supported: there are no transactions, for no node decides alone; see RT.GET and RT.PUT"
	whyScript      = "is not supported: scripts read and write in one step, which no node of an always-writable store can"
	whyPart        = "is not supported: values are read as a whole; use GET"
	whyType        = "is not supported: values are strings"
	whyPubSub      = "is not supported: there is no publish and subscribe"
	whyUsers       = "is not supported: there are no users and no passwords"
	whyOne         = "is not supported: there is one database"
	whyKeys        = "is not supported: it would hold up everything else; use SCAN"
	whyReplica     = "is not supported: every node takes reads and writes, and keeps its copies by itself"
	whyFormat      = "is not supported: values are not kept in Redis's form"
)

// refusals are the commands that are refused, by reason.
var refusals = map[string]string{
	whyAtomic:      "append decr decrby getdel getset incr incrby incrbyfloat msetnx rename renamenx copy setnx setrange setbit bitfield bitop",
	whyPart:        "getbit bitcount bitpos bitfield_ro lcs substr getrange",
	whyTransaction: "multi exec discard watch unwatch",
	whyScript:      "eval evalsha eval_ro evalsha_ro fcall fcall_ro function script",
	whyType: "hset hget hgetall hdel hexists hincrby hincrbyfloat hkeys hlen hmget hmset hsetnx hstrlen hvals hscan hrandfield " +
		"lpush rpush lpop rpop llen lindex linsert lrange lrem lset ltrim rpoplpush lmove blmove blpop brpop lpos lpushx rpushx lmpop blmpop " +
		"sadd srem smembers sismember smismember scard sdiff sinter sunion sdiffstore sinterstore sunionstore spop srandmember smove sscan sintercard " +
		"zadd zrem zscore zcard zcount zincrby zrange zrank zrevrank zrevrange zrangebyscore zrevrangebyscore zscan zpopmin zpopmax bzpopmin bzpopmax zunionstore zinterstore zmscore zrangestore " +
		"xadd xread xrange xlen xdel xtrim xgroup xreadgroup xack xinfo xpending xclaim xautoclaim xrevrange geoadd geopos geodist geosearch " +
		"pfadd pfcount pfmerge sort sort_ro",
	whyPubSub:  "subscribe unsubscribe psubscribe punsubscribe publish pubsub ssubscribe sunsubscribe spublish monitor",
	whyUsers:   "auth acl",
	whyOne:     "move swapdb",
	whyKeys:    "keys randomkey",
	whyReplica: "replicaof slaveof sync psync replconf failover wait waitaof migrate",
	whyFormat:  "dump restore object debug",
}

func refusedCommands() []command {
	var out []command
	for why, names := range refusals {
		for name := range strings.FieldsSeq(names) {
			cmd := command{name: name, why: strings.ToUpper(name) + " " + why}
			if why == whyAtomic || why == whyPart {
				cmd.arity, cmd.flags, cmd.first, cmd.last, cmd.step = -2, "write", 1, 1, 1
				cmd.summary = "Is refused."
			}
			out = append(out, cmd)
		}
	}
	return out
}
