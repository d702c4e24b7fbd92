package bench

import (
	"context"

	"github.com/ringtaildb/ringtail/client"
)

// stores is what the load and its probers go through.
type stores struct {
	load, probe Store
	closers     []func()
}

func (s *stores) close() {
	for _, c := range s.closers {
		c()
	}
}

// dial connects to the cluster through the door that cfg names. An error is a
// *client.Error, or of KindInvalid. The caller closes what it gets.
func dial(ctx context.Context, cfg Config) (*stores, error) {
	s := &stores{}
	var err error
	if s.load, err = s.open(ctx, cfg); err == nil && len(cfg.Delays) > 0 {
		// Gets of probers take turns over the nodes, and are answered from one copy.
		cfg.R, cfg.Routing, cfg.Concurrency, cfg.Processes = 1, RoutingServer, cfg.Probers, 1
		s.probe, err = s.open(ctx, cfg)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stores) open(ctx context.Context, cfg Config) (Store, error) {
	switch cfg.Door {
	case DoorRESP:
		r, err := dialRedis(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, r.close)
		return r, nil
	case DoorHTTP:
		h, err := dialHTTP(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, h.close)
		return h, nil
	}
	c, err := client.Dial(ctx, cfg.Addrs, cfg.options()...)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { _ = c.Close() })
	return c.Bucket(cfg.Bucket), nil
}
