package node

import (
	"bytes"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// maxFetchers is how many requests read from the disk at once, each in a thread
	// of its own while it does: as many as a solid state disk has use for.
	maxFetchers = 32
	// maxFetches and maxFetchBytes bound the requests that wait for one of them, and
	// their payloads.
	maxFetches    = 4096
	maxFetchBytes = 64 << 20
)

// fetches is the stage of the requests that came over the peers' port and that need
// a record which is on the disk alone (§6.5, DESIGN section 10). In the reader of
// their connection they would hold up all that comes behind them, the pings
// included that tell the peer that this node is there. It is safe for concurrent
// use.
type fetches struct {
	stage *metrics.Stage
	turns chan struct{}
	n     atomic.Int64
	bytes atomic.Int64
}

func newFetches(stage *metrics.Stage) *fetches {
	f := &fetches{stage: stage, turns: make(chan struct{}, maxFetchers)}
	stage.SetDepth(f.waiting)
	return f
}

// waiting tells how many requests are in the stage.
func (f *fetches) waiting() int { return int(f.n.Load()) }

// later hands req to serve when it is its turn, with a payload of its own. With too
// many before it, it is refused.
func (f *fetches) later(req wire.Request, serve func(wire.Request)) {
	size := int64(len(req.Payload))
	if n, b := f.n.Add(1), f.bytes.Add(size); n > maxFetches || b > maxFetchBytes {
		f.left(size)
		f.stage.Refused.Add(1)
		req.Reply.Fail(kv.Errorf(kv.KindOverloaded, "serve", "%d requests, of %d bytes, wait for the disk", n-1, b-size))
		return
	}
	req.Payload, req.Began = bytes.Clone(req.Payload), time.Now()
	go func() {
		defer f.left(size)
		f.turns <- struct{}{}
		defer func() { <-f.turns }()
		now := time.Now()
		f.stage.Queue.Record(now.Sub(req.Began))
		if !now.Before(req.Deadline) {
			req.Reply.Fail(kv.Errorf(kv.KindTimeout, "serve", "the deadline passed before the disk was read"))
			return
		}
		serve(req)
	}()
}

func (f *fetches) left(size int64) {
	f.n.Add(-1)
	f.bytes.Add(-size)
}
