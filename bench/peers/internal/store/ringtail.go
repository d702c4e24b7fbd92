package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ringtaildb/ringtail/client"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

const (
	// ringtailPorts is how many ports from a node's HTTP port on are its own, and
	// ringtailStride how far the next node's is.
	ringtailPorts  = 5
	ringtailStride = 10
	// noneDown is a line of /metrics.
	noneDown = "ringtail_transport_peers_down 0"
	maxBody  = 4 << 20
	// bucket has the defaults: siblings, N=3, R=W=dw=2.
	bucket = "bench"
)

// ringtail is the store that the others are compared with: ringtail dev, three
// nodes.
type ringtail struct {
	env      Env
	program  Program
	engine   string
	group    *fleet.Group
	http     []string
	peers    []string
	contexts *contexts
}

// NewRingtail returns a Ringtail with that engine.
func NewRingtail(env Env, p Program, engine string) Store {
	return &ringtail{env: env, program: p, engine: engine, contexts: newContexts()}
}

func (s *ringtail) Name() string        { return "ringtail-" + s.engine }
func (s *ringtail) Version() string     { return s.program.Version }
func (s *ringtail) Group() *fleet.Group { return s.group }

// Start implements Store.
func (s *ringtail) Start(ctx context.Context) error {
	first, err := s.env.Ports.Block(ringtailStride*(copies-1) + ringtailPorts)
	if err != nil {
		return err
	}
	for i := range copies {
		s.http = append(s.http, fleet.Addr(first+ringtailStride*i))
		s.peers = append(s.peers, fleet.Addr(first+ringtailStride*i+1))
	}
	if s.group, err = s.env.group(s.Name()); err != nil {
		return err
	}
	data, err := s.group.Dir("data")
	if err != nil {
		return err
	}
	err = s.group.Start("dev", s.program.Path, "dev", "--nodes", strconv.Itoa(copies),
		"--port", strconv.Itoa(first), "--data", data, "--engine", s.engine)
	if err != nil {
		return err
	}
	// dev says when its nodes are one ring; until then a node can be ready alone.
	log := filepath.Join(s.env.Dir, s.Name(), "dev.log")
	err = s.group.Await(ctx, startWithin, s.Name()+": start", func(context.Context) error {
		b, err := os.ReadFile(log)
		if err == nil && !strings.Contains("\n"+string(b), "\nready\n") {
			err = errors.New("it is not ready")
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.group.Await(ctx, startWithin, s.Name()+": become whole", s.Whole)
}

// Whole implements Store: every node says that it is ready and finds none of the
// others down, as it may for a moment when all stood still, and all three apply a
// put.
func (s *ringtail) Whole(ctx context.Context) error {
	for _, addr := range s.http {
		if _, err := httpGet(ctx, "http://"+addr+"/readyz"); err != nil {
			return err
		}
		text, err := httpGet(ctx, "http://"+addr+"/metrics")
		if err != nil {
			return err
		}
		if !strings.Contains(text, "\n"+noneDown+"\n") {
			return fmt.Errorf("%s finds a node down", addr)
		}
	}
	c, err := client.Dial(ctx, s.peers)
	if err != nil {
		return err
	}
	defer c.Close()
	b := c.Bucket("probe", client.Strict(true))
	r, err := b.Get(ctx, probeKey, client.R(copies))
	if err != nil {
		return err
	}
	_, err = b.Put(ctx, probeKey, r.Context, []byte("whole"), client.W(copies))
	return err
}

// Open implements Store.
func (s *ringtail) Open(ctx context.Context, v View) (Session, error) {
	var opt client.Option
	switch v {
	case Buffered:
		opt = client.DW(0)
	case Durable:
	case One:
		opt = client.R(1)
	default:
		return nil, unknownView(s.Name(), v)
	}
	c, err := client.Dial(ctx, s.peers, client.Conns(s.env.conns(ringtailConns)))
	if err != nil {
		return nil, err
	}
	return &ringtailSession{client: c, bucket: c.Bucket(bucket, opt), contexts: s.contexts}, nil
}

type ringtailSession struct {
	client   *client.Client
	bucket   *client.Bucket
	contexts *contexts
}

// Close implements Session.
func (s *ringtailSession) Close() { s.client.Close() }

// Get implements bench.Store.
func (s *ringtailSession) Get(ctx context.Context, key string, opts ...client.Option) (client.Result, error) {
	r, err := s.bucket.Get(ctx, key, opts...)
	if err == nil {
		s.contexts.got(key, r.Context)
	}
	return r, err
}

// Put implements bench.Store.
func (s *ringtailSession) Put(ctx context.Context, key string, seen client.Context, value []byte, opts ...client.Option) (client.Result, error) {
	if len(seen) == 0 {
		seen = s.contexts.of(key)
	}
	r, err := s.bucket.Put(ctx, key, seen, value, opts...)
	if err != nil {
		r.Context = nil
	}
	s.contexts.put(key, r.Context)
	return r, err
}

// httpGet returns what is at url, of maxBody bytes at most.
func httpGet(ctx context.Context, url string) (string, error) {
	rq, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(rq)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return string(body), err
}
