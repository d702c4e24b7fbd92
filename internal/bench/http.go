package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// httpStore is a cluster through its HTTP doors: a connection that is kept for each
// caller, to the nodes in turn, which pass operations on. It writes and reads HTTP
// itself: net/http takes more processor time than the nodes should lose.
type httpStore struct {
	free    chan *httpConn
	timeout time.Duration
	// prefix and suffix are what stands around a key in a request.
	prefix, suffix string
}

// httpConn is one connection. Where it failed it is dialled again when its turn
// comes.
type httpConn struct {
	addr string
	nc   net.Conn
	r    *bufio.Reader
	b    []byte
}

const (
	// httpGrace is how much longer than a node's own timeout an answer may take.
	httpGrace = time.Second
	// maxHeaders bounds the lines of an answer's head, and httpBuffer each of them:
	// the longest is a context's.
	maxHeaders = 100
	httpBuffer = 64 << 10
)

// dialHTTP makes as many connections as there are callers, to all nodes in turn.
// An error is a *client.Error. The caller closes the store after its last call.
func dialHTTP(ctx context.Context, cfg Config) (*httpStore, error) {
	s := &httpStore{free: make(chan *httpConn, cfg.callers()), timeout: cfg.Timeout}
	if s.timeout == 0 {
		s.timeout = kv.DefaultTimeout
	}
	s.prefix = " /buckets/" + url.PathEscape(cfg.Bucket) + "/keys/"
	s.suffix = cfg.query() + " HTTP/1.1\r\nHost: ringtail\r\nAccept: application/json\r\n"
	for i := range cfg.callers() {
		c := &httpConn{addr: cfg.Addrs[i%len(cfg.Addrs)]}
		if err := c.dial(ctx, s.timeout); err != nil {
			s.close()
			return nil, &client.Error{Op: "dial", Kind: client.KindUnavailable, Err: err}
		}
		s.free <- c
	}
	return s, nil
}

// query returns what requests ask for, as a query.
func (c Config) query() string {
	q := url.Values{}
	for name, n := range map[string]int{"r": c.R, "w": c.W, "dw": c.DW} {
		if n != client.Default {
			q.Set(name, strconv.Itoa(n))
		}
	}
	if c.Strict {
		q.Set("strict", "true")
	}
	if c.Timeout > 0 {
		q.Set("timeout", strconv.FormatInt(max(c.Timeout.Milliseconds(), 1), 10))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func (s *httpStore) close() {
	for len(s.free) > 0 {
		if c := <-s.free; c.nc != nil {
			_ = c.nc.Close()
		}
	}
}

// Get implements Store.
func (s *httpStore) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	return s.do(ctx, "get", "GET", key, nil, nil)
}

// Put implements Store.
func (s *httpStore) Put(ctx context.Context, key string, seen client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	if value == nil {
		value = []byte{}
	}
	return s.do(ctx, "put", "PUT", key, seen, value)
}

func (s *httpStore) do(ctx context.Context, op, method, key string, seen client.Context, value []byte) (client.Result, error) {
	c := <-s.free
	defer func() { s.free <- c }()
	res, err := s.exchange(ctx, c, method, key, seen, value)
	if err == nil {
		return res, nil
	}
	var told *client.Error
	if errors.As(err, &told) {
		told.Op = op
		return client.Result{}, told
	}
	if c.nc != nil {
		_ = c.nc.Close()
		c.nc = nil
	}
	e := &client.Error{Op: op, Kind: client.KindUnavailable, Err: err}
	if value != nil {
		e.Applied = client.AppliedUnknown
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		e.Kind = client.KindTimeout
	}
	return client.Result{}, e
}

// exchange sends a request and reads its answer. A *client.Error is one that the
// node told; after any other the connection is of no more use.
func (s *httpStore) exchange(ctx context.Context, c *httpConn, method, key string, seen client.Context, value []byte) (client.Result, error) {
	if c.nc == nil {
		if err := c.dial(ctx, s.timeout); err != nil {
			return client.Result{}, err
		}
	}
	if err := c.nc.SetDeadline(time.Now().Add(s.timeout + httpGrace)); err != nil {
		return client.Result{}, err
	}
	c.b = append(append(append(append(c.b[:0], method...), s.prefix...), url.PathEscape(key)...), s.suffix...)
	if len(seen) > 0 {
		c.b = append(append(append(c.b, "X-Ringtail-Context: "...), seen.String()...), "\r\n"...)
	}
	if value != nil {
		c.b = append(c.b, "Content-Length: "...)
		c.b = append(strconv.AppendInt(c.b, int64(len(value)), 10), "\r\n"...)
	}
	c.b = append(append(c.b, "\r\n"...), value...)
	if _, err := c.nc.Write(c.b); err != nil {
		return client.Result{}, err
	}
	return c.answer()
}

func (c *httpConn) dial(ctx context.Context, timeout time.Duration) error {
	d := net.Dialer{Timeout: timeout}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return err
	}
	c.nc, c.r = nc, bufio.NewReaderSize(nc, httpBuffer)
	return nil
}

// head is what counts of an answer's head.
type head struct {
	status  int
	length  int64 // -1: not told
	chunked bool
	closing bool
	context client.Context
}

// answer reads one.
func (c *httpConn) answer() (client.Result, error) {
	h, err := c.head()
	if err != nil {
		return client.Result{}, err
	}
	body, err := c.body(h)
	if err != nil {
		return client.Result{}, err
	}
	if h.closing {
		_ = c.nc.Close()
		c.nc = nil
	}
	res := client.Result{Context: h.context}
	switch h.status {
	case 200:
		res.Siblings = []client.Sibling{{Value: body}}
	case 204:
	case 300:
		res.Siblings, err = siblings(body)
	case 404:
		if !bytes.Contains(body, []byte(`"not found"`)) {
			return client.Result{}, refusal(h.status, body)
		}
	default:
		return client.Result{}, refusal(h.status, body)
	}
	return res, err
}

func (c *httpConn) head() (head, error) {
	h := head{length: -1}
	line, err := c.line()
	if err != nil {
		return h, err
	}
	if len(line) < 12 || !strings.HasPrefix(string(line[:9]), "HTTP/1.1 ") {
		return h, fmt.Errorf("an answer begins with %.40q", line)
	}
	if h.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return h, fmt.Errorf("an answer begins with %.40q", line)
	}
	for range maxHeaders {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return h, err
		}
		if err := h.set(line); err != nil {
			return h, err
		}
	}
	return h, fmt.Errorf("an answer has more than %d headers", maxHeaders)
}

func (h *head) set(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	var err error
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		h.length, err = strconv.ParseInt(string(value), 10, 64)
		if err == nil && (h.length < 0 || h.length > 2*kv.MaxMessage) {
			err = fmt.Errorf("an answer has %d bytes", h.length)
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Connection")):
		h.closing = bytes.EqualFold(value, []byte("close"))
	case bytes.EqualFold(name, []byte("X-Ringtail-Context")):
		h.context, err = client.ParseContext(string(value))
	}
	return err
}

func (c *httpConn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// body reads an answer's body, which is the caller's.
func (c *httpConn) body(h head) ([]byte, error) {
	switch {
	case h.status == 204 || h.length == 0:
		return nil, nil
	case h.chunked:
		b, err := io.ReadAll(io.LimitReader(httputil.NewChunkedReader(c.r), 2*kv.MaxMessage))
		if err == nil {
			_, err = c.line() // behind the last chunk
		}
		return b, err
	case h.length < 0:
		return nil, errors.New("an answer does not tell its length")
	}
	b := make([]byte, h.length)
	_, err := io.ReadFull(c.r, b)
	return b, err
}

// siblings reads a list of them as JSON, without those that are deleted.
func siblings(body []byte) ([]client.Sibling, error) {
	var list struct {
		Siblings []struct {
			Value   []byte `json:"value"`
			Deleted bool   `json:"deleted"`
		} `json:"siblings"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("siblings: %w", err)
	}
	var out []client.Sibling
	for _, s := range list.Siblings {
		if !s.Deleted {
			out = append(out, client.Sibling{Value: s.Value})
		}
	}
	return out, nil
}

// refusal returns the error that a node told.
func refusal(status int, body []byte) error {
	var told struct {
		Error struct {
			Kind    client.Kind `json:"kind"`
			Message string      `json:"message"`
			Applied string      `json:"applied"`
		} `json:"error"`
	}
	if err := json.Unmarshal(body, &told); err != nil || told.Error.Kind == "" {
		return fmt.Errorf("status %d: %.100q", status, body)
	}
	e := &client.Error{Kind: told.Error.Kind, Err: errors.New(told.Error.Message)}
	if told.Error.Applied == client.AppliedUnknown.String() {
		e.Applied = client.AppliedUnknown
	}
	return e
}
