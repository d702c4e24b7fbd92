// Command clients drives a Go client of Redis against Ringtail: clients NAME
// single|cluster ADDR.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// client is what each client is asked to do.
type client interface {
	set(ctx context.Context, key, value string, ttl time.Duration) error
	// get returns false for a key without a value.
	get(ctx context.Context, key string) (string, bool, error)
	ttl(ctx context.Context, key string) (time.Duration, error)
	expire(ctx context.Context, key string, ttl time.Duration) (bool, error)
	del(ctx context.Context, key string) (int64, error)
	// mget returns "" for a key without a value.
	mget(ctx context.Context, keys ...string) ([]string, error)
	incr(ctx context.Context, key string) error
	pipelineSet(ctx context.Context, keys []string) error
	pipelineGet(ctx context.Context, keys []string) ([]string, error)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: clients go-redis|rueidis single|cluster ADDR")
	}
	name, mode, addr := os.Args[1], os.Args[2], os.Args[3]
	var c client
	switch name {
	case "go-redis":
		c = newGoRedis(mode, addr)
	case "rueidis":
		c = newRueidis(addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := check(ctx, c, name+":"+mode+":"); err != nil {
		log.Fatalf("%s, %s: %v", name, mode, err)
	}
	if mode == "cluster" {
		if err := many(ctx, c, name); err != nil {
			log.Fatalf("%s, %s: %v", name, mode, err)
		}
	}
	fmt.Printf("%s, %s: ok\n", name, mode)
}

// check does a little of everything.
func check(ctx context.Context, c client, prefix string) error {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	a, none := prefix+"a", prefix+"none"
	for _, step := range []func() error{
		func() error { return c.set(ctx, a, "hello", 0) },
		func() error { return expectGet(ctx, c, a, "hello", true) },
		func() error { return expectGet(ctx, c, none, "", false) },
		func() error { return c.set(ctx, prefix+"soon", "x", 100*time.Second) },
		func() error { return expectTTL(ctx, c, prefix+"soon", 100*time.Second) },
		func() error { _, err := c.expire(ctx, a, 50*time.Second); return err },
		func() error { return expectTTL(ctx, c, a, 50*time.Second) },
		func() error { return c.set(ctx, prefix+"bin", string(binary), 0) },
		func() error { return expectGet(ctx, c, prefix+"bin", string(binary), true) },
		func() error { return c.set(ctx, prefix+"large", string(bytes.Repeat([]byte("v"), 1<<20)), 0) },
		func() error { return pipeline(ctx, c, prefix) },
		func() error { return c.set(ctx, "{"+prefix+"}1", "one", 0) },
		func() error {
			got, err := c.mget(ctx, "{"+prefix+"}1", "{"+prefix+"}2")
			return expect("mget", fmt.Sprint(got), fmt.Sprint([]string{"one", ""}), err)
		},
		func() error { n, err := c.del(ctx, a); return expect("del", n, 1, err) },
		func() error { n, err := c.del(ctx, a); return expect("del", n, 0, err) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := c.incr(ctx, a); err == nil || !strings.Contains(err.Error(), "no node of an always-writable store") {
		return fmt.Errorf("incr: %v", err)
	}
	return nil
}

func expect[T comparable](what string, got, want T, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if got != want {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

func expectGet(ctx context.Context, c client, key, want string, found bool) error {
	got, ok, err := c.get(ctx, key)
	if err == nil && ok != found {
		return fmt.Errorf("get %s: found is %v", key, ok)
	}
	return expect("get "+key, got, want, err)
}

func expectTTL(ctx context.Context, c client, key string, ttl time.Duration) error {
	got, err := c.ttl(ctx, key)
	return expect("ttl "+key, got > ttl-10*time.Second && got <= ttl, true, err)
}

// pipeline sets and gets 1,000 keys at once.
func pipeline(ctx context.Context, c client, prefix string) error {
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint(prefix, "p", i)
	}
	if err := c.pipelineSet(ctx, keys); err != nil {
		return fmt.Errorf("pipeline of sets: %w", err)
	}
	got, err := c.pipelineGet(ctx, keys)
	return expect("pipeline of gets", slices.Equal(got, keys), true, err)
}

// many spreads keys over the cluster.
func many(ctx context.Context, c client, prefix string) error {
	var group sync.WaitGroup
	errs := make(chan error, 8)
	for w := range 8 {
		group.Go(func() {
			for i := range 500 {
				if err := c.set(ctx, fmt.Sprintf("%s:%d:%d", prefix, w, i), "v", 0); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}
