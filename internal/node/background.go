package node

import (
	"context"

	"github.com/ringtaildb/ringtail/internal/kv"
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
	tasks chan func()
}

func newBackground() *background { return &background{tasks: make(chan func(), maxBackground)} }

// Go has task run when those before it have; it returns false when too many
// wait.
func (b *background) Go(task func()) bool {
	select {
	case b.tasks <- task:
		return true
	default:
		return false
	}
}

// run runs tasks until ctx ends. Those that still wait then are dropped: they
// belong to peers, which try again.
func (b *background) run(ctx context.Context) error {
	for {
		select {
		case task := <-b.tasks:
			task()
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
