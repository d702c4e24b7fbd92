package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// seenDelete is a delete that came without a context: it deletes what a quorum
// read sees, and writes nothing where that sees no value.
type seenDelete struct {
	c     *Coordinator
	p     plan
	start time.Time
	to    Receiver
}

func (c *Coordinator) deleteSeen(p *plan, start time.Time, to Receiver) {
	d := &seenDelete{c: c, p: *p, start: start, to: to}
	d.p.Key = append(kv.Key(nil), p.Key...)
	c.coordinateGet(&d.p, start, d)
}

// Receive implements Receiver for the read.
func (d *seenDelete) Receive(a wire.Answer, err error) {
	var o object.Object
	var ctx object.Context
	if err == nil && len(a.Object) > 0 {
		if o, err = object.Parse(a.Object); err == nil {
			ctx, err = d.c.Cluster.Sealer().Open(a.Context)
		}
	}
	switch {
	case err != nil:
		// The read failed: nothing was written.
		err = &kv.Error{Op: "read before delete", Kind: kv.KindOf(err), Err: err}
		d.c.Stats.PutDone(Ended{Took: d.c.Now().Sub(d.start), Err: err})
		d.to.Receive(wire.Answer{}, err)
	case o.Live() == 0:
		d.c.Stats.PutDone(Ended{Took: d.c.Now().Sub(d.start)})
		d.to.Receive(wire.Answer{Context: a.Context}, nil)
	default:
		d.c.coordinatePut(&d.p, ctx, d.start, d.to)
	}
}
