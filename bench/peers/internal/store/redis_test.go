package store

import (
	"errors"
	"os/exec"
	"runtime"
	"testing"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

// startRedis starts one that is ended with the test.
func startRedis(t *testing.T, durable bool) *redis {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
	p, err := Redis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ports, err := fleet.NewPorts(21000, 21999)
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	s := NewRedis(Env{Dir: t.TempDir(), Ports: ports}, p, durable).(*redis)
	t.Cleanup(func() {
		if g := s.Group(); g != nil {
			_ = g.Stop()
		}
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRedis(t *testing.T) {
	s := startRedis(t, true)
	for _, v := range []View{Plain, Pooled, Gathered} {
		session, err := s.Open(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close()
		key := "key of " + string(v)
		if r, err := session.Get(t.Context(), key); err != nil || r.Found() {
			t.Errorf("%s: a key that is not there: %+v, %v", v, r, err)
		}
		if r, err := session.Put(t.Context(), key, nil, []byte("v")); err != nil || len(r.Context) == 0 {
			t.Errorf("%s: put: %+v, %v", v, r, err)
		}
		if r, err := session.Get(t.Context(), key); err != nil || !r.Found() {
			t.Errorf("%s: get: %+v, %v", v, r, err)
		}
	}
	if _, err := s.Open(t.Context(), Serializable); err == nil {
		t.Error("a view of another store is opened")
	}
}

func TestRedisStandsStillWithoutLosingItsReplicas(t *testing.T) {
	s := startRedis(t, false)
	if err := s.Group().Pause(); err != nil {
		t.Fatal(err)
	}
	if err := s.Group().Resume(); err != nil {
		t.Fatal(err)
	}
	if err := s.Group().Await(t.Context(), startWithin, "answer again", s.Whole); err != nil {
		t.Error(err)
	}
}

func TestTooFewReplicas(t *testing.T) {
	s := startRedis(t, false)
	c, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wait := c.B().Wait().Numreplicas(copies).Timeout(1).Build() // more than there are
	if err := put(t.Context(), c, "k", []byte("v"), wait, copies); !errors.Is(err, errTooFew) {
		t.Errorf("got %v", err)
	}
}
