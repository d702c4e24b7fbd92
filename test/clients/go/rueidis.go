package main

import (
	"context"
	"log"
	"time"

	"github.com/redis/rueidis"
)

type rueidisClient struct{ rueidis.Client }

// newRueidis finds out by itself whether it is to speak to a cluster.
func newRueidis(addr string) client {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	if err != nil {
		log.Fatalf("rueidis: %v", err)
	}
	return rueidisClient{c}
}

func (c rueidisClient) set(ctx context.Context, key, value string, ttl time.Duration) error {
	if ttl > 0 {
		return c.Do(ctx, c.B().Set().Key(key).Value(value).Ex(ttl).Build()).Error()
	}
	return c.Do(ctx, c.B().Set().Key(key).Value(value).Build()).Error()
}

func (c rueidisClient) get(ctx context.Context, key string) (string, bool, error) {
	v, err := c.Do(ctx, c.B().Get().Key(key).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", false, nil
	}
	return v, true, err
}

func (c rueidisClient) ttl(ctx context.Context, key string) (time.Duration, error) {
	n, err := c.Do(ctx, c.B().Ttl().Key(key).Build()).AsInt64()
	return time.Duration(n) * time.Second, err
}

func (c rueidisClient) expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return c.Do(ctx, c.B().Expire().Key(key).Seconds(int64(ttl/time.Second)).Build()).AsBool()
}

func (c rueidisClient) del(ctx context.Context, key string) (int64, error) {
	return c.Do(ctx, c.B().Del().Key(key).Build()).AsInt64()
}

func (c rueidisClient) mget(ctx context.Context, keys ...string) ([]string, error) {
	got, err := c.Do(ctx, c.B().Mget().Key(keys...).Build()).ToArray()
	out := make([]string, len(got))
	for i, v := range got {
		out[i], _ = v.ToString()
	}
	return out, err
}

func (c rueidisClient) incr(ctx context.Context, key string) error {
	return c.Do(ctx, c.B().Incr().Key(key).Build()).Error()
}

func (c rueidisClient) pipelineSet(ctx context.Context, keys []string) error {
	cmds := make(rueidis.Commands, len(keys))
	for i, k := range keys {
		cmds[i] = c.B().Set().Key(k).Value(k).Build()
	}
	for _, r := range c.DoMulti(ctx, cmds...) {
		if err := r.Error(); err != nil {
			return err
		}
	}
	return nil
}

func (c rueidisClient) pipelineGet(ctx context.Context, keys []string) ([]string, error) {
	cmds := make(rueidis.Commands, len(keys))
	for i, k := range keys {
		cmds[i] = c.B().Get().Key(k).Build()
	}
	out := make([]string, len(keys))
	for i, r := range c.DoMulti(ctx, cmds...) {
		v, err := r.ToString()
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}
