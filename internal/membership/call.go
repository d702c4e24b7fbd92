package membership

import (
	"bytes"
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// outcome is how a call ended.
type outcome struct {
	// tag is that of the call.
	tag     uint32
	payload []byte
	err     error
}

// outcomes collects the ends of calls. It has room for all of them, so that
// Complete never waits for who has stopped listening.
type outcomes chan outcome

// Complete implements wire.Completion.
func (o outcomes) Complete(tag uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	o <- outcome{tag: tag, payload: bytes.Clone(resp.Payload), err: err}
}

// call sends one request and waits for its end, at most Config.CallTimeout. A
// node that the state does not name is dialled at addr.
func (s *Service) call(ctx context.Context, to kv.NodeID, addr string, t wire.Type, m wire.Appender) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.CallTimeout)
	defer cancel()
	c := s.describe(ctx, t)
	if _, known := s.State().Member(to); !known {
		return s.deps.Peers.CallAddr(ctx, addr, c, m)
	}
	done := make(outcomes, 1)
	s.deps.Peers.Call(to, c, m, done, 0)
	select {
	case o := <-done:
		return o.payload, o.err
	case <-ctx.Done():
		return nil, &kv.Error{Op: "call", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Node: to, Err: context.Cause(ctx)}
	}
}

// callAll sends one request to every one of nodes and returns how each call
// ended, by the node's place in nodes. It waits at most for wait.
func (s *Service) callAll(ctx context.Context, nodes []kv.NodeID, t wire.Type, m wire.Appender, wait time.Duration) []outcome {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c := s.describe(ctx, t)
	done := make(outcomes, len(nodes))
	out := make([]outcome, len(nodes))
	for i, id := range nodes {
		out[i] = outcome{err: kv.Errorf(kv.KindTimeout, "call", "no answer within %v", wait)}
		s.deps.Peers.Call(id, c, m, done, uint32(i))
	}
	for range nodes {
		select {
		case o := <-done:
			out[o.tag] = o
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// describe returns a call that ends with ctx, which has a deadline.
func (s *Service) describe(ctx context.Context, t wire.Type) wire.Call {
	deadline, _ := ctx.Deadline()
	return wire.Call{Type: t, Deadline: deadline, Level: kv.LevelOf(s.State().Epoch())}
}
