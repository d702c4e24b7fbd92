package transport

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// peer is one peer of a Pool. Its goroutine, run, connects, probes, and alone
// changes the fields that others read.
//
// A peer goes up when a connection to it is made, or a silent one speaks again.
// It goes down when an attempt to connect fails or takes DownAfter, or when its
// connection is silent for DownAfter in spite of pings, or when it says that it
// ends. The connection of a peer that is down stands, refusing calls, until it is
// silent for DeadAfter, or has answered all if it ends.
type peer struct {
	pool *Pool
	id   kv.NodeID
	addr string

	up      atomic.Bool
	conn    atomic.Pointer[Conn]
	away    atomic.Pointer[kv.Error] // what a call gets without a connection
	latency latency

	// hurried tells that the peer has just been heard of.
	hurried chan struct{}

	trouble kv.Kind // of the last failure that was logged, while down
	cancel  context.CancelFunc
	ended   chan struct{}
}

func newPeer(p *Pool, at Peer) *peer {
	r := &peer{pool: p, id: at.ID, addr: at.Addr, ended: make(chan struct{}), hurried: make(chan struct{}, 1)}
	r.setAway(kv.KindUnavailable, errors.New("not connected yet"))
	return r
}

func (r *peer) start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	go func() {
		defer close(r.ended)
		r.run(ctx)
	}()
}

// stop ends and awaits run. Unless the whole Pool ends with ctx, a peer that
// was up is reported down: it is a peer no more.
func (r *peer) stop(ctx context.Context) {
	r.cancel()
	<-r.ended
	if r.up.Swap(false) && ctx.Err() == nil {
		r.pool.hooks.changed(r.id, false)
	}
}

func (r *peer) run(ctx context.Context) {
	cfg := r.pool.cfg
	_, self := r.pool.hooks.identity()
	pauses := newBackoff(cfg.BackoffMin, cfg.BackoffMax, uint64(self.Node), uint64(r.id))
	for ctx.Err() == nil {
		c, err := r.connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				r.goDown(err)
			}
			r.rest(ctx, pauses)
			continue
		}
		if why := r.keep(ctx, c); c.now() > cfg.BackoffMax {
			pauses.reset() // it was of use: try again at once
		} else if ctx.Err() == nil {
			r.goDown(why)
			r.rest(ctx, pauses)
		}
	}
	r.setAway(kv.KindClosed, errors.New("this node is shutting down, or the peer was removed"))
}

// rest waits until it is time to try again: when the pause is over, or at once if
// the peer has just been heard of.
func (r *peer) rest(ctx context.Context, pauses *backoff) {
	t := time.NewTimer(pauses.pause())
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-r.hurried:
		pauses.reset()
	}
}

// connect makes a connection, or fails within DownAfter.
func (r *peer) connect(ctx context.Context) (*Conn, error) {
	p := r.pool
	ctx, cancel := context.WithTimeout(ctx, p.cfg.DownAfter)
	defer cancel()
	hello := p.hello()
	nc, ack, trip, err := connect(ctx, p.cfg, p.network, r.addr, hello)
	if err != nil {
		return nil, err
	}
	if err := checkAck(ack, hello.Cluster, r.id); err != nil {
		_ = nc.Close()
		if ack.Err != nil {
			p.refused.Add(1)
			p.hooks.refused(r.id, ack.Err)
		} else {
			p.mismatched.Add(1)
		}
		return nil, err
	}
	p.connects.Add(1)
	r.latency.Add(trip)
	p.hooks.accepted(r.id, ack)
	return newConn(p.cfg, nc, wire.RoleNode, ack, meters{&p.stats, &p.outcomes, &r.latency}), nil
}

// keep offers c to callers and watches it until it ends, or ctx does. It returns
// why c ended.
func (r *peer) keep(ctx context.Context, c *Conn) error {
	r.conn.Store(c)
	r.goUp()
	timer := time.NewTimer(r.pool.cfg.Tick)
	defer timer.Stop()
	bye := c.bye
	for ctx.Err() == nil && c.Err() == nil {
		select {
		case <-ctx.Done():
			continue
		case <-c.Done():
			continue
		case <-bye:
			bye = nil
			r.goDown(kv.Wrap(kv.KindUnavailable, "keep a connection", errEnding))
		case <-timer.C:
		}
		if least := r.pool.hooks.versions().Min; c.peer.Version < least {
			c.fail(kv.KindWrongVersion, errors.Unwrap(outgrown(c.peer.Version, least)))
		}
		r.judge(c, c.tick())
		timer.Reset(c.pause())
	}
	_ = c.Close()
	why := errors.Unwrap(c.Err())
	r.setAway(kv.KindUnavailable, why)
	r.conn.Store(nil)
	return why
}

// judge turns silence into down, and a sign of life into up.
func (r *peer) judge(c *Conn, quiet time.Duration) {
	switch down := quiet >= r.pool.cfg.DownAfter; {
	case down && r.up.Load():
		err := kv.Errorf(kv.KindUnavailable, "probe", "nothing came for %v", quiet)
		r.goDown(err)
		c.suspend(err)
	case !down && !r.up.Load() && !c.Ending():
		c.calls.resume()
		r.goUp()
	}
}

func (r *peer) goUp() {
	if r.up.Swap(true) {
		return
	}
	r.trouble = 0
	r.pool.log.Info("peer is up", "node", r.id.String(), "addr", r.addr)
	r.pool.hooks.changed(r.id, true)
}

// goDown marks the peer down. It logs the change, and later each failure of
// another kind: a peer that was unreachable may come to refuse us.
func (r *peer) goDown(err error) {
	r.setAway(kv.KindUnavailable, err)
	was := r.up.Swap(false)
	if kind := kv.KindOf(err); was || kind != r.trouble {
		r.trouble = kind
		r.pool.log.Warn("peer is down", "node", r.id.String(), "addr", r.addr, "error", err)
	}
	if was {
		r.pool.wentDown.Add(1)
		r.pool.hooks.changed(r.id, false)
	}
}

func (r *peer) setAway(kind kv.Kind, cause error) {
	r.away.Store(&kv.Error{Op: "call", Kind: kind, Applied: kv.AppliedNo, Node: r.id, Err: cause})
}
