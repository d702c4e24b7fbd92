package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/ringtaildb/ringtail/client"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

// Other ways to use Redis, to see whether the one that is compared is a good one.
const (
	// Pooled is the other usual client, with a connection for each caller.
	Pooled View = "pooled"
	// Gathered sends what all callers put at the time over few connections, with
	// one WAIT at the end of it. No client that we know of does that.
	Gathered View = "gathered"
)

// pooledSession is go-redis.
type pooledSession struct{ client *goredis.Client }

func newPooled(port int) Session {
	return pooledSession{goredis.NewClient(&goredis.Options{Addr: fleet.Addr(port), PoolSize: maxPooled})}
}

// maxPooled is enough for every caller to have a connection.
const maxPooled = 1024

// Close implements Session.
func (s pooledSession) Close() { _ = s.client.Close() }

// Get implements bench.Store.
func (s pooledSession) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	_, err := s.client.Get(ctx, key).Bytes()
	if errors.Is(err, goredis.Nil) {
		return answer(false), nil
	}
	return answer(true), err
}

// Put implements bench.Store.
func (s pooledSession) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	p := s.client.Pipeline()
	p.Set(ctx, key, value, 0)
	wait := p.Do(ctx, "WAIT", 1, ackWithin.Milliseconds())
	if _, err := p.Exec(ctx); err != nil {
		return client.Result{}, err
	}
	n, err := wait.Int64()
	if err == nil && n < 1 {
		err = errTooFew
	}
	return answer(false), err
}

const (
	// lanes is how many connections gathered puts go over: while one waits for
	// the replica the next puts gather for the other.
	lanes = 2
	// maxGathered bounds the puts of one go.
	maxGathered = 128
)

// gatheredSession puts what callers have in hand with one WAIT.
type gatheredSession struct {
	redisSession
	puts chan gatheredPut
	ends sync.WaitGroup
}

type gatheredPut struct {
	ctx   context.Context
	key   string
	value []byte
	done  chan<- error
}

func newGathered(s redisSession) Session {
	g := &gatheredSession{redisSession: s, puts: make(chan gatheredPut, maxGathered)}
	for range lanes {
		g.ends.Go(g.lane)
	}
	return g
}

// Close implements Session; no put is under way.
func (g *gatheredSession) Close() {
	close(g.puts)
	g.ends.Wait()
	g.redisSession.Close()
}

// Put implements bench.Store.
func (g *gatheredSession) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	done := make(chan error, 1)
	g.puts <- gatheredPut{ctx: ctx, key: key, value: value, done: done}
	return answer(false), <-done
}

// lane puts what there is until the session is closed.
func (g *gatheredSession) lane() {
	for p := range g.puts {
		runtime.Gosched() // those who were answered together put together
		batch := []gatheredPut{p}
	gather:
		for len(batch) < maxGathered {
			select {
			case more, open := <-g.puts:
				if !open {
					break gather
				}
				batch = append(batch, more)
			default:
				break gather
			}
		}
		g.send(batch)
	}
}

func (g *gatheredSession) send(batch []gatheredPut) {
	commands := make(rueidis.Commands, 0, len(batch)+1)
	for _, p := range batch {
		commands = append(commands, g.client.B().Set().Key(p.key).Value(rueidis.BinaryString(p.value)).Build())
	}
	answers := g.client.DoMulti(batch[0].ctx, append(commands, g.wait())...)
	acked := acked(answers[len(batch)], 1)
	for i, p := range batch {
		err := acked
		if set := answers[i].Error(); set != nil {
			err = fmt.Errorf("SET: %w", set)
		}
		p.done <- err
	}
}
