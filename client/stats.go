package client

// Stats tell how a Client's requests find their way.
type Stats struct {
	// Routing tells that the ring is known: requests go to an owner of their key.
	// Without it, they go to the given addresses in turn.
	Routing bool
	// Epoch is that of the ring, Nodes how many it has.
	Epoch uint64
	Nodes int
	// Connections stand now.
	Connections int
	// Straight counts, modulo 2^32, what was sent to an owner of the key, and
	// Around what was left to a node to pass on; requests that were sent twice
	// count twice.
	Straight, Around uint32
	// Hedged counts gets that were sent to a second node because the first took
	// longer than it usually does, or to see whether a slow one still is; Won are
	// those that the second answered first, Refused those that were not hedged
	// because of the cap of 5 % of all requests.
	Hedged, Won, Refused uint64
}

// Stats returns the present figures.
func (c *Client) Stats() Stats {
	s := Stats{
		Connections: len(c.pool.lanes()), Straight: uint32(c.turn.Load() - c.missed.Load()), Around: uint32(c.around.Load()),
		Hedged: c.hedged.Load(), Won: c.won.Load(), Refused: c.refused.Load(),
	}
	if t := c.route.Load(); t != nil {
		s.Routing, s.Epoch, s.Nodes = true, t.epoch, len(t.members)
	}
	return s
}
