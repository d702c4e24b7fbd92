package membership

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// maxContacts bounds the addresses that one round of seeking tries.
const maxContacts = 8

// contact is an attempt to reach whoever is at a gossip address.
type contact struct {
	addr string
	// node is who answered, 0 when nobody of this cluster did.
	node kv.NodeID
	// trouble is what stood in the way, "" for nothing.
	trouble string
}

// seek contacts seeds, and members that gossip does not know to be alive, until
// ctx is done: two halves of a ring that were cut apart find each other again
// (§4.8.2).
func (s *Service) seek(ctx context.Context, g *gossip, port *gossipPort) {
	rng := rand.New(rand.NewPCG(s.deps.Random(), s.deps.Random()))
	last := make(map[string]contact)
	for {
		addrs := s.unmet(last)
		rng.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		for _, c := range s.contactAll(ctx, g, port, addrs[:min(len(addrs), maxContacts)]) {
			if c.trouble != last[c.addr].trouble && ctx.Err() == nil {
				s.log.Info("contact with a gossip address", "addr", c.addr, "trouble", c.trouble)
			}
			last[c.addr] = c
		}
		if !pause(ctx, s.cfg.SeedInterval) {
			return
		}
	}
}

// unmet returns the gossip addresses of all seeds and members behind which no
// live node is known. last is who answered there.
func (s *Service) unmet(last map[string]contact) []string {
	self := s.ID()
	st := s.State()
	met := map[string]bool{s.cfg.Addrs.Gossip: true}
	var out []string
	for _, id := range st.others(self) {
		m, _ := st.Member(id)
		if s.live.of(id).Up {
			met[m.Addrs.Gossip] = true
		} else {
			out = append(out, m.Addrs.Gossip)
		}
	}
	for _, seed := range s.cfg.Seeds {
		if who := last[seed].node; who == 0 || who != self && !s.live.of(who).Up {
			out = append(out, seed)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(addr string) bool { return met[addr] })
}

func (s *Service) contactAll(ctx context.Context, g *gossip, port *gossipPort, addrs []string) []contact {
	out := make([]contact, len(addrs))
	var calls sync.WaitGroup
	for i, addr := range addrs {
		calls.Go(func() { out[i] = s.contact(ctx, g, port, addr) })
	}
	calls.Wait()
	return out
}

// contact asks who is at addr and, if it is another node of this cluster, has
// gossip meet it.
func (s *Service) contact(ctx context.Context, g *gossip, port *gossipPort, addr string) contact {
	a, err := s.discover(port, addr)
	switch {
	case err != nil:
		return contact{addr: addr, trouble: "no answer"}
	case a.cluster == 0:
		return contact{addr: addr, trouble: "the node belongs to no cluster yet"}
	case a.cluster != s.State().cluster:
		return contact{addr: addr, trouble: "the node belongs to another cluster, " + a.cluster.String()}
	case a.node == s.ID():
		return contact{addr: addr, node: a.node}
	}
	to, err := resolve(ctx, addr)
	if err == nil {
		err = g.join(to.String())
	}
	if err != nil {
		return contact{addr: addr, trouble: "no gossip"}
	}
	return contact{addr: addr, node: a.node}
}
