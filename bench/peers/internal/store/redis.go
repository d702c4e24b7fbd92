package store

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/ringtaildb/ringtail/client"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

// ackWithin is how long WAIT may wait for a replica.
const ackWithin = 5 * time.Second

// redis is one master with two replicas.
type redis struct {
	env     Env
	program Program
	durable bool
	group   *fleet.Group
	ports   [copies]int
}

// NewRedis returns a Redis: with an append-only file that is synced once a second,
// or, durable, before each answer.
func NewRedis(env Env, p Program, durable bool) Store {
	return &redis{env: env, program: p, durable: durable}
}

func (s *redis) Name() string {
	if s.durable {
		return "redis-durable"
	}
	return "redis-buffered"
}

func (s *redis) Version() string     { return s.program.Version }
func (s *redis) Group() *fleet.Group { return s.group }

// Start implements Store.
func (s *redis) Start(ctx context.Context) error {
	var err error
	if s.ports, err = s.env.ports(1); err != nil {
		return err
	}
	if s.group, err = s.env.group(s.Name()); err != nil {
		return err
	}
	for i := range copies {
		if err := s.startNode(i); err != nil {
			return err
		}
	}
	if err := s.group.Await(ctx, startWithin, s.Name()+": start", s.Whole); err != nil {
		return err
	}
	return s.group.Await(ctx, startWithin, s.Name()+": write the first append-only files", s.appending)
}

// appending returns nil when every node appends to its file. Before, a replica
// that has just got all data writes a first one, and syncs nothing.
func (s *redis) appending(ctx context.Context) error {
	for _, port := range s.ports {
		c, err := dialRedis(port, 1)
		if err != nil {
			return err
		}
		info, err := c.Do(ctx, c.B().Info().Section("persistence").Build()).ToString()
		c.Close()
		if err != nil {
			return err
		}
		for _, line := range []string{"aof_enabled:1", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"} {
			if !strings.Contains(info, line+"\r\n") {
				return fmt.Errorf("%s does not say %s", fleet.Addr(port), line)
			}
		}
	}
	return nil
}

func (s *redis) startNode(i int) error {
	name := "r" + strconv.Itoa(i+1)
	dir, err := s.group.Dir(name)
	if err != nil {
		return err
	}
	fsync := "everysec"
	if s.durable {
		fsync = "always"
	}
	args := []string{
		"--port", strconv.Itoa(s.ports[i]), "--bind", fleet.Host, "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", fsync,
		// To stand still while others are measured is no fault: the replicas stay
		// connected, and lag by nothing.
		"--repl-timeout", "3600", "--repl-backlog-size", "64mb", "--repl-diskless-sync-delay", "0",
	}
	if i > 0 {
		args = append(args, "--replicaof", fleet.Host+" "+strconv.Itoa(s.ports[0]))
	}
	return s.group.Start(name, s.program.Path, args...)
}

// Whole implements Store: both replicas acknowledge a write.
func (s *redis) Whole(ctx context.Context) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return put(ctx, c, probeKey, []byte("whole"), c.B().Wait().Numreplicas(copies-1).Timeout(lookTimeout.Milliseconds()).Build(), copies-1)
}

// lookTimeout is how long Whole waits for the replicas.
const lookTimeout = time.Second

func (s *redis) dial() (rueidis.Client, error) { return dialRedis(s.ports[0], s.env.conns(redisConns)) }

// dialRedis connects to one node, with as many shared connections: a power of two
// at most that.
func dialRedis(port, conns int) (rueidis.Client, error) {
	logarithm := bits.Len(uint(conns)) - 1
	if logarithm == 0 {
		logarithm = -1 // 0 is for a number of its own choice
	}
	return rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{fleet.Addr(port)}, ForceSingleClient: true, DisableCache: true, PipelineMultiplex: logarithm,
	})
}

// Open implements Store. The client sends gets of all callers over a few shared
// connections, many in one call, and a SET with its WAIT over a connection that
// is the caller's meanwhile: WAIT holds up what comes after it on a connection.
func (s *redis) Open(_ context.Context, v View) (Session, error) {
	switch v {
	case Plain, Gathered:
	case Pooled:
		return newPooled(s.ports[0]), nil
	default:
		return nil, unknownView(s.Name(), v)
	}
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	session := redisSession{client: c, aof: s.durable && hasWaitAOF(s.program.Version)}
	if v == Gathered {
		return newGathered(session), nil
	}
	return session, nil
}

// hasWaitAOF tells whether that version of Redis has the command WAITAOF.
func hasWaitAOF(version string) bool {
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	return errA == nil && errB == nil && (a > 7 || a == 7 && b >= 2)
}

type redisSession struct {
	client rueidis.Client
	aof    bool
}

// Close implements Session.
func (s redisSession) Close() { s.client.Close() }

// Get implements bench.Store.
func (s redisSession) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	_, err := s.client.Do(ctx, s.client.B().Get().Key(key).Build()).AsBytes()
	if rueidis.IsRedisNil(err) {
		return answer(false), nil
	}
	return answer(true), err
}

// Put implements bench.Store.
func (s redisSession) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	return answer(false), put(ctx, s.client, key, value, s.wait(), 1)
}

// wait returns the command that ends when a replica has what was set.
func (s redisSession) wait() rueidis.Completed {
	if s.aof {
		return s.client.B().Waitaof().Numlocal(1).Numreplicas(1).Timeout(ackWithin.Milliseconds()).Build()
	}
	return s.client.B().Wait().Numreplicas(1).Timeout(ackWithin.Milliseconds()).Build()
}

var errTooFew = errors.New("too few replicas have acknowledged")

// put sends SET and WAIT, or WAITAOF, in one go and returns nil when as many
// replicas as asked for have acknowledged.
func put(ctx context.Context, c rueidis.Client, key string, value []byte, wait rueidis.Completed, replicas int64) error {
	answers := c.DoMulti(ctx, c.B().Set().Key(key).Value(rueidis.BinaryString(value)).Build(), wait)
	if err := answers[0].Error(); err != nil {
		return fmt.Errorf("SET: %w", err)
	}
	return acked(answers[1], replicas)
}

// acked reads the answer to WAIT, a number, or WAITAOF, the master's and the
// replicas'.
func acked(r rueidis.RedisResult, replicas int64) error {
	m, err := r.ToMessage()
	if err != nil {
		return fmt.Errorf("WAIT: %w", err)
	}
	var local, remote int64 = 1, 0
	if m.IsArray() {
		both, err := m.AsIntSlice()
		if err != nil || len(both) != 2 {
			return fmt.Errorf("WAITAOF: %d numbers, %w", len(both), err)
		}
		local, remote = both[0], both[1]
	} else if remote, err = m.AsInt64(); err != nil {
		return fmt.Errorf("WAIT: %w", err)
	}
	if local < 1 || remote < replicas {
		return errTooFew
	}
	return nil
}
