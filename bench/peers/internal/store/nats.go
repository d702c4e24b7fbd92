package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ringtaildb/ringtail/client"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

// jetStream is three NATS servers, and a key-value bucket of three replicas.
type jetStream struct {
	env     Env
	program Program
	durable bool
	group   *fleet.Group
	ports   [copies]int // of clients; that of the routes follows
}

// NewJetStream returns a NATS JetStream: with the default interval between syncs,
// or, durable, one before each answer.
func NewJetStream(env Env, p Program, durable bool) Store {
	return &jetStream{env: env, program: p, durable: durable}
}

func (s *jetStream) Name() string {
	if s.durable {
		return "nats-durable"
	}
	return "nats-buffered"
}

func (s *jetStream) Version() string     { return s.program.Version }
func (s *jetStream) Group() *fleet.Group { return s.group }

// Start implements Store.
func (s *jetStream) Start(ctx context.Context) error {
	var err error
	if s.ports, err = s.env.ports(2); err != nil {
		return err
	}
	if s.group, err = s.env.group(s.Name()); err != nil {
		return err
	}
	for i := range copies {
		name := "s" + strconv.Itoa(i+1)
		dir, err := s.group.Dir(name)
		if err != nil {
			return err
		}
		conf := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(conf, []byte(s.config(i, name, dir)), 0o600); err != nil {
			return err
		}
		if err := s.group.Start(name, s.program.Path, "-c", conf); err != nil {
			return err
		}
	}
	if err := s.group.Await(ctx, startWithin, s.Name()+": make its bucket", s.create); err != nil {
		return err
	}
	return s.group.Await(ctx, startWithin, s.Name()+": become whole", s.Whole)
}

// config returns the configuration of server i.
func (s *jetStream) config(i int, name, dir string) string {
	var routes []string
	for _, port := range s.ports {
		routes = append(routes, fmt.Sprintf("%q", "nats://"+fleet.Addr(port+1)))
	}
	var sync string
	if s.durable {
		sync = ", sync_interval: always"
	}
	return fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q%s }\ncluster { name: peers, listen: %q, routes: [%s] }\n",
		name, fleet.Addr(s.ports[i]), dir, sync, fleet.Addr(s.ports[i]+1), strings.Join(routes, ", "))
}

// dial connects to server i, or to another where that fails.
func (s *jetStream) dial(i int) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect("nats://"+fleet.Addr(s.ports[i]), nats.Timeout(requestWithin))
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(requestWithin))
	if err != nil {
		nc.Close()
	}
	return nc, js, err
}

// create makes the bucket.
func (s *jetStream) create(ctx context.Context) error {
	nc, js, err := s.dial(0)
	if err != nil {
		return err
	}
	defer nc.Close()
	_, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, Replicas: copies, Storage: jetstream.FileStorage})
	return err
}

// Whole implements Store: the bucket has a leader and two replicas that are up to
// date, and a put through each server succeeds.
func (s *jetStream) Whole(ctx context.Context) error {
	for i := range s.ports {
		nc, js, err := s.dial(i)
		if err != nil {
			return err
		}
		err = wholeFrom(ctx, js)
		nc.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func wholeFrom(ctx context.Context, js jetstream.JetStream) error {
	bucket, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return err
	}
	if _, err := bucket.Put(ctx, probeKey, []byte("whole")); err != nil {
		return err
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return err
	}
	full, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok || full.StreamInfo().Cluster == nil {
		return errors.New("the bucket does not tell of its replicas")
	}
	cluster := full.StreamInfo().Cluster
	current := 0
	for _, r := range cluster.Replicas {
		if r.Current && !r.Offline {
			current++
		}
	}
	if cluster.Leader == "" || current != copies-1 {
		return fmt.Errorf("leader %q, %d replicas are up to date", cluster.Leader, current)
	}
	return nil
}

// Open implements Store: callers take turns over connections to all servers.
func (s *jetStream) Open(ctx context.Context, v View) (Session, error) {
	if v != Plain {
		return nil, unknownView(s.Name(), v)
	}
	n := &natsSession{}
	for i := range s.env.conns(natsConns) * copies {
		nc, js, err := s.dial(i % copies)
		if err != nil {
			n.Close()
			return nil, err
		}
		n.conns = append(n.conns, nc)
		kv, err := js.KeyValue(ctx, bucket)
		if err != nil {
			n.Close()
			return nil, err
		}
		n.buckets = append(n.buckets, kv)
	}
	return n, nil
}

type natsSession struct {
	conns   []*nats.Conn
	buckets []jetstream.KeyValue
	next    atomic.Uint32
}

// Close implements Session.
func (s *natsSession) Close() {
	for _, nc := range s.conns {
		nc.Close()
	}
}

func (s *natsSession) bucket() jetstream.KeyValue {
	return s.buckets[int(s.next.Add(1))%len(s.buckets)]
}

// Get implements bench.Store. A bucket answers gets directly: any replica does.
func (s *natsSession) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	_, err := s.bucket().Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return answer(false), nil
	}
	return answer(true), err
}

// Put implements bench.Store.
func (s *natsSession) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	_, err := s.bucket().Put(ctx, key, value)
	return answer(false), err
}
