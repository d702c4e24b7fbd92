package resp

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// testStore is a Store of one node in memory.
type testStore struct {
	sealer *object.Sealer
	// late, if set, has answers come later, from another goroutine.
	late func() time.Duration
	// gate, if set, is called before each request is served.
	gate func(key kv.Key)

	mu      sync.Mutex
	objects map[string][]byte
	counter uint64
	// fail is what the next requests for a key fail with.
	fail map[string]error
	gets int
	puts int
}

func newTestStore() *testStore {
	return &testStore{sealer: object.NewSealer([]byte("test")), objects: map[string][]byte{}, fail: map[string]error{}}
}

func (s *testStore) tell(to Receiver, a wire.Answer, err error) {
	if s.late == nil {
		to.Receive(a, err)
		return
	}
	wait := s.late()
	go func() {
		time.Sleep(wait)
		to.Receive(a, err)
	}()
}

func (s *testStore) Get(key kv.Key, _ kv.Options, to Receiver) {
	if s.gate != nil {
		s.gate(key)
	}
	s.mu.Lock()
	s.gets++
	a, err := s.answer(key)
	s.mu.Unlock()
	s.tell(to, a, err)
}

// answer returns what is shown of key now.
func (s *testStore) answer(key kv.Key) (a wire.Answer, err error) {
	if err := s.fail[string(key.User())]; err != nil {
		return a, err
	}
	b := s.objects[string(key)]
	if b == nil {
		return a, nil
	}
	o, err := object.Parse(b)
	if err != nil {
		return a, err
	}
	if a.Context, err = s.sealer.AppendSealed(nil, object.ContextOf(o)); err != nil {
		return a, err
	}
	o, _ = object.Hide(nil, o, kv.TimeOf(time.Now()))
	a.Object = o.Bytes()
	return a, nil
}

func (s *testStore) Put(key kv.Key, u object.Update, o kv.Options, to Receiver) {
	if s.gate != nil {
		s.gate(key)
	}
	a, err := s.put(key, u, o)
	s.tell(to, a, err)
}

func (s *testStore) put(key kv.Key, u object.Update, _ kv.Options) (a wire.Answer, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	if err := s.fail[string(key.User())]; err != nil {
		return a, err
	}
	ctx, err := s.sealer.Open(u.Context)
	if err != nil {
		return a, err
	}
	var local object.Object
	if b := s.objects[string(key)]; b != nil {
		if local, err = object.Parse(b); err != nil {
			return a, err
		}
	}
	if u.Deleted && u.Context == nil {
		ctx = object.ContextOf(local)
	}
	merge := kv.MergeLWW
	if u.Siblings || string(key.Bucket()) != Bucket {
		merge = kv.MergeSiblings
	}
	s.counter++
	now := kv.TimeOf(time.Now())
	w := object.Write{
		Merge: merge, Context: ctx, Now: now, Own: vclock.Own{Actor: vclock.Actor{Node: 1, Birth: 1}, Counter: s.counter}, Seq: s.counter,
		Deleted: u.Deleted, Value: u.Value, ContentType: u.ContentType, Meta: u.Meta, Expires: u.Life.Expiry(now, 0),
	}
	made, _, _, err := object.Put(nil, local, w)
	if err == nil {
		s.objects[string(key)] = made.Bytes()
	}
	if err == nil && made.Len() == 1 {
		a.Context, err = s.sealer.AppendSealed(nil, object.ContextOf(made))
	}
	return a, err
}

// Keys has two partitions: keys are in one by their first byte.
func (s *testStore) Keys(_ context.Context, bucket string, p kv.Partition, fn func(uint32, []byte) error) error {
	s.mu.Lock()
	var keys [][]byte
	for k := range s.objects {
		if key := kv.Key(k); string(key.Bucket()) == bucket && key.User()[0]&1 == byte(p) {
			if a, err := s.answer(key); err == nil && len(a.Object) > 0 {
				if o, _ := object.Parse(a.Object); o.Live() > 0 {
					keys = append(keys, key.User())
				}
			}
		}
	}
	s.mu.Unlock()
	for _, k := range keys {
		if err := fn(position(k), k); err != nil {
			return err
		}
	}
	return nil
}

// position has some keys share theirs.
func position(key []byte) uint32 {
	var h uint32
	for _, b := range key {
		h = 31*h + uint32(b)
	}
	return h % 5000
}

func (s *testStore) Partitions() int { return 2 }

// testCluster is a ring of two nodes of which one is down.
type testCluster struct{ enabled bool }

func (c testCluster) Enabled() bool   { return c.enabled }
func (c testCluster) Self() kv.NodeID { return 1 }
func (c testCluster) Slots() ([]Node, uint64) {
	return []Node{
		{ID: 1, Host: "10.0.0.1", Port: 7403, Up: true, Slots: []SlotRange{{0, 8191}, {8192, 16383}}},
		{ID: 2, Host: "10.0.0.2", Port: 7403},
	}, 7
}

// testDoor is a running Server.
type testDoor struct {
	t     testing.TB
	addr  string
	store *testStore
	*Server
	end func() error
}

func startDoor(t testing.TB, change func(*Config, *testStore, *testCluster)) *testDoor {
	t.Helper()
	cfg, store, cluster := Default(), newTestStore(), testCluster{}
	if change != nil {
		change(&cfg, store, &cluster)
	}
	s, err := New(cfg, Parts{
		Store: store, Cluster: cluster, Metrics: metrics.NewNode(time.Now()), Log: slog.New(slog.DiscardHandler), Port: 7403, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	d := &testDoor{t: t, addr: l.Addr().String(), store: store, Server: s}
	d.end = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := d.end(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// testClient is a client's end of a connection.
type testClient struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (d *testDoor) dial() *testClient {
	d.t.Helper()
	c, err := net.Dial("tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = c.Close() })
	return &testClient{Conn: c, t: d.t, r: bufio.NewReader(c)}
}

func (c *testClient) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads as many bytes as want has, and compares.
func (c *testClient) expect(want string) {
	c.t.Helper()
	b := make([]byte, len(want))
	n, err := io.ReadFull(c.r, b)
	if string(b[:n]) != want {
		// What is missing may be in what comes after.
		rest := make([]byte, c.r.Buffered())
		k, _ := io.ReadFull(c.r, rest)
		c.t.Fatalf("got %.300q%.300q (%v)\nwant %.300q", b[:n], rest[:k], err, want)
	}
}

// ends expects the connection to end, with nothing more to read.
func (c *testClient) ends() {
	c.t.Helper()
	if b, err := c.r.ReadByte(); err == nil {
		c.t.Fatalf("one more byte: %q", b)
	}
}

// array returns a command as clients send it.
func array(words ...string) string {
	b := appendArray(nil, len(words))
	for _, w := range words {
		b = appendBulk(b, w)
	}
	return string(b)
}

func upTo(d time.Duration) func() time.Duration {
	return func() time.Duration { return rand.N(d) }
}
