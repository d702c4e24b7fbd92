package transport

import (
	"context"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Ask connects to an address, sends one request, closes the connection, and
// returns the answer, which the caller owns. It is how a node that has no peers
// yet speaks to a seed. It ends with ctx, or at rq.Deadline.
func Ask(ctx context.Context, cfg Config, network Network, addr string, hello wire.Hello, rq wire.Call, m wire.Appender) ([]byte, error) {
	ctx, cancel := context.WithDeadline(ctx, rq.Deadline)
	defer cancel()
	c, err := Dial(ctx, cfg, network, addr, hello)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Ask(ctx, rq, m)
}

// Ask is Call for a caller that waits: it returns the answer, which the caller
// owns. It ends with ctx, or at rq.Deadline. Interim responses are dropped.
func (c *Conn) Ask(ctx context.Context, rq wire.Call, m wire.Appender) ([]byte, error) {
	done := make(asked, 1)
	c.Call(rq, m, done, 0)
	select {
	case a := <-done:
		return a.payload, a.err
	case <-ctx.Done():
		return nil, &kv.Error{Op: "ask", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Node: c.peer.Node, Err: context.Cause(ctx)}
	}
}

// CallAddr is Ask with the identity of the Pool's node.
func (p *Pool) CallAddr(ctx context.Context, addr string, rq wire.Call, m wire.Appender) ([]byte, error) {
	return Ask(ctx, p.cfg, p.network, addr, p.hello(), rq, m)
}

// asked is a Completion that passes one outcome to a waiting goroutine.
type asked chan answer

type answer struct {
	payload []byte
	err     error
}

// Complete implements wire.Completion.
func (a asked) Complete(_ uint32, resp wire.Response, err error) {
	if !resp.Interim {
		a <- answer{payload: append([]byte(nil), resp.Payload...), err: err}
	}
}
