package client

import (
	"context"
	"net"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Default, in place of a number of replicas, takes the bucket's own property.
const Default = -1

// MaxConns bounds what [Conns] may ask for.
const MaxConns = 64

// Option says how a request is carried out. Given to [Dial] or [Client.Bucket]
// it is the default of the requests made there; a later option overrides an
// earlier one. Options that do not concern a request are ignored by it, and the
// zero Option is by all.
type Option struct {
	field  field
	number int64
	text   string
}

// DialOption says how a Client connects. Every [Option] is one too.
type DialOption interface{ dial(*config) }

type field uint8

const (
	fieldR field = iota + 1 // the zero Option changes nothing
	fieldW
	fieldDW
	fieldStrict
	fieldReturnBody
	fieldTimeout
	fieldContentType
)

// R is the number of replicas whose answers a get waits for: 1 to N, or Default.
func R(n int) Option { return Option{field: fieldR, number: int64(n)} }

// W is the number of replicas that must have applied a put or delete before it
// returns: 1 to N, or Default.
func W(n int) Option { return Option{field: fieldW, number: int64(n)} }

// DW is the number of replicas that must have put a write on stable storage
// before it returns: 0 to N, or Default, which is the bucket's and in the end
// the request's W. With 0 a write is acknowledged from memory, and reaches the
// disks within about a second.
func DW(n int) Option { return Option{field: fieldDW, number: int64(n)} }

// Strict lets only owners of the key count towards R, W and DW, never nodes that
// stand in for them.
func Strict(on bool) Option { return Option{field: fieldStrict, number: number(on)} }

// ReturnBody has a put or delete return the siblings that it left, as a get
// would.
func ReturnBody(on bool) Option { return Option{field: fieldReturnBody, number: number(on)} }

// Timeout bounds a request, from 1 ms to 60 s; 0 means the default, 2 s. An
// earlier deadline of the request's context counts instead.
func Timeout(d time.Duration) Option { return Option{field: fieldTimeout, number: int64(d)} }

// ContentType is stored with the value of a put, at most 255 bytes.
func ContentType(t string) Option { return Option{field: fieldContentType, text: t} }

func number(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

func (o Option) dial(c *config) { c.defaults.set(o) }

type dialOption func(*config)

func (f dialOption) dial(c *config) { f(c) }

// Conns is the number of connections to each node, 1 to MaxConns; the default is
// 1. More of them help when a node has more processors than one connection's
// reader keeps busy.
func Conns(n int) DialOption { return dialOption(func(c *config) { c.conns = n }) }

// Dialer has connections made by f in place of TCP, for TLS, proxies and tests. It
// must be safe for concurrent use and end when its context does. It is also asked
// for the addresses that the nodes advertise to each other.
func Dialer(f func(ctx context.Context, addr string) (net.Conn, error)) DialOption {
	return dialOption(func(c *config) { c.dial = f })
}

// ServerDriven has requests take turns over the given addresses, whose nodes pass
// them on to an owner of the key, in place of going to an owner at once: for
// proxies and load balancers, and to measure what that costs (§6.4).
func ServerDriven() DialOption { return dialOption(func(c *config) { c.serverDriven = true }) }

// Unhedged has no get sent to a second node while the first has not answered
// (docs/client.md): to measure what that is worth, and where any request beyond
// those of the caller is one too many.
func Unhedged() DialOption { return dialOption(func(c *config) { c.unhedged = true }) }

// config is what Dial's options come to.
type config struct {
	conns        int
	dial         dialer
	serverDriven bool
	unhedged     bool
	defaults     settings
}

func defaultConfig() config {
	return config{conns: 1, dial: transport.TCP{}.Dial, defaults: settings{r: Default, w: Default, dw: Default}}
}

func (c config) check(addrs []string) error {
	const op = "check options"
	switch {
	case len(addrs) == 0:
		return kv.Errorf(kv.KindInvalid, op, "no address is given")
	case c.conns < 1 || c.conns > MaxConns:
		return kv.Errorf(kv.KindInvalid, op, "%d connections to each node are not within 1 to %d", c.conns, MaxConns)
	case c.dial == nil:
		return kv.Errorf(kv.KindInvalid, op, "the dialer is nil")
	}
	return c.defaults.check()
}

// settings are the options of one request.
type settings struct {
	r, w, dw    int64
	strict      bool
	returnBody  bool
	timeout     time.Duration
	contentType string
}

func (s *settings) set(o Option) {
	switch o.field {
	case fieldR:
		s.r = o.number
	case fieldW:
		s.w = o.number
	case fieldDW:
		s.dw = o.number
	case fieldStrict:
		s.strict = o.number != 0
	case fieldReturnBody:
		s.returnBody = o.number != 0
	case fieldTimeout:
		s.timeout = time.Duration(o.number)
	case fieldContentType:
		s.contentType = o.text
	}
}

// check refuses what no cluster would accept; N is for the cluster to compare
// with.
func (s *settings) check() error {
	const op = "check options"
	for _, q := range [...]struct {
		name  string
		n     int64
		least int64
	}{{"r", s.r, 1}, {"w", s.w, 1}, {"dw", s.dw, 0}} {
		if q.n != Default && (q.n < q.least || q.n > kv.MaxReplicas) {
			return kv.Errorf(kv.KindInvalid, op, "%s=%d is not within %d to %d", q.name, q.n, q.least, kv.MaxReplicas)
		}
	}
	switch {
	case s.timeout != 0 && (s.timeout < kv.MinTimeout || s.timeout > kv.MaxTimeout):
		return kv.Errorf(kv.KindInvalid, op, "timeout=%v is not within %v to %v", s.timeout, kv.MinTimeout, kv.MaxTimeout)
	case len(s.contentType) > kv.MaxContentType:
		return kv.Errorf(kv.KindTooLarge, op, "the content type has %d bytes, the limit is %d", len(s.contentType), kv.MaxContentType)
	}
	return nil
}

// deadline returns when a request that begins now ends.
func (s *settings) deadline(ctx context.Context, now time.Time) time.Time {
	timeout := s.timeout
	if timeout == 0 {
		timeout = kv.DefaultTimeout
	}
	end := now.Add(timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		return d
	}
	return end
}

func (s *settings) flags() wire.RequestFlags {
	var f wire.RequestFlags
	if s.strict {
		f |= wire.FlagStrict
	}
	if s.returnBody {
		f |= wire.FlagReturnBody
	}
	return f
}
