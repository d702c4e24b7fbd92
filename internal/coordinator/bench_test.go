package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// instant is a node's copies, and its peers, that answer at once: what is left
// is the coordinator's own work.
type instant struct {
	cur    *ring.Current
	object []byte
	room   []byte
	down   kv.NodeID
}

func (s *instant) ReadUnder(_ kv.Level, _ kv.Partition, _ kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	buf = append(buf, s.object...)
	o, err := object.Parse(buf)
	return o, nil, 0, buf, err
}

func (s *instant) Put(_ kv.Level, _ kv.Partition, _ kv.Key, _ object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	buf = append(buf, s.object...)
	o, err := object.Parse(buf)
	if durable != nil {
		durable.Durable(nil)
	}
	return o, buf, 0, err
}

func (s *instant) PeekUnder(l kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	return s.ReadUnder(l, p, k, buf)
}

func (s *instant) TryPut(l kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	return s.Put(l, p, k, w, buf, durable)
}

func (s *instant) Merge(kv.Partition, kv.Key, object.Object, vclock.Floor, storage.Waiter) error {
	return nil
}
func (s *instant) PutHint(kv.Level, kv.NodeID, kv.Partition, kv.Key, object.Write, []byte, storage.Waiter) (object.Object, []byte, int, error) {
	panic("unused")
}
func (s *instant) MergeHint(kv.NodeID, kv.Partition, kv.Key, object.Object, storage.Waiter) error {
	panic("unused")
}
func (s *instant) ReadHints(kv.Partition, kv.Key, []byte) (object.Object, []byte, error) {
	panic("unused")
}
func (s *instant) Floor(kv.Partition) (vclock.Floor, uint64)               { return nil, 0 }
func (s *instant) KeysPage(kv.Level, wire.ListKeys) (wire.KeysPage, error) { panic("unused") }
func (s *instant) Current() *ring.Current                                  { return s.cur }
func (s *instant) Props([]byte) kv.Props {
	return kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}
}
func (s *instant) Skew() time.Duration             { return 0 }
func (s *instant) Outdated() *kv.Error             { return nil }
func (s *instant) Refresh(kv.NodeID)               {}
func (s *instant) Sealer() *object.Sealer          { return testSealer }
func (s *instant) Up(id kv.NodeID) bool            { return id != s.down }
func (s *instant) Latency(kv.NodeID) time.Duration { return 0 }
func (s *instant) Tail(kv.NodeID) time.Duration    { return time.Millisecond }
func (s *instant) Hedge(hedge.Event)               {}
func (s *instant) GetDone(Ended)                   {}
func (s *instant) PutDone(Ended)                   {}
func (s *instant) Forwarded()                      {}
func (s *instant) StaleRing()                      {}
func (s *instant) Truncated(int)                   {}
func (s *instant) StandIn()                        {}
func (s *instant) Repaired(int)                    {}
func (s *instant) ForwardDone(metrics.Op, Ended)   {}
func (s *instant) Sampled(int, int)                {}
func (s *instant) Acknowledged(time.Duration)      {}

var (
	ackDurable = []byte{byte(wire.AckDurable)}
	copySame   = []byte{byte(wire.CopySame)}
)

func (s *instant) Call(_ kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	s.room = m.AppendTo(s.room[:0])
	answer := ackDurable
	if call.Type == wire.TypeReplicaRead {
		answer = copySame
	}
	done.Complete(tag, wire.Response{Payload: answer}, nil)
}

// told is a Receiver that fails the benchmark's run on an error.
type told struct{ b testing.TB }

func (r told) Receive(_ wire.Answer, err error) {
	if err != nil {
		r.b.Fatal(err)
	}
}

// newInstant returns a coordinator over an instant of n nodes, of which the
// last owner of key is down if so wanted.
func newInstant(tb testing.TB, n int, down bool) (*Coordinator, kv.Key) {
	s := &instant{}
	var members []ring.Node
	for i := range n {
		members = append(members, ring.Node{ID: kv.NodeID(i + 1), Weight: 1})
	}
	params := ring.DefaultParams()
	params.Q = 64
	r, err := ring.Claim(nil, params, 1, members)
	if err != nil {
		tb.Fatal(err)
	}
	s.cur = &ring.Current{Ring: r}
	o, _, _, err := object.Put(nil, object.Object{}, object.Write{
		Own: vclock.Own{Actor: vclock.Actor{Node: 1, Birth: 1}, Counter: 1}, Seq: 1, Now: 1, Value: make([]byte, 1<<10),
	})
	if err != nil {
		tb.Fatal(err)
	}
	s.object = o.Bytes()
	key := kv.AppendKey(nil, "bucket", []byte("a key of usual length"))
	owners := r.Owners(r.PartitionOf(key))
	if down {
		s.down = owners[2]
	}
	cfg := Default()
	cfg.ReadFewAt = 0
	return New(cfg, Deps{Self: owners[0], Local: s, Hints: s, Peers: s, Cluster: s, Stats: s, Now: time.Now, Alarm: func(time.Duration) {}}), key
}

func BenchmarkPut(b *testing.B) {
	benchmark(b, func(c *Coordinator, key kv.Key, to Receiver) {
		c.Put(Request{Key: key, Options: kv.Defaults(), Update: object.Update{Value: make([]byte, 0)}}, to)
	})
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, func(c *Coordinator, key kv.Key, to Receiver) {
		c.Get(Request{Key: key, Options: kv.Defaults()}, to)
	})
}

func benchmark(b *testing.B, do func(*Coordinator, kv.Key, Receiver)) {
	for _, v := range []struct {
		name string
		down bool
	}{{"healthy", false}, {"one owner down", true}} {
		b.Run(v.name, func(b *testing.B) {
			c, key := newInstant(b, 5, v.down)
			var to Receiver = told{b}
			b.ReportAllocs()
			for b.Loop() {
				do(c, key, to)
			}
		})
	}
}
