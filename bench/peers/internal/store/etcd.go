package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/ringtaildb/ringtail/client"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

// etcdQuota is the size that its database may have: more than it comes to, as
// nothing that is overwritten is dropped meanwhile.
const etcdQuota = 8 << 30

// etcd is three members.
type etcd struct {
	env     Env
	program Program
	group   *fleet.Group
	ports   [copies]int // of clients; that of the peers follows
}

// NewEtcd returns an etcd.
func NewEtcd(env Env, p Program) Store { return &etcd{env: env, program: p} }

func (s *etcd) Name() string        { return "etcd" }
func (s *etcd) Version() string     { return s.program.Version }
func (s *etcd) Group() *fleet.Group { return s.group }

// Start implements Store.
func (s *etcd) Start(ctx context.Context) error {
	var err error
	if s.ports, err = s.env.ports(2); err != nil {
		return err
	}
	if s.group, err = s.env.group(s.Name()); err != nil {
		return err
	}
	var members []string
	for i, port := range s.ports {
		members = append(members, fmt.Sprintf("e%d=http://%s", i+1, fleet.Addr(port+1)))
	}
	for i, port := range s.ports {
		name := "e" + strconv.Itoa(i+1)
		dir, err := s.group.Dir(name)
		if err != nil {
			return err
		}
		forClients, forPeers := "http://"+fleet.Addr(port), "http://"+fleet.Addr(port+1)
		err = s.group.Start(name, s.program.Path, "--name", name, "--data-dir", dir, "--log-level", "error",
			"--listen-client-urls", forClients, "--advertise-client-urls", forClients,
			"--listen-peer-urls", forPeers, "--initial-advertise-peer-urls", forPeers,
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new",
			"--quota-backend-bytes", strconv.Itoa(etcdQuota))
		if err != nil {
			return err
		}
	}
	return s.group.Await(ctx, startWithin, s.Name()+": start", s.Whole)
}

// Whole implements Store: through each member a put succeeds.
func (s *etcd) Whole(ctx context.Context) error {
	for _, port := range s.ports {
		c, err := dialEtcd(ctx, "http://"+fleet.Addr(port))
		if err != nil {
			return err
		}
		_, err = c.Put(ctx, probeKey, "whole")
		_ = c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func dialEtcd(ctx context.Context, endpoints ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: requestWithin, Context: ctx, Logger: zap.NewNop()})
}

// Open implements Store: a client spreads its requests over the members.
func (s *etcd) Open(ctx context.Context, v View) (Session, error) {
	if v != Linearizable && v != Serializable {
		return nil, unknownView(s.Name(), v)
	}
	var endpoints []string
	for _, port := range s.ports {
		endpoints = append(endpoints, "http://"+fleet.Addr(port))
	}
	e := &etcdSession{}
	for range s.env.conns(etcdConns) {
		c, err := dialEtcd(ctx, endpoints...)
		if err != nil {
			e.Close()
			return nil, err
		}
		e.clients = append(e.clients, c)
	}
	if v == Serializable {
		e.options = []clientv3.OpOption{clientv3.WithSerializable()}
	}
	return e, nil
}

// etcdSession is clients that take turns.
type etcdSession struct {
	clients []*clientv3.Client
	next    atomic.Uint32
	options []clientv3.OpOption
}

// Close implements Session.
func (s *etcdSession) Close() {
	for _, c := range s.clients {
		_ = c.Close()
	}
}

func (s *etcdSession) client() *clientv3.Client {
	return s.clients[int(s.next.Add(1))%len(s.clients)]
}

// Get implements bench.Store.
func (s *etcdSession) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	r, err := s.client().Get(ctx, key, s.options...)
	if err != nil {
		return client.Result{}, err
	}
	return answer(len(r.Kvs) > 0), nil
}

// Put implements bench.Store.
func (s *etcdSession) Put(ctx context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	_, err := s.client().Put(ctx, key, string(value))
	return answer(false), err
}
