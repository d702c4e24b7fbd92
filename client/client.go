// Package client is the Go client of Ringtail: get, put and delete of values by
// key, with the opaque context of Dynamo's interface (SOSP 2007, §4.1) that ties
// a put to what its writer had read.
//
// A [Client] learns the ring from the nodes it is given, and sends each request to
// an owner of its key at once (§6.4): to the first that is well and answers about
// as fast as the fastest does, and a put to the one that its context names as the
// fastest reader (§5). It asks for the ring every 10 seconds, and at once when an
// answer tells of another. As long as it does not know the ring, or cannot reach
// an owner, it leaves it to a node to find one, as [ServerDriven] always does.
// docs/client.md tells what it retries and what it promises.
//
// Connections are shared by all callers, whose requests travel interleaved. One
// that is lost is made again in the background, for ever.
//
//	c, err := client.Dial(ctx, []string{"127.0.0.1:7401", "127.0.0.1:7411"})
//	...
//	defer c.Close()
//	carts := c.Bucket("carts")
//	res, err := carts.Get(ctx, "alice")
//	...
//	res, err = carts.Put(ctx, "alice", res.Context, changed)
//
// Writes that did not know of each other are all kept: a get returns each of
// them as a sibling, and one context for all. A put with that context replaces
// them; a put without a context replaces nothing and adds a sibling.
// [Bucket.Update] reads, merges and writes until one value is left.
package client

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// Client is a connected client of one cluster. Safe for concurrent use; one is
// enough for a program.
type Client struct {
	defaults settings
	began    time.Time
	pool     pool
	calls    sync.Pool
	// route is the ring as it is known, nil while it is not.
	route  atomic.Pointer[table]
	keeper *keeper // nil when nodes are to find the owners
	// turn counts the attempts for which an owner was looked for, missed those for
	// which none was found; around counts what was left to a node to pass on.
	turn, missed, around atomic.Uint64
	// hedges tells that gets are hedged; the budget bounds it, the rest counts.
	hedges               bool
	budget               hedge.Budget
	hedged, won, refused atomic.Uint64
	watch                *watch
	// made counts the calls that were made.
	made atomic.Uint32
	// retries pays for attempts after a refusal as overloaded.
	retries budget

	cancel context.CancelFunc
	links  sync.WaitGroup
}

// Dial connects to the nodes at addrs, each the host:port of a node's peer port,
// which is its HTTP port + 1. It returns as soon as one of them has answered and
// told the ring, and goes on to connect to the others, and to those of the ring
// that requests go to; ctx bounds only the wait. Options that requests take are
// the defaults of the client's requests.
//
// An error is an [*Error]: of KindInvalid for a bad option or no address, else
// of the kind with which the last of the nodes failed.
func Dial(ctx context.Context, addrs []string, opts ...DialOption) (*Client, error) {
	cfg := defaultConfig()
	for _, o := range opts {
		o.dial(&cfg)
	}
	if err := cfg.check(addrs); err != nil {
		return nil, failed(opDial, err)
	}
	c := &Client{defaults: cfg.defaults, hedges: !cfg.unhedged, began: time.Now(), watch: newWatch()}
	c.calls.New = func() any { return newCall(c.made.Add(1)) }
	first := c.start(cfg, addrs)
	if err := await(ctx, first, cap(first)); err != nil {
		_ = c.Close()
		return nil, failed(opDial, err)
	}
	if c.keeper != nil {
		c.keeper.await(ctx)
	}
	return c, nil
}

// start begins to connect. The channel carries the outcome of each link's first
// attempt.
func (c *Client) start(cfg config, addrs []string) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	first := make(chan error, cfg.conns*len(addrs))
	tried := func(attempt int, err error) {
		if attempt == 0 {
			first <- err // it has room for all
		}
		if c.keeper != nil {
			c.keeper.attempted(err)
		}
	}
	var seeds []*link
	for range cfg.conns {
		for _, addr := range addrs {
			seeds = append(seeds, &link{pool: &c.pool, addr: addr, dial: cfg.dial, tried: tried})
		}
	}
	if !cfg.serverDriven {
		c.keeper = newKeeper(c, cfg, seeds)
		c.links.Go(func() { c.keeper.run(ctx) })
	}
	for _, l := range seeds {
		c.links.Go(func() { l.run(ctx) })
	}
	return first
}

// await returns nil with the first success of n attempts, or what they failed
// with.
func await(ctx context.Context, first <-chan error, n int) error {
	var texts []string
	kind := kv.KindUnavailable
	for range n {
		select {
		case err := <-first:
			if err == nil {
				return nil
			}
			kind = kv.KindOf(err)
			texts = append(texts, err.Error())
		case <-ctx.Done():
			return kv.Wrap(kv.KindTimeout, "connect", context.Cause(ctx))
		}
	}
	return kv.Errorf(kind, "connect", "no node answers: %s", strings.Join(texts, "; "))
}

// Close ends all connections and waits for the client's goroutines. Requests
// under way, and later ones, fail with KindClosed. It returns nil.
func (c *Client) Close() error {
	c.pool.close()
	c.cancel()
	c.links.Wait()
	c.watch.stop()
	return nil
}
