package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

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
}

// run connects, and connects again, until ctx ends. It sends the outcome of the
// first attempt to first, which has room for it.
func (l *link) run(ctx context.Context, first chan<- error) {
	pause := minPause
	for attempt := 0; ctx.Err() == nil; attempt++ {
		conn, err := l.connect(ctx)
		if attempt == 0 {
			first <- err
		}
		if err == nil {
			pause = minPause
			err = l.keep(ctx, conn)
		}
		l.pool.trouble(err)
		rest(ctx, pause)
		pause = min(2*pause, maxPause)
	}
}

func (l *link) connect(ctx context.Context) (*transport.Conn, error) {
	cfg := transport.Default()
	cfg.Tick = tick
	cfg.DeadAfter = deadAfter
	hello := wire.Hello{Versions: wire.Spoken(), Role: wire.RoleClient, Cluster: l.pool.cluster()}
	conn, err := transport.Dial(ctx, cfg, l.dial, l.addr, hello)
	if err != nil {
		return nil, err
	}
	if err := l.pool.add(conn); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// keep holds conn until it is lost, or ctx ends, and returns why.
func (l *link) keep(ctx context.Context, conn *transport.Conn) error {
	select {
	case <-ctx.Done():
	case <-conn.Done():
	}
	l.pool.remove(conn)
	_ = conn.Close()
	return conn.Err()
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
