package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// redisStore is a cluster as Redis's clients see it: GET and SET over the nodes'
// RESP ports, a connection to each node for each caller. Operations take turns over
// the nodes, which pass them on. It has no contexts and no siblings.
type redisStore struct {
	free    chan *redisConn
	timeout time.Duration
}

// redisConn is one connection. Where it failed it is dialled again when its turn
// comes.
type redisConn struct {
	addr string
	nc   net.Conn
	r    *bufio.Reader
	b    []byte
}

// oneSibling is what is told of a value: that there is one.
var oneSibling = make([]client.Sibling, 1)

// always is the context of every answer: there is nothing to be looked up before
// an update.
var always = client.Context("-")

// dialRedis makes as many connections as there are callers, to all nodes in turn.
// An error is a *client.Error. The caller closes the store after its last call.
func dialRedis(ctx context.Context, cfg Config) (*redisStore, error) {
	s := &redisStore{free: make(chan *redisConn, cfg.Concurrency), timeout: cfg.Timeout}
	if s.timeout == 0 {
		s.timeout = kv.DefaultTimeout
	}
	for i := range cfg.callers() {
		c := &redisConn{addr: cfg.Addrs[i%len(cfg.Addrs)]}
		if err := c.dial(ctx, s.timeout); err != nil {
			s.close()
			return nil, &client.Error{Op: "dial", Kind: client.KindUnavailable, Err: err}
		}
		s.free <- c
	}
	return s, nil
}

func (s *redisStore) close() {
	for len(s.free) > 0 {
		if c := <-s.free; c.nc != nil {
			_ = c.nc.Close()
		}
	}
}

// Get implements Store.
func (s *redisStore) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	found, err := s.do(ctx, "get", "GET", key, nil)
	res := client.Result{Context: always}
	if found {
		res.Siblings = oneSibling
	}
	return res, err
}

// Put implements Store.
func (s *redisStore) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	_, err := s.do(ctx, "put", "SET", key, value)
	return client.Result{Context: always}, err
}

// do carries out one command, and tells whether a value was answered.
func (s *redisStore) do(ctx context.Context, op, command, key string, value []byte) (bool, error) {
	c := <-s.free
	defer func() { s.free <- c }()
	found, err := c.do(ctx, s.timeout, command, key, value)
	if err == nil {
		return found, nil
	}
	e := &client.Error{Op: op, Kind: client.KindUnavailable, Err: err}
	if value != nil {
		e.Applied = client.AppliedUnknown
	}
	var timeout net.Error
	var refused redisError
	switch {
	case errors.As(err, &refused):
		e.Kind = client.KindRefused
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Kind = client.KindTimeout
	}
	return false, e
}

func (c *redisConn) dial(ctx context.Context, timeout time.Duration) error {
	d := net.Dialer{Timeout: timeout}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.nc, c.r = nc, bufio.NewReaderSize(nc, 16<<10)
	return nil
}

func (c *redisConn) do(ctx context.Context, timeout time.Duration, command, key string, value []byte) (bool, error) {
	if c.nc == nil {
		if err := c.dial(ctx, timeout); err != nil {
			return false, err
		}
	}
	found, err := c.exchange(timeout, command, key, value)
	var refused redisError
	if err != nil && !errors.As(err, &refused) {
		_ = c.nc.Close()
		c.nc = nil
	}
	return found, err
}

func (c *redisConn) exchange(timeout time.Duration, command, key string, value []byte) (bool, error) {
	if err := c.nc.SetDeadline(time.Now().Add(timeout)); err != nil {
		return false, err
	}
	words := 2
	if value != nil {
		words = 3
	}
	c.b = fmt.Appendf(c.b[:0], "*%d\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", words, len(command), command, len(key), key)
	if value != nil {
		c.b = fmt.Appendf(c.b, "$%d\r\n", len(value))
		c.b = append(append(c.b, value...), "\r\n"...)
	}
	if _, err := c.nc.Write(c.b); err != nil {
		return false, err
	}
	return c.answer()
}

// redisError is what a node answered in place of a result.
type redisError string

// Error implements error.
func (e redisError) Error() string { return string(e) }

// answer reads one, a line or a value, and tells whether there is a value.
func (c *redisConn) answer() (bool, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return false, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return false, fmt.Errorf("an answer begins with %q", line)
	}
	mark, text := line[0], string(line[1:len(line)-2])
	switch mark {
	case '+':
		return false, nil
	case '-':
		return false, redisError(text)
	case '$':
		if text == "-1" {
			return false, nil
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > kv.MaxValue {
			return false, fmt.Errorf("an answer has %q bytes", text)
		}
		_, err = c.r.Discard(n + len("\r\n"))
		return true, err
	}
	return false, fmt.Errorf("an answer begins with %q", line)
}
