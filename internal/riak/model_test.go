package riak

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// model is a cluster of one node in memory: real objects, contexts and merge
// rules, without disks or quorums.
type model struct {
	sealer *object.Sealer

	mu      sync.Mutex
	seq     uint64
	records map[string]record
	props   map[string]kv.Props
	// hook, when set, runs within Get and Put; fail is the outcome of the next.
	hook func(context.Context)
	fail error
	// asked are the options of all Gets and Puts.
	asked []kv.Options
	// puts counts what was applied.
	puts int
	// listFail ends a listing with an error after that many names.
	listFail error
	listed   int
}

type record struct {
	object object.Object
	own    vclock.Own
}

func newModel() *model {
	return &model{sealer: object.NewSealer([]byte("cluster key")), records: map[string]record{}, props: map[string]kv.Props{}}
}

func (m *model) begin(ctx context.Context, o kv.Options) error {
	if m.hook != nil {
		m.hook(ctx)
	}
	m.mu.Lock()
	m.asked = append(m.asked, o)
	err := m.fail
	m.fail = nil
	return err
}

func (m *model) Get(ctx context.Context, key kv.Key, o kv.Options) (object.Answer, error) {
	err := m.begin(ctx, o)
	defer m.mu.Unlock()
	if err != nil {
		return object.Answer{}, err
	}
	return m.answer(m.records[string(key)].object)
}

// answer seals contexts as if another replica were the fastest each time.
func (m *model) answer(o object.Object) (object.Answer, error) {
	if o.Len() == 0 {
		return object.Answer{}, nil
	}
	c := object.ContextOf(o)
	c.Fastest = kv.NodeID(len(m.asked))
	sealed, err := m.sealer.AppendSealed(nil, c)
	return object.Answer{Object: o, Context: sealed}, err
}

func (m *model) Put(ctx context.Context, key kv.Key, u object.Update, o kv.Options) (object.Answer, error) {
	err := m.begin(ctx, o)
	defer m.mu.Unlock()
	if err != nil {
		return object.Answer{}, err
	}
	seen, err := m.sealer.Open(u.Context)
	if err != nil {
		return object.Answer{}, err
	}
	r := m.records[string(key)]
	if u.Deleted && len(u.Context) == 0 {
		seen = object.ContextOf(r.object)
	}
	m.seq++
	p := m.Props(string(key.Bucket()))
	now := kv.Time(1_000_000 * m.seq)
	r.own = vclock.Issue(r.own, r.object.Clock(), 7, m.seq, 0)
	r.object, _, _, err = object.Put(nil, r.object, object.Write{
		Merge: p.Merge, Context: seen, Now: now, Own: r.own, Seq: m.seq, Deleted: u.Deleted,
		ContentType: u.ContentType, Value: u.Value, Meta: u.Meta, Expires: u.Life.Expiry(now, p.TTL),
	})
	if err != nil {
		return object.Answer{}, err
	}
	m.puts++
	m.records[string(key)] = r
	if o.ReturnBody {
		return m.answer(r.object)
	}
	return object.Answer{}, nil
}

func (m *model) Keys(_ context.Context, bucket string, fn func([]byte) error) error {
	return m.list(func(k kv.Key) ([]byte, bool) { return k.User(), string(k.Bucket()) == bucket }, fn)
}

func (m *model) Buckets(_ context.Context, fn func([]byte) error) error {
	told := map[string]bool{}
	return m.list(func(k kv.Key) ([]byte, bool) {
		had := told[string(k.Bucket())]
		told[string(k.Bucket())] = true
		return k.Bucket(), !had
	}, fn)
}

func (m *model) list(name func(kv.Key) ([]byte, bool), fn func([]byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, k := range slices.Sorted(maps.Keys(m.records)) {
		b, ok := name(kv.Key(k))
		if !ok || m.records[k].object.Live() == 0 {
			continue
		}
		if n++; m.listFail != nil && n > m.listed {
			return m.listFail
		}
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) Holders(kv.Key) []pb.Holder {
	return []pb.Holder{{Partition: 5, Node: "n1", Primary: true}, {Partition: 5, Node: "n4"}}
}

func (m *model) Props(bucket string) kv.Props {
	for _, name := range []string{bucket, string(kv.TypeOf([]byte(bucket)))} {
		if p, ok := m.props[name]; ok {
			if p.R == kv.Unset {
				p.R, p.W = 2, 2
			}
			return p
		}
	}
	return kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}
}

func (m *model) SetProps(_ context.Context, bucket string, change func(kv.Props) (kv.Props, error)) (kv.Props, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := change(m.Props(bucket))
	if err == nil {
		m.props[bucket] = p
	}
	return p, err
}

func (m *model) Known(bucket string) bool {
	_, ok := m.props[bucket]
	return ok
}

func (m *model) N() int { return 3 }

// last returns the options of the last request.
func (m *model) last() kv.Options {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[len(m.asked)-1]
}

// pipes is a listener whose connections are pipes within the process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// door is a served door over a model.
type door struct {
	*model
	t       *testing.T
	server  *Server
	pipes   *pipes
	metrics *metrics.Node
	// stop ends Serve's context; ended gets what it returned.
	stop  context.CancelFunc
	ended chan error
}

// serve starts a door that ends with the test.
func serve(t *testing.T, cfg Config) *door {
	t.Helper()
	d := &door{
		model: newModel(), t: t, metrics: metrics.NewNode(time.Now()), ended: make(chan error, 1),
		pipes: &pipes{conns: make(chan net.Conn), closed: make(chan struct{})},
	}
	var err error
	d.server, err = New(cfg, Parts{
		Store: d.model, Buckets: d.model, Metrics: d.metrics, Log: slog.New(slog.DiscardHandler), Name: "n1", Version: "0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, d.stop = context.WithCancel(context.Background())
	go func() { d.ended <- d.server.Serve(ctx, d.pipes) }()
	t.Cleanup(func() {
		d.stop()
		if err := <-d.ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		d.ended <- nil
	})
	return d
}
