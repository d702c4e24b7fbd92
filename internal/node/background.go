package node

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// maxBackground bounds the tasks that wait for the background's turn. Each holds
// a request of up to a message, so there are few.
const maxBackground = 256

// background is the stage for work that would hold a connection's reader up:
// scans for hand-off, for exchanges of hash trees and for listings (DESIGN
// section 10). One task runs at a time, so that this work never takes more than
// one processor from gets and puts. Go is safe for concurrent use.
type background struct {
	tasks chan task
	stage *metrics.Stage
}

// task is what is to be run, since when.
type task struct {
	run   func()
	since time.Time
}

func newBackground(stage *metrics.Stage) *background {
	b := &background{tasks: make(chan task, maxBackground), stage: stage}
	stage.SetDepth(func() int { return len(b.tasks) })
	return b
}

// Go has task run when those before it have; it returns false when too many
// wait.
func (b *background) Go(run func()) bool {
	select {
	case b.tasks <- task{run, time.Now()}:
		return true
	default:
		b.stage.Refused.Add(1)
		return false
	}
}

// run runs tasks until ctx ends. Those that still wait then are dropped: they
// belong to peers, which try again.
func (b *background) run(ctx context.Context) error {
	for {
		select {
		case t := <-b.tasks:
			b.stage.Queue.Record(time.Since(t.since))
			t.run()
		case <-ctx.Done():
			return nil
		}
	}
}

// later hands req to serve in the background, with a payload of its own.
func (b *background) later(req wire.Request, serve func(wire.Request)) {
	req.Payload = append([]byte(nil), req.Payload...)
	if !b.Go(func() { serve(req) }) {
		req.Reply.Fail(kv.Errorf(kv.KindOverloaded, "serve", "%d background tasks wait", maxBackground))
	}
}
