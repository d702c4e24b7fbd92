// Package client is the Go client of Ringtail: get, put and delete of values by
// key, with the opaque context of Dynamo's interface (SOSP 2007, §4.1) that ties
// a put to what its writer had read.
//
// A [Client] keeps connections to the nodes it was given and shares them among
// all its callers, whose requests travel interleaved. Any node takes any
// request; requests take turns over the nodes that answer. A connection that is
// lost is made again in the background, for ever.
//
//	c, err := client.Dial(ctx, []string{"127.0.0.1:7401", "127.0.0.1:7411"})
//	...
//	defer c.Close()
//	carts := c.Bucket("carts")
//	res, err := carts.Get(ctx, "alice")
//	...
//	res, err = carts.Put(ctx, "alice", res.Context, merged)
//
// Writes that did not know of each other are all kept: a get returns each of
// them as a sibling, and one context for all. A put with that context replaces
// them; a put without a context replaces nothing and adds a sibling.
package client

import (
	"context"
	"strings"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Client is a connected client of one cluster. Safe for concurrent use; one is
// enough for a program.
type Client struct {
	defaults settings
	pool     pool
	calls    sync.Pool

	cancel context.CancelFunc
	links  sync.WaitGroup
}

// Dial connects to the nodes at addrs, each the host:port of a node's peer port,
// which is its HTTP port + 1. It returns as soon as one of them answers and
// goes on to connect to the others; ctx bounds only the wait. Options that
// requests take are the defaults of the client's requests.
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
	c := &Client{defaults: cfg.defaults}
	c.calls.New = func() any { return newCall() }
	first := c.start(cfg, addrs)
	if err := await(ctx, first, cap(first)); err != nil {
		_ = c.Close()
		return nil, failed(opDial, err)
	}
	return c, nil
}

// start begins to connect. The channel carries the outcome of each link's first
// attempt.
func (c *Client) start(cfg config, addrs []string) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	first := make(chan error, cfg.conns*len(addrs))
	for range cfg.conns {
		for _, addr := range addrs {
			l := &link{pool: &c.pool, addr: addr, dial: cfg.dial}
			c.links.Go(func() { l.run(ctx, first) })
		}
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
	return nil
}
