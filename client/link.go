package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// tick is how late a request may notice that its deadline has passed.
	tick = 10 * time.Millisecond
	// deadAfter is how long a connection may be silent, in spite of pings, before
	// its requests fail and it is made anew. A node's own limit is longer, for
	// it has nowhere else to go.
	deadAfter = 1500 * time.Millisecond
	// minPause and maxPause bound the pause between two attempts to connect. It
	// doubles, and is drawn from the upper half of its range, so that the
	// clients of a node that returns do not come all at once.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
	// maxFutile is maxPause for an address that a node advertises and at which
	// it never answered: it may be one that only nodes can reach.
	maxFutile = 30 * time.Second
)

// dialer makes a connection; ctx bounds only that.
type dialer func(ctx context.Context, addr string) (net.Conn, error)

// Dial implements transport.Network.
func (d dialer) Dial(ctx context.Context, addr string) (net.Conn, error) { return d(ctx, addr) }

// Listen implements transport.Network; a client has no use for it.
func (dialer) Listen(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// link keeps one connection to one address in the pool.
type link struct {
	pool *pool
	addr string
	dial dialer
	// want is the node that is to answer there, 0 for any.
	want kv.NodeID
	// tried, if set, is told the outcome of each attempt.
	tried func(attempt int, err error)
	// last is the node that answered last, 0 before one did.
	last atomic.Uint64
}

// run connects, and connects again, until ctx ends.
func (l *link) run(ctx context.Context) {
	pause := minPause
	for attempt := 0; ctx.Err() == nil; attempt++ {
		lane, err := l.connect(ctx)
		if l.tried != nil {
			l.tried(attempt, err)
		}
		if err == nil {
			pause = minPause
			err = l.keep(ctx, lane)
		}
		l.pool.trouble(err)
		rest(ctx, pause)
		pause = min(2*pause, l.longestPause())
	}
}

func (l *link) longestPause() time.Duration {
	if l.want != 0 && l.last.Load() == 0 {
		return maxFutile
	}
	return maxPause
}

func (l *link) connect(ctx context.Context) (*lane, error) {
	cfg := transport.Default()
	cfg.Tick = tick
	cfg.DeadAfter = deadAfter
	hello := wire.Hello{Versions: wire.Spoken(), Role: wire.RoleClient, Cluster: l.pool.cluster()}
	conn, err := transport.Dial(ctx, cfg, l.dial, l.addr, hello)
	if err != nil {
		return nil, err
	}
	lane, err := l.enter(conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	l.last.Store(uint64(lane.member.id))
	return lane, nil
}

// enter offers conn to requests, unless it leads elsewhere.
func (l *link) enter(conn *transport.Conn) (*lane, error) {
	if id := conn.Peer().Node; l.want != 0 && id != l.want {
		return nil, kv.Errorf(kv.KindUnavailable, "connect", "node %v answers at %s, where node %v was expected", id, l.addr, l.want)
	}
	return l.pool.add(conn)
}

// keep holds lane until it is lost, or ctx ends, and returns why.
func (l *link) keep(ctx context.Context, lane *lane) error {
	select {
	case <-ctx.Done():
	case <-lane.Done():
	}
	l.pool.remove(lane)
	_ = lane.Close()
	return lane.Err()
}

// rest waits for half of d to all of it, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
