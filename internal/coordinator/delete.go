package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// seenDelete is a delete that came without a context: it deletes what a quorum
// read sees, and writes nothing where that sees no value.
type seenDelete struct {
	c *Coordinator
	// req is the delete, with a key of its own.
	req   Request
	start time.Time
	to    Receiver
}

func (c *Coordinator) deleteSeen(p *plan, start time.Time, to Receiver, prompt bool) (done bool) {
	d := &seenDelete{c: c, req: p.Request, start: start, to: to}
	d.req.Key, d.req.Options, d.req.admitted = append(kv.Key(nil), p.Key...), p.given, true
	// Whoever is read need not be who takes the write, while the ring changes.
	read := d.req
	read.Forwarded, read.inner, read.Update = false, true, object.Update{}
	return c.tryGet(&read, start, d, prompt)
}

// Receive implements Receiver for the read.
func (d *seenDelete) Receive(a wire.Answer, err error) {
	var o object.Object
	if err == nil && len(a.Object) > 0 {
		o, err = object.Parse(a.Object)
	}
	switch {
	case err != nil:
		// The read failed: nothing was written.
		err = &kv.Error{Op: "read before delete", Kind: kv.KindOf(err), Err: err}
		d.done(err)
		d.to.Receive(wire.Answer{}, err)
	case o.Live() == 0:
		d.done(nil)
		d.to.Receive(wire.Answer{Context: a.Context}, nil)
	default:
		d.req.prior = metrics.CauseReplicas
		d.req.seen, d.req.Update.Context = true, append([]byte(nil), a.Context...)
		d.c.put(&d.req, d.start, d.to)
	}
}

// done tells that the delete ended with its read.
func (d *seenDelete) done(err error) {
	d.c.Stats.PutDone(Ended{
		Key: d.req.Key, Took: d.c.Now().Sub(d.start), Inner: d.req.elsewhere(), Stage: metrics.CauseReplicas, Err: err,
	})
}
