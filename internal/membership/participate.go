package membership

import (
	"context"
	"sync"
)

// fetchers is how many nodes a node exchanges states with at once.
const fetchers = 4

// participate joins the cluster, unless the node is in one, and takes part in
// its gossip until ctx is done. An error ends the node.
func (s *Service) participate(ctx context.Context, port *gossipPort) error {
	if s.State().cluster == 0 {
		if err := s.join(ctx, port); err != nil {
			return ignoreEnd(ctx, err)
		}
	}
	g, err := s.gossipOn(ctx, port)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	s.gossip.Store(g)
	// What changed while gossip was being started has not been told.
	g.tell(s.digest())
	var parts sync.WaitGroup
	for range fetchers {
		parts.Go(func() { s.fetch(ctx) })
	}
	parts.Go(func() { s.compare(ctx) })
	parts.Go(func() { s.seek(ctx, g, port) })
	parts.Wait()
	s.gossip.Store(nil)
	return g.stop()
}

// ignoreEnd returns nil when err comes of ctx's end.
func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// gossipOn starts memberlist on the port.
func (s *Service) gossipOn(ctx context.Context, port *gossipPort) (*gossip, error) {
	bind, err := resolve(ctx, s.cfg.gossipBind())
	if err != nil {
		return nil, err
	}
	advertise, err := resolve(ctx, s.cfg.Addrs.Gossip)
	if err != nil {
		return nil, err
	}
	return startGossip(gossipConfig{
		self:      s.ID(),
		label:     s.State().cluster.String(),
		bind:      bind,
		advertise: advertise,
		nodes:     func() int { return len(s.State().members) },
		local:     s.digest,
		heard:     s.hear,
	}, port, s.live, s.log)
}
