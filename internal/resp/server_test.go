package resp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestCommands sends each line, as a line, and reads its answer.
func TestCommands(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"connection", `
PING → +PONG
PING hi → $2 hi
ECHO hi → $2 hi
SELECT 0 → +OK
SELECT 1 → -ERR DB index is out of range: there is one database, 0
CONFIG GET save → *0
CLIENT GETNAME → $-1
CLIENT SETNAME me → +OK
CLIENT GETNAME → $2 me
CLIENT SETINFO LIB-NAME x → +OK
CLIENT NO-EVICT on → +OK
CLIENT ID → :1
RESET → +RESET
CLIENT GETNAME → $-1
HELLO 4 → -NOPROTO unsupported protocol version
HELLO 3 AUTH a b → -ERR HELLO with AUTH is not supported: there are no users and no passwords
HELLO 2 SETNAME you → *14 $6 server $5 redis $7 version $5 7.2.0 $5 proto :2 $2 id :1 $4 mode $10 standalone $4 role $6 master $7 modules *0
CLIENT GETNAME → $3 you
COMMAND INFO get nope → *2 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *0 *0 *0 *0 $-1
COMMAND GETKEYS mset a 1 b 2 → *2 $1 a $1 b
get → -ERR wrong number of arguments for 'get' command
nope a b → -ERR unknown command 'nope', with args beginning with: 'a' 'b' 
CLUSTER INFO → -ERR This instance has cluster support disabled: the cluster was not created with --partitioner crc16; any node takes any key
QUIT → +OK
`},
		{"replies turned off", `
CLIENT REPLY SKIP →
PING →
PING → +PONG
CLIENT REPLY OFF →
SET a b →
MGET a a a →
GET nope →
CLIENT REPLY ON → +OK
GET a → $1 b
`},
		{"strings", `
GET a → $-1
SET a hello → +OK
GET a → $5 hello
STRLEN a → :5
TYPE a → +string
TYPE b → +none
EXISTS a b a → :2
MSET a 1 b 2 a 3 → +OK
MGET a b c a → *4 $1 3 $1 2 $-1 $1 3
DEL a a c → :1
UNLINK b → :1
MGET a b → *2 $-1 $-1
MSET a → -ERR wrong number of arguments for 'mset' command
MSET a 1 b → -ERR wrong number of arguments for 'mset' command
SET a b EX 0 → -ERR invalid expire time in 'set' command
SET a b EX 10 PX 10 → -ERR syntax error
SET a b KEEPTTL EX 10 → -ERR syntax error
SET a b EX → -ERR syntax error
SET a b EX 9223372036854775807 → -ERR invalid expire time in 'set' command
SETEX a -1 b → -ERR invalid expire time in 'setex' command
EXISTS a → :0
DBSIZE → :0
FLUSHALL → -ERR FLUSHALL is not allowed: it is for tests, on nodes that were started with --resp-flush
`},
		{"lifetimes", `
SET a b EX 100 → +OK
TTL a → :100
PERSIST a → :1
PERSIST a → :0
TTL a → :-1
PTTL b → :-2
EXPIRE a 50 → :1
TTL a → :50
EXPIRE b 50 → :0
EXPIRE a 50 NX → -ERR NX, XX, GT and LT: this ` + whyAtomic + `
EXPIRE a x → -ERR value is not an integer or out of range
SET a c KEEPTTL → +OK
TTL a → :50
GET a → $1 c
EXPIREAT a 4000000000 → :1
EXPIRETIME a → :4000000000
PEXPIREAT a 4000000000001 → :1
PEXPIRETIME a → :4000000000001
GETEX a PERSIST → $1 c
TTL a → :-1
GETEX a EX 10 → $1 c
TTL a → :10
GETEX b EX 10 → $-1
GETEX a → $1 c
SET a d → +OK
TTL a → :-1
PSETEX a 100000 e → +OK
TTL a → :100
SET a f PXAT 4000000000000 → +OK
EXPIRETIME a → :4000000000
SET a f EXAT 1 → +OK
GET a → $-1
SET a f → +OK
EXPIRE a 0 → :1
GET a → $-1
`},
		{"RESP3", `
HELLO 3 → %7 $6 server $5 redis $7 version $5 7.2.0 $5 proto :3 $2 id :1 $4 mode $10 standalone $4 role $6 master $7 modules *0
GET a → _
CONFIG GET save → %0
MGET a → *1 _
COMMAND INFO ping → *1 *10 $4 ping :-1 ~1 +fast :0 :0 :0 ~0 *0 *0 *0
`},
		{"what needs consensus", `
SET a b NX → -ERR SET with NX ` + whyAtomic + `
SET a b GET → -ERR SET with GET ` + whyAtomic + `
INCR a → -ERR INCR ` + whyAtomic + `
GETSET a b → -ERR GETSET ` + whyAtomic + `
APPEND a b → -ERR APPEND ` + whyAtomic + `
GETRANGE a 0 1 → -ERR GETRANGE ` + whyPart + `
COMMAND GETKEYS incr a → *1 $1 a
MULTI → -ERR MULTI ` + whyTransaction + `
WATCH a → -ERR WATCH ` + whyTransaction + `
EVAL x 0 → -ERR EVAL ` + whyScript + `
HSET a b c → -ERR HSET ` + whyType + `
AUTH a → -ERR AUTH ` + whyUsers + `
CLIENT TRACKING on → -ERR CLIENT TRACKING is not supported: a node does not see the writes that others coordinate; turn the client's cache off
`},
	} {
		t.Run(c.name, func(t *testing.T) { runScript(t, startDoor(t, nil).dial(), c.script) })
	}
}

// runScript sends what stands before each arrow, and expects what stands after
// it: there a space is a line's end, but for errors.
func runScript(t *testing.T, c *testClient, script string) {
	t.Helper()
	for line := range strings.Lines(strings.TrimSpace(script)) {
		send, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " →")
		if !ok {
			t.Fatalf("%q", line)
		}
		c.send(send + "\r\n")
		if want = strings.TrimPrefix(want, " "); want != "" {
			if want[0] != '-' || want[1] >= '0' && want[1] <= '9' {
				want = strings.ReplaceAll(want, " ", "\r\n")
			}
			c.expect(want + "\r\n")
		}
	}
}

// TestSiblings shows Dynamo's own model.
func TestSiblings(t *testing.T) {
	c := startDoor(t, nil).dial()
	c.send("RT.GET a\r\n")
	c.expect("*2\r\n$-1\r\n*0\r\n")
	first := c.context("RT.PUT a one")
	c.send("RT.PUT a two\r\n")
	c.expect("$-1\r\n")
	c.send("RT.GET a\r\n")
	c.expect("*2\r\n")
	both := c.bulk()
	c.expect("*2\r\n$3\r\none\r\n$3\r\ntwo\r\n")
	c.send("RT.PUT a three CTX " + first + "\r\n")
	c.expect("$-1\r\n")
	c.send("RT.GET a R 1\r\n")
	c.expect("*2\r\n")
	c.bulk()
	c.expect("*2\r\n$3\r\ntwo\r\n$5\r\nthree\r\n")
	c.send("RT.DEL a CTX " + both + " W 1 DW 0\r\nGET a\r\n")
	c.expect("+OK\r\n$5\r\nthree\r\n")
	c.send("SET a last\r\nRT.GET a\r\n")
	c.expect("+OK\r\n*2\r\n")
	c.bulk()
	c.expect("*1\r\n$4\r\nlast\r\n")
	c.send("RT.DEL a\r\nGET a\r\nRT.PUT a x R\r\nRT.GET a W 1\r\nRT.PUT a x W 17\r\nRT.PUT a x CTX !\r\n")
	c.expect("+OK\r\n$-1\r\n-ERR syntax error\r\n-ERR syntax error\r\n" +
		"-ERR read options: \"17\" is no number of replicas, which is at most 16 (kind: invalid, applied: no)\r\n" +
		"-ERR read context: it is not base64url (kind: bad context, applied: no)\r\n")
}

func (c *testClient) context(command string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.bulk()
}

// bulk reads a bulk string that has no line's end in it.
func (c *testClient) bulk() string {
	c.t.Helper()
	if _, err := c.r.ReadString('\n'); err != nil {
		c.t.Fatal(err)
	}
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(s)
}

// TestPipelines: whatever the order in which the store answers, a connection's
// commands have the effects and the answers that they have one after the other.
func TestPipelines(t *testing.T) {
	for seed := range uint64(8) {
		d := startDoor(t, func(_ *Config, s *testStore, _ *testCluster) { s.late = upTo(time.Millisecond) })
		c, rnd := d.dial(), rand.New(rand.NewPCG(seed, 0))
		have := map[string]string{}
		var send, want strings.Builder
		value := func(k string) string {
			if v, ok := have[k]; ok {
				return string(appendBulk(nil, v))
			}
			return "$-1\r\n"
		}
		for i := range 500 {
			k, k2, v := fmt.Sprint("k", rnd.IntN(6)), fmt.Sprint("k", rnd.IntN(6)), fmt.Sprint("v", i)
			switch rnd.IntN(6) {
			case 0, 1:
				send.WriteString(array("SET", k, v))
				want.WriteString("+OK\r\n")
				have[k] = v
			case 2:
				send.WriteString(array("GET", k))
				want.WriteString(value(k))
			case 3:
				send.WriteString(array("MGET", k, k2, k))
				want.WriteString("*3\r\n" + value(k) + value(k2) + value(k))
			case 4:
				n := 0
				for _, k := range []string{k, k2} {
					if _, ok := have[k]; ok {
						n++
					}
					delete(have, k)
				}
				send.WriteString(array("DEL", k, k2))
				fmt.Fprintf(&want, ":%d\r\n", n)
			case 5:
				send.WriteString(array("MSET", k, v, k2, v+"x"))
				want.WriteString("+OK\r\n")
				have[k] = v
				have[k2] = v + "x"
			}
		}
		c.send(send.String())
		c.expect(want.String())
	}
}

// TestParallel: commands for different keys are under way together: the store
// answers none before all are there.
func TestParallel(t *testing.T) {
	const keys = 16
	s := &gathering{testStore: newTestStore(), until: keys}
	d := startDoor(t, nil)
	d.parts.Store = s
	var send strings.Builder
	for i := range keys {
		send.WriteString(array("GET", fmt.Sprint(i)))
	}
	c := d.dial()
	c.send(send.String())
	c.expect(strings.Repeat("$-1\r\n", keys))
}

// gathering is a store that answers gets once so many have come.
type gathering struct {
	*testStore
	until   int
	waiting []Receiver
}

func (s *gathering) Get(_ kv.Key, _ kv.Options, to Receiver) {
	if s.waiting = append(s.waiting, to); len(s.waiting) == s.until {
		for _, w := range s.waiting {
			w.Receive(wire.Answer{}, nil)
		}
	}
}

// TestSlow: what takes long holds up no answer to what came before it.
func TestSlow(t *testing.T) {
	goOn := make(chan struct{})
	d := startDoor(t, nil)
	d.parts.Store = &slowStore{d.store, goOn}
	c := d.dial()
	c.send("PING\r\nGET a\r\nDEL a\r\nGET slow\r\nSET b x\r\nGET b\r\nMGET a slow\r\n")
	c.expect("+PONG\r\n$-1\r\n")
	close(goOn)
	c.expect(":0\r\n$-1\r\n+OK\r\n$1\r\nx\r\n*2\r\n$-1\r\n$-1\r\n")
}

// slowStore answers gets of the key slow once it is told to.
type slowStore struct {
	*testStore
	goOn chan struct{}
}

func (s *slowStore) Get(key kv.Key, o kv.Options, to Receiver) {
	if string(key.User()) != "slow" {
		s.testStore.Get(key, o, to)
		return
	}
	go func() {
		<-s.goOn
		to.Receive(wire.Answer{}, nil)
	}()
}

// TestShared: reads of a key that follow each other are one get, and of writes
// only the last is put.
func TestShared(t *testing.T) {
	d := startDoor(t, nil)
	c := d.dial()
	c.send(strings.Repeat(array("SET", "a", "1"), 5) + array("SET", "a", "2") + strings.Repeat(array("GET", "a"), 6))
	c.expect(strings.Repeat("+OK\r\n", 6) + strings.Repeat("$1\r\n2\r\n", 6))
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	if d.store.puts > 2 || d.store.gets > 2 {
		// The commands may have come in two pieces.
		t.Errorf("%d puts, %d gets", d.store.puts, d.store.gets)
	}
}

// TestErrors: of a command for many keys one error is the answer.
func TestErrors(t *testing.T) {
	d := startDoor(t, nil)
	d.store.fail["down"] = kv.Errorf(kv.KindUnavailable, "get", "1 of 3 can be reached")
	d.store.fail["slow"] = &kv.Error{Op: "put", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown}
	d.store.fail["odd"] = errors.New("odd\r\nend")
	runScript(t, d.dial(), `
GET down → -CLUSTERDOWN get: 1 of 3 can be reached (kind: unavailable, applied: no)
SET slow x → -ERR put: timeout (kind: timeout, applied: unknown)
GET slow → -ERR put: timeout (kind: timeout, applied: no)
GET odd → -ERR odd  end (kind: internal, applied: no)
MGET a down b → -CLUSTERDOWN get: 1 of 3 can be reached (kind: unavailable, applied: no)
MSET a 1 down 2 → -ERR write some of the keys: get: 1 of 3 can be reached (kind: unavailable, applied: unknown)
DEL down → -CLUSTERDOWN get: 1 of 3 can be reached (kind: unavailable, applied: no)
EXISTS a down → -CLUSTERDOWN get: 1 of 3 can be reached (kind: unavailable, applied: no)
GET a → $1 1
`)
}

func TestScan(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.Flush = true })
	c := d.dial()
	const keys = 10_000
	var send strings.Builder
	for i := range keys {
		send.WriteString(array("SET", fmt.Sprint(i%10, ":", i), "v"))
	}
	go func() { _, _ = c.Write([]byte(send.String())) }()
	c.expect(strings.Repeat("+OK\r\n", keys))
	for _, q := range []struct {
		options string
		want    int
	}{{"", keys}, {" COUNT 3000", keys}, {" MATCH 7:*", keys / 10}, {" TYPE string", keys}, {" TYPE hash", 0}} {
		seen, calls, cur := map[string]bool{}, 0, "0"
		for calls == 0 || cur != "0" {
			calls++
			c.send("SCAN " + cur + q.options + "\r\n")
			c.expect("*2\r\n")
			cur = c.bulk()
			var n int
			if _, err := fmt.Fscanf(c.r, "*%d\r\n", &n); err != nil {
				t.Fatal(err)
			}
			for range n {
				if k := c.bulk(); seen[k] {
					t.Errorf("%q twice", k)
				} else {
					seen[k] = true
				}
			}
		}
		if len(seen) != q.want || calls < 2 && q.want == keys {
			t.Errorf("scan%s: %d keys in %d calls, want %d", q.options, len(seen), calls, q.want)
		}
	}
	runScript(t, c, `
DBSIZE → :10000
FLUSHDB → +OK
DBSIZE → :0
SCAN x → -ERR invalid cursor
SCAN 0 COUNT 0 → -ERR value is not an integer or out of range
SCAN 0 COUNT → -ERR syntax error
SCAN 18446744073709551615 → *2 $1 0 *0
`)
}

func TestCluster(t *testing.T) {
	d := startDoor(t, func(_ *Config, _ *testStore, c *testCluster) { c.enabled = true })
	one, two := strings.Repeat("0", 39)+"1", strings.Repeat("0", 39)+"2"
	nodes := one + " 10.0.0.1:7403@7403 myself,master - 0 0 7 connected 0-8191 8192-16383\n" +
		two + " 10.0.0.2:7403@7403 master,fail - 0 0 7 disconnected\n"
	c := d.dial()
	runScript(t, c, `
CLUSTER KEYSLOT foo{bar}baz → :5061
CLUSTER MYID → $40 `+one+`
READONLY → +OK
READWRITE → +OK
ASKING → +OK
CLUSTER SLOTS → *2 *3 :0 :8191 *4 $8 10.0.0.1 :7403 $40 `+one+` *0 *3 :8192 :16383 *4 $8 10.0.0.1 :7403 $40 `+one+` *0
CLUSTER NOPE → -ERR unknown subcommand or wrong number of arguments for 'CLUSTER|NOPE'
CLUSTER COUNTKEYSINSLOT 16384 → -ERR Invalid slot
CLUSTER COUNTKEYSINSLOT 5061 → :0
`)
	c.send("CLUSTER NODES\r\n")
	c.expect(string(appendBulk(nil, nodes)))
}

// TestEnds: a server that ends answers what it has taken, and closes idle
// connections.
func TestEnds(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	d := startDoor(t, func(_ *Config, s *testStore, _ *testCluster) {
		s.gate = func(kv.Key) { close(begun); <-goOn }
	})
	idle, busy := d.dial(), d.dial()
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	busy.send("GET a\r\n")
	<-begun
	ended := make(chan error, 1)
	go func() { ended <- d.end() }()
	idle.ends()
	close(goOn)
	busy.expect("$-1\r\n")
	busy.ends()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", d.addr); err == nil {
		t.Error("it still listens")
	}
}

func TestCounts(t *testing.T) {
	d := startDoor(t, nil)
	c := d.dial()
	c.send("SET a b\r\nGET a\r\nPING\r\n")
	c.expect("+OK\r\n$1\r\nb\r\n+PONG\r\n")
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
	if n := d.parts.Metrics.Requests[metrics.DoorRESP].Load(); n != 2 {
		t.Errorf("%d requests are counted", n)
	}
}
