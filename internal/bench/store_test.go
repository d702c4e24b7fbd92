package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// fakeStore keeps siblings by their numbers, in memory; a context is the highest
// number seen. Gets and puts take a fixed time. Safe for concurrent use.
type fakeStore struct {
	getTime, putTime time.Duration
	// fail, if set, is asked for the n-th operation's error.
	fail func(n int) error

	mu        sync.Mutex
	keys      map[string][]uint64
	last      uint64
	ops       int
	gets      int
	puts      int
	mostAtPut int
}

func (s *fakeStore) begin(ctx context.Context, takes time.Duration) error {
	if takes > 0 {
		select {
		case <-ctx.Done():
			return &client.Error{Op: "test", Kind: client.KindTimeout, Err: ctx.Err()}
		case <-time.After(takes):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops++
	if s.fail != nil {
		return s.fail(s.ops)
	}
	return nil
}

func (s *fakeStore) Get(ctx context.Context, key string, _ ...client.Option) (client.Result, error) {
	if err := s.begin(ctx, s.getTime); err != nil {
		return client.Result{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gets++
	var r client.Result
	for _, n := range s.keys[key] {
		r.Siblings = append(r.Siblings, client.Sibling{})
		r.Context = binary.BigEndian.AppendUint64(nil, n)
	}
	return r, nil
}

func (s *fakeStore) Put(ctx context.Context, key string, seen client.Context, _ []byte, _ ...client.Option) (client.Result, error) {
	if err := s.begin(ctx, s.putTime); err != nil {
		return client.Result{}, err
	}
	var upTo uint64
	if len(seen) > 0 {
		upTo = binary.BigEndian.Uint64(seen)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts++
	var left []uint64
	for _, n := range s.keys[key] {
		if n > upTo {
			left = append(left, n)
		}
	}
	s.last++
	left = append(left, s.last)
	if s.keys == nil {
		s.keys = map[string][]uint64{}
	}
	s.keys[key] = left
	s.mostAtPut = max(s.mostAtPut, len(left))
	if len(left) > 1 {
		return client.Result{}, nil
	}
	return client.Result{Context: binary.BigEndian.AppendUint64(nil, s.last)}, nil
}

// instant answers at once, with a context that never changes, and keeps nothing.
type instant struct{ answer client.Result }

func (s *instant) Get(context.Context, string, ...client.Option) (client.Result, error) {
	return s.answer, nil
}

func (s *instant) Put(context.Context, string, client.Context, []byte, ...client.Option) (client.Result, error) {
	return client.Result{Context: s.answer.Context}, nil
}

var errTest = errors.New("as the test wants it")

// limited is a Store that ends the run after a number of operations.
type limited struct {
	Store
	left atomic.Int64
	stop func()
}

func (s *limited) Get(ctx context.Context, key string, opts ...client.Option) (client.Result, error) {
	if s.left.Add(-1) < 0 {
		s.stop()
	}
	return s.Store.Get(ctx, key, opts...)
}

func (s *limited) Put(ctx context.Context, key string, seen client.Context, value []byte, opts ...client.Option) (client.Result, error) {
	if s.left.Add(-1) < 0 {
		s.stop()
	}
	return s.Store.Put(ctx, key, seen, value, opts...)
}
