package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// TestAnAnswerIsMadeBeforeItIsGiven: with w=1 the local durable acknowledgement
// meets the quorum before the local write has returned, and the deadline may
// pass just then. The answer is whole all the same.
func TestAnAnswerIsMadeBeforeItIsGiven(t *testing.T) {
	for _, late := range []time.Duration{0, kv.DefaultTimeout + time.Millisecond} {
		c := newCluster(t, 3)
		n := c.nodes[0]
		n.coord.Local = slowReturn{Local: n.store, after: func() { c.pass(late) }}
		o := opts(1, 1, 1)
		o.ReturnBody = true
		p := c.put(0, "a", "v", nil, o)
		want(t, p, "[v]")
		if len(p.context) == 0 {
			t.Errorf("%v after the write: the answer has no context", late)
		}
		c.run()
		c.pass(kv.DefaultTimeout + time.Millisecond)
		c.idle()
	}
}

// slowReturn lets something happen between a local write and its return.
type slowReturn struct {
	Local
	after func()
}

func (l slowReturn) Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	o, buf, dropped, err := l.Local.Put(level, p, k, w, buf, durable)
	l.after()
	return o, buf, dropped, err
}
