package main

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

type goRedis struct{ redis.UniversalClient }

func newGoRedis(mode, addr string) client {
	if mode == "cluster" {
		return goRedis{redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}})}
	}
	return goRedis{redis.NewClient(&redis.Options{Addr: addr})}
}

func (c goRedis) set(ctx context.Context, key, value string, ttl time.Duration) error {
	return c.Set(ctx, key, value, ttl).Err()
}

func (c goRedis) get(ctx context.Context, key string) (string, bool, error) {
	v, err := c.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	return v, true, err
}

func (c goRedis) ttl(ctx context.Context, key string) (time.Duration, error) {
	return c.TTL(ctx, key).Result()
}

func (c goRedis) expire(ctx context.Context, key string, ttl time.Duration) (bool, error) {
	return c.Expire(ctx, key, ttl).Result()
}

func (c goRedis) del(ctx context.Context, key string) (int64, error) { return c.Del(ctx, key).Result() }

func (c goRedis) mget(ctx context.Context, keys ...string) ([]string, error) {
	got, err := c.MGet(ctx, keys...).Result()
	out := make([]string, len(got))
	for i, v := range got {
		out[i], _ = v.(string)
	}
	return out, err
}

func (c goRedis) incr(ctx context.Context, key string) error { return c.Incr(ctx, key).Err() }

func (c goRedis) pipelineSet(ctx context.Context, keys []string) error {
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range keys {
			p.Set(ctx, k, k, 0)
		}
		return nil
	})
	return err
}

func (c goRedis) pipelineGet(ctx context.Context, keys []string) ([]string, error) {
	got := make([]*redis.StringCmd, len(keys))
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, k := range keys {
			got[i] = p.Get(ctx, k)
		}
		return nil
	})
	out := make([]string, len(keys))
	for i, cmd := range got {
		out[i] = cmd.Val()
	}
	return out, err
}
