package membership

import (
	"net"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Config says who the node is and how it finds its cluster.
type Config struct {
	// Dir is the data directory. Empty keeps nothing: each start is a new node.
	Dir string
	// Name is what operators call the node: 1 to MaxName letters, digits, '.',
	// '_' and '-'. It is unique in the cluster and never changes.
	Name string
	// Addrs are what other nodes and clients are told. Peer and Gossip must be
	// set.
	Addrs Addresses
	// GossipBind is the "host:port" at which to listen for gossip; empty means
	// Addrs.Gossip.
	GossipBind string
	// Zone is what fails together with this node; "" is a zone too.
	Zone string
	// Weight is the node's capacity relative to the others', 1 to
	// ring.MaxWeight.
	Weight uint32

	// Versions are those of the protocol that the node's release speaks.
	Versions wire.Versions

	// Create makes a new cluster with these parameters, when the directory
	// belongs to none.
	Create *ring.Params
	// Seeds are gossip addresses, "host:port", of nodes of the cluster to
	// join. They are contacted for ever, so that a ring never splits in two.
	Seeds []string

	// Block is how many sequences are reserved with one fsync. A start loses
	// at most Block of 2^64; a busy node reserves once every Block/2 puts.
	Block uint64
	// ConfirmWait is how long a start waits for a peer's word before it mints
	// under an interim id.
	ConfirmWait time.Duration
	// SpreadWait bounds how long a change made here waits for the other nodes'
	// acknowledgements; who is late hears of it by gossip.
	SpreadWait time.Duration
	// CallTimeout bounds one exchange with one node.
	CallTimeout time.Duration
	// SeedInterval is the pause between two rounds of contacting seeds and
	// members that gossip does not know to be alive.
	SeedInterval time.Duration
	// ExchangeInterval is the pause between two comparisons of states, and of
	// clocks, with one other node after the other: with n nodes each pair
	// compares every n * ExchangeInterval.
	ExchangeInterval time.Duration
}

// Default returns the values for a cluster within one region; Name, Addrs and a
// way to a cluster remain to be filled in.
func Default() Config {
	return Config{
		Weight:           1,
		Versions:         wire.Spoken(),
		Block:            1 << 17,
		ConfirmWait:      time.Second,
		SpreadWait:       time.Second,
		CallTimeout:      2 * time.Second,
		SeedInterval:     2 * time.Second,
		ExchangeInterval: 2 * time.Second,
	}
}

// maxSeeds bounds the seeds.
const maxSeeds = 64

// Validate returns an error of KindInvalid that names the first field outside
// its range.
func (c Config) Validate() error {
	const op = "check membership config"
	if err := c.validateNode(); err != nil {
		return err
	}
	if len(c.Seeds) > maxSeeds {
		return kv.Errorf(kv.KindInvalid, op, "%d seeds, the limit is %d", len(c.Seeds), maxSeeds)
	}
	for _, s := range c.Seeds {
		if err := checkAddress("seed", s); err != nil {
			return err
		}
	}
	if c.Create != nil {
		if err := c.Create.Validate(); err != nil {
			return err
		}
	}
	if c.Block < 2 {
		return kv.Errorf(kv.KindInvalid, op, "Block %d is less than 2", c.Block)
	}
	for name, d := range map[string]time.Duration{
		"ConfirmWait": c.ConfirmWait, "SpreadWait": c.SpreadWait, "CallTimeout": c.CallTimeout,
		"SeedInterval": c.SeedInterval, "ExchangeInterval": c.ExchangeInterval,
	} {
		if d <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s %v is not positive", name, d)
		}
	}
	return nil
}

func (c Config) validateNode() error {
	const op = "check membership config"
	switch {
	case !validName(c.Name):
		return kv.Errorf(kv.KindInvalid, op, "name %q is not 1 to %d letters, digits, '.', '_' and '-'", c.Name, MaxName)
	case c.Weight < 1 || c.Weight > ring.MaxWeight:
		return kv.Errorf(kv.KindInvalid, op, "weight %d is not within 1 to %d", c.Weight, ring.MaxWeight)
	case len(c.Zone) > ring.MaxZone:
		return kv.Errorf(kv.KindInvalid, op, "the zone has %d bytes, the limit is %d", len(c.Zone), ring.MaxZone)
	}
	if v := c.Versions; v.Min < wire.MinVersion || v.Min > v.Max || v.Max > wire.MaxVersion {
		return kv.Errorf(kv.KindInvalid, op, "versions %v are not within %d to %d", v, wire.MinVersion, wire.MaxVersion)
	}
	for _, a := range []struct{ name, addr string }{
		{"peer address", c.Addrs.Peer}, {"gossip address", c.Addrs.Gossip}, {"gossip bind address", c.gossipBind()},
	} {
		if err := checkAddress(a.name, a.addr); err != nil {
			return err
		}
	}
	for _, a := range c.Addrs.list() {
		if len(*a) > MaxAddress {
			return kv.Errorf(kv.KindInvalid, op, "an address has %d bytes, the limit is %d", len(*a), MaxAddress)
		}
	}
	return nil
}

func (c Config) gossipBind() string {
	if c.GossipBind == "" {
		return c.Addrs.Gossip
	}
	return c.GossipBind
}

// checkAddress returns an error of KindInvalid unless addr is a host and a port
// that can be dialled.
func checkAddress(what, addr string) error {
	_, _, err := splitAddress(addr)
	if err != nil {
		return kv.Errorf(kv.KindInvalid, "check membership config", "%s %q is not host:port", what, addr)
	}
	return nil
}

// splitAddress returns the host and the port of "host:port".
func splitAddress(addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, err
	}
	if host == "" || port == 0 || len(addr) > MaxAddress {
		return "", 0, strconv.ErrRange
	}
	return host, int(port), nil
}

func validName(name string) bool {
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return len(name) >= 1 && len(name) <= MaxName
}
