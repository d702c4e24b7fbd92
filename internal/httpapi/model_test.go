package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// model is a cluster of one node in memory: real objects, contexts and merge
// rules, without disks or quorums.
type model struct {
	node   kv.NodeID
	sealer *object.Sealer

	mu      sync.Mutex
	seq     uint64
	records map[string]record
	props   map[string]kv.Props
	sla     kv.SLA
	// fail, when set, is the outcome of the next Get or Put; hook runs within
	// both.
	fail error
	hook func(context.Context)
	// asked are the options of the last Get or Put, update the last Put's.
	asked  kv.Options
	update object.Update
	puts   int
	// listFail ends Keys with an error after the first key.
	listFail error
}

type record struct {
	object object.Object
	own    vclock.Own
}

func newModel() *model {
	return &model{
		node: 7, sealer: object.NewSealer([]byte("cluster key")),
		records: map[string]record{}, props: map[string]kv.Props{},
	}
}

// begin notes a request and returns the error that it is to end with.
func (m *model) begin(ctx context.Context, o kv.Options) error {
	if m.hook != nil {
		m.hook(ctx)
	}
	m.asked = o
	err := m.fail
	m.fail = nil
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &kv.Error{Op: "wait", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: ctx.Err()}
	}
	return nil
}

func (m *model) Get(ctx context.Context, key kv.Key, o kv.Options) (object.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, o); err != nil {
		return object.Answer{}, err
	}
	return m.answer(m.records[string(key)].object)
}

func (m *model) answer(o object.Object) (object.Answer, error) {
	if o.Len() == 0 {
		return object.Answer{}, nil
	}
	sealed, err := m.sealer.AppendSealed(nil, object.ContextOf(o))
	return object.Answer{Object: o, Context: sealed}, err
}

func (m *model) Put(ctx context.Context, key kv.Key, u object.Update, o kv.Options) (object.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.begin(ctx, o); err != nil {
		return object.Answer{}, err
	}
	seen, err := m.sealer.Open(u.Context)
	if err != nil {
		return object.Answer{}, err
	}
	m.seq++
	m.puts++
	m.update = u
	r := m.records[string(key)]
	r.own = vclock.Issue(r.own, r.object.Clock(), m.node, m.seq, 0)
	r.object, _, _, err = object.Put(nil, r.object, object.Write{
		Merge: m.Props(string(key.Bucket())).Merge, Context: seen, Now: written(m.seq),
		Own: r.own, Seq: m.seq, Deleted: u.Deleted, ContentType: u.ContentType, Value: u.Value, Meta: u.Meta, Expires: u.Life.Expiry(written(m.seq), m.Props(string(key.Bucket())).TTL),
	})
	if err != nil {
		return object.Answer{}, err
	}
	m.records[string(key)] = r
	if o.ReturnBody || r.object.Len() == 1 {
		a, err := m.answer(r.object)
		if !o.ReturnBody {
			a.Object = object.Object{}
		}
		return a, err
	}
	return object.Answer{}, nil
}

// written is the time of the model's n-th write.
func written(n uint64) kv.Time {
	return kv.TimeOf(time.Date(2026, 3, 1, 12, 0, int(n), 0, time.UTC))
}

func (m *model) Keys(ctx context.Context, bucket string, fn func([]byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hook != nil {
		m.hook(ctx)
	}
	for k, r := range m.records {
		if key := kv.Key(k); string(key.Bucket()) == bucket && r.object.Live() > 0 {
			if err := fn(key.User()); err != nil {
				return err
			}
			if m.listFail != nil {
				break
			}
		}
	}
	return m.listFail
}

func (m *model) Buckets(_ context.Context, fn func([]byte) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	told := map[string]bool{}
	for k, r := range m.records {
		if name := kv.Key(k).Bucket(); r.object.Live() > 0 && !told[string(name)] {
			told[string(name)] = true
			if err := fn(name); err != nil {
				return err
			}
		}
	}
	return m.listFail
}

func (m *model) Known(bucket string) bool {
	_, ok := m.props[bucket]
	return ok
}

func (m *model) Names() []string { return slices.Sorted(maps.Keys(m.props)) }

func (m *model) Preflist(key kv.Key) Preflist {
	return Preflist{
		Partition: kv.Partition(len(key.User())),
		Owners:    []Owner{{Node: "n1", ID: m.node, HTTP: "127.0.0.1:7400", Zone: "a", Up: true}},
	}
}

func (m *model) Props(bucket string) kv.Props {
	for _, name := range []string{bucket, string(kv.TypeOf([]byte(bucket)))} {
		if p, ok := m.props[name]; ok {
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

func (m *model) SLA() kv.SLA { return m.sla.Or(kv.DefaultSLA) }

func (m *model) SLAs() map[string]kv.SLA {
	out := map[string]kv.SLA{}
	for name, p := range m.props {
		out[name] = p.SLA
	}
	return out
}

func (m *model) SetSLA(_ context.Context, change func(kv.SLA) (kv.SLA, error)) error {
	sla, err := change(m.sla)
	if err == nil {
		m.sla = sla
	}
	return err
}

func (m *model) N() int { return 3 }

// admin answers with what a test gave it.
type admin struct {
	mu      sync.Mutex
	view    ClusterView
	plan    PlanView
	fail    error
	joined  []string
	staged  []Change
	commits uint64
	options CommitOptions
	lost    []string
	pace    int64
	// repair and scrub are the progress of both, runs how often each was
	// started.
	repair RepairView
	scrub  RunView
	runs   [2]int
}

func (a *admin) Repair() error {
	if a.fail == nil {
		a.runs[0]++
	}
	return a.fail
}

func (a *admin) Scrub() error {
	if a.fail == nil {
		a.runs[1]++
	}
	return a.fail
}

func (a *admin) Repairing() RepairView { return a.repair }
func (a *admin) Scrubbing() RunView    { return a.scrub }

func (a *admin) Cluster(context.Context) (ClusterView, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := a.view
	v.Members, v.Hints = slices.Clone(v.Members), slices.Clone(v.Hints)
	return v, a.fail
}

func (a *admin) Stage(_ context.Context, c Change) error {
	if a.fail == nil {
		a.joined, a.staged = append(a.joined, c.Node), append(a.staged, c)
	}
	return a.fail
}

func (a *admin) Clear(context.Context) ([]ChangeView, error) { return a.plan.Changes, a.fail }

func (a *admin) Plan(_ context.Context, lost []string) (PlanView, error) {
	a.lost = lost
	p := a.plan
	p.Loads = slices.Clone(p.Loads)
	return p, a.fail
}

func (a *admin) Commit(_ context.Context, o CommitOptions) (PlanView, error) {
	if a.fail == nil {
		a.commits++
		a.options = o
	}
	return PlanView{Epoch: a.commits}, a.fail
}

func (a *admin) Pace() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pace
}

func (a *admin) SetPace(rate int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail == nil {
		a.pace = rate
	}
	return a.fail
}

func (a *admin) Partitions(context.Context) ([]PartitionView, error) {
	return []PartitionView{{Partition: 3, Role: "owner", Keys: 2, Bytes: 9}}, a.fail
}

// health answers with what a test gave it.
type health struct{ healthy, ready error }

func (h *health) Healthy() error { return h.healthy }
func (h *health) Ready() error   { return h.ready }

// door is a server over a model, with a client that follows nothing and keeps
// paths as they are.
type door struct {
	t testing.TB
	*model
	admin   *admin
	health  *health
	metrics *metrics.Node
	server  *Server
	url     string
	client  *http.Client
}

// newServer returns a door that nothing listens at yet.
func newServer(t testing.TB, cfg Config, log io.Writer) *door {
	t.Helper()
	d := &door{
		t: t, model: newModel(), admin: &admin{}, health: &health{}, metrics: metrics.NewNode(time.Now()),
		client: &http.Client{Transport: &http.Transport{}},
	}
	s, err := New(cfg, Parts{
		Store: d.model, Buckets: d.model, Admin: d.admin, Contract: d.model, Changes: d.admin, Upkeep: d.admin, Health: d.health, Metrics: d.metrics,
		Log: slog.New(slog.NewTextHandler(log, nil)), Name: "n1", Version: "0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	d.server = s
	return d
}

// newDoor returns a door at a loopback port.
func newDoor(t testing.TB) *door { return newDoorWith(t, Default()) }

func newDoorWith(t testing.TB, cfg Config) *door {
	t.Helper()
	d := newServer(t, cfg, io.Discard)
	ts := httptest.NewServer(d.server)
	t.Cleanup(ts.Close)
	t.Cleanup(d.client.CloseIdleConnections)
	d.url = ts.URL
	return d
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) context() string { return r.header.Get(headerContext) }

// do sends a request; headers are name: value.
func (d *door) do(method, path, body string, headers ...string) reply {
	d.t.Helper()
	return d.send(method, path, strings.NewReader(body), headers...)
}

func (d *door) send(method, path string, body io.Reader, headers ...string) reply {
	d.t.Helper()
	r, err := http.NewRequest(method, d.url+path, body)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatalf("%s %s: read the answer: %v", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, b}
}

// want fails the test unless r has the status.
func (d *door) want(r reply, status int) reply {
	d.t.Helper()
	if r.status != status {
		d.t.Fatalf("status %d, want %d; %.300s", r.status, status, r.body)
	}
	return r
}

// wantError fails the test unless r is an error of the status and kind.
func (d *door) wantError(r reply, status int, kind kv.Kind) {
	d.t.Helper()
	d.want(r, status)
	if !bytes.Contains(r.body, []byte(`{"error":{"kind":"`+kind.String()+`","message":"`)) {
		d.t.Errorf("%s is no error of kind %q", r.body, kind)
	}
}

// serve hands a request to the server without a connection.
func (d *door) serve(t *testing.T, method, path string, body io.Reader, length int64) reply {
	t.Helper()
	r := httptest.NewRequest(method, path, body)
	r.ContentLength = length
	w := httptest.NewRecorder()
	d.server.ServeHTTP(w, r)
	return reply{w.Code, w.Header(), w.Body.Bytes()}
}

// raw sends bytes over a connection of their own and returns all that comes
// back until the server closes it.
func (d *door) raw(t *testing.T, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
