package membership

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Limits of the requests that wait to be served.
const (
	maxWaiting      = 256
	maxWaitingBytes = 2 * maxState
)

// job is a request that waits for its worker.
type job struct {
	from kv.NodeID
	// arrived is by this node's clock, deadline by the transport's.
	arrived, deadline time.Time
	// payload is the job's own copy.
	payload []byte
	reply   wire.Reply
}

// inbox holds requests between a connection's reader, which must not wait, and
// the workers, which wait for the disk. Votes have a worker of their own.
type inbox struct {
	states, votes chan job
	// bytes counts the payloads in both queues.
	bytes  atomic.Int64
	closed atomic.Bool
}

func newInbox() *inbox {
	return &inbox{states: make(chan job, maxWaiting), votes: make(chan job, maxWaiting)}
}

// put queues a request, or answers it with KindOverloaded or KindClosed.
func (in *inbox) put(queue chan job, req wire.Request, now time.Time) {
	size := int64(len(req.Payload))
	if in.closed.Load() {
		req.Reply.Fail(kv.Errorf(kv.KindClosed, "serve "+req.Type.String(), "the node is shutting down"))
		return
	}
	if in.bytes.Add(size) <= maxWaitingBytes {
		select {
		case queue <- job{from: req.From, arrived: now, deadline: req.Deadline, payload: bytes.Clone(req.Payload), reply: req.Reply}:
			return
		default:
		}
	}
	in.bytes.Add(-size)
	req.Reply.Fail(kv.Errorf(kv.KindOverloaded, "serve "+req.Type.String(), "too many requests wait"))
}

// serve hands out the requests of one queue, one after the other, until ctx is
// done. What then waits is answered with KindClosed.
func (in *inbox) serve(ctx context.Context, queue chan job, do func(context.Context, job)) {
	for {
		select {
		case <-ctx.Done():
			in.drain(queue)
			return
		case j := <-queue:
			in.bytes.Add(-int64(len(j.payload)))
			within(ctx, j, do)
		}
	}
}

// within serves j unless its sender has stopped waiting.
func within(ctx context.Context, j job, do func(context.Context, job)) {
	ctx, cancel := context.WithDeadline(ctx, j.deadline)
	defer cancel()
	if ctx.Err() != nil {
		j.reply.Fail(kv.Errorf(kv.KindTimeout, "serve", "the request waited past its deadline"))
		return
	}
	do(ctx, j)
}

func (in *inbox) drain(queue chan job) {
	in.close()
	for {
		select {
		case j := <-queue:
			in.bytes.Add(-int64(len(j.payload)))
			j.reply.Fail(kv.Errorf(kv.KindClosed, "serve", "the node is shutting down"))
		default:
			return
		}
	}
}

func (in *inbox) close() { in.closed.Store(true) }

// Handle implements wire.Handler for TypeState, TypeVote and TypeMarks. It does
// not wait: workers of Run serve what waits for the disk, and answer within the
// deadline or not at all.
func (s *Service) Handle(req wire.Request) {
	now := s.deps.Now()
	switch {
	case req.From == 0:
		req.Reply.Fail(kv.Errorf(kv.KindRefused, "serve "+req.Type.String(), "this is between nodes"))
	case req.Type == wire.TypeState:
		s.inbox.put(s.inbox.states, req, now)
	case req.Type == wire.TypeVote:
		s.inbox.put(s.inbox.votes, req, now)
	case req.Type == wire.TypeMarks:
		s.serveMarks(req)
	default:
		req.Reply.Fail(kv.Errorf(kv.KindInvalid, "serve "+req.Type.String(), "this is not membership's"))
	}
}

func (s *Service) serveStates(ctx context.Context) {
	s.inbox.serve(ctx, s.inbox.states, s.serveState)
}

func (s *Service) serveVotes(ctx context.Context) {
	s.inbox.serve(ctx, s.inbox.votes, s.serveVote)
}
