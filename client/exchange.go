package client

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// maxAttempts bounds the nodes that one request is sent to.
const maxAttempts = 3

// exchange sends rq to the node whose turn it is, and to the next ones as long
// as again says so, and returns the answer.
func (c *Client) exchange(ctx context.Context, rq *call, deadline time.Time) ([]byte, error) {
	live, turn := c.pool.conns()
	var last error
	attempts := 0
	for i := range live {
		conn := live[(turn+i)%len(live)]
		if conn.Err() != nil {
			continue // lost, and about to be removed
		}
		conn.Call(wire.Call{Type: rq.typ, Deadline: deadline}, rq.message(), rq, 0)
		answer, err := rq.wait(ctx)
		if attempts++; err == nil || attempts == maxAttempts || !again(rq.typ, err) {
			return answer, err
		}
		last = err
	}
	if last == nil {
		last = c.pool.away()
	}
	return nil, last
}

// again tells whether another node may do better: after a lost connection, or
// when the node refused for what may be its own trouble. A put that may have
// been applied is never sent again, for it could leave two siblings.
func again(t wire.Type, err error) bool {
	if t == wire.TypePut && kv.AppliedOf(err) != kv.AppliedNo {
		return false
	}
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindStaleRing, kv.KindDiskFull, kv.KindStorage, kv.KindSkew, kv.KindClosed:
		return true
	}
	return false
}
