// Package node puts a node together: it is the only place where the parts know
// of each other, and where they are started and stopped.
package node

import (
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/resp"
	"github.com/ringtaildb/ringtail/internal/riak"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage/logstore"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
	"github.com/ringtaildb/ringtail/internal/transport"
)

// maxDelay is the most that Config.Delay may be: a node that is slower is down, to
// others.
const maxDelay = 400 * time.Millisecond

// Engines that a node can store its data in. EngineAuto is the one that the data
// directory holds data of, and EngineLogstore if it holds none.
const (
	EnginePebble   = "pebble"
	EngineLogstore = "logstore"
	EngineMemory   = "memory"
	EngineAuto     = "auto"
)

// DefaultEngine is what a node stores its data in unless it is told otherwise.
const DefaultEngine = EngineAuto

// Config is everything that a node is started with. What is not a matter of one
// package alone stands in its own fields; the rest is the packages' own.
type Config struct {
	// Name is what operators call the node, unique in the cluster.
	Name string
	// Data is the data directory. It may be empty with EngineMemory, which
	// keeps nothing.
	Data string
	// Engine is EnginePebble, EngineLogstore, EngineMemory or EngineAuto.
	Engine string

	// HTTP, Peer, Gossip, RESP and Riak are the addresses to listen on, host:port.
	// All but HTTP default to HTTP's host and its port + 1, + 2, + 3 and + 4.
	HTTP, Peer, Gossip, RESP, Riak string
	// Advertise is the host under which others reach this node; it defaults to
	// HTTP's host.
	Advertise string
	// Insecure allows to listen beyond loopback without TLS.
	Insecure bool

	// Delay has all that others send to this node held up, at each of its ports but
	// gossip's: for experiments with a slow node.
	Delay time.Duration

	// Zone fails together with this node; Weight is its capacity relative to
	// the others'.
	Zone   string
	Weight uint32
	// Seeds are gossip addresses of nodes of the cluster to join; Create makes
	// a new one instead.
	Seeds  []string
	Create *ring.Params

	// BusyAt is the number of requests of clients under way here above which
	// what moves between nodes makes room for them (AntiEntropy.FillRate).
	BusyAt int
	// Yield has work in the background make room for requests of clients.
	Yield bool

	// Version introduces the program.
	Version string
	// Log takes changes of state; nil means slog.Default.
	Log *slog.Logger

	Coordinator coordinator.Config
	Replica     replica.Config
	Handoff     handoff.Config
	AntiEntropy antientropy.Config
	Scrub       ScrubConfig
	Door        httpapi.Config
	RESPDoor    resp.Config
	RiakDoor    riak.Config
	Transport   transport.Config
	Membership  membership.Config
	Pebble      pebble.Config
	Logstore    logstore.Config
	Memory      memory.Config
}

// Default returns the configuration of a node on loopback, port 7400. Name,
// Data and a way to a cluster remain to be filled in.
func Default() Config {
	return Config{
		Engine:      DefaultEngine,
		HTTP:        "127.0.0.1:7400",
		Weight:      1,
		BusyAt:      32,
		Yield:       true,
		Version:     "dev",
		Coordinator: coordinator.Default(),
		Replica:     replica.Default(),
		Handoff:     handoff.Default(),
		AntiEntropy: antientropy.Default(),
		Scrub:       DefaultScrub(),
		Door:        httpapi.Default(),
		RESPDoor:    resp.Default(),
		RiakDoor:    riak.Default(),
		Transport:   transport.Default(),
		Membership:  membership.Default(),
		Pebble:      pebble.Default(),
		Logstore:    logstore.Default(),
		Memory:      memory.Default(),
	}
}

// Validate returns an error of KindInvalid that names the first field outside
// its range. It touches neither disk nor network.
func (c Config) Validate() error {
	f, err := c.filled()
	if err != nil {
		return err
	}
	checks := []func() error{
		f.checkEngine, f.checkAddresses,
		f.Coordinator.Validate, f.Replica.Validate, f.Handoff.Validate, f.AntiEntropy.Validate, f.Scrub.Validate,
		f.Door.Validate, f.RESPDoor.Validate, f.RiakDoor.Validate, f.Transport.Validate, f.Membership.Validate,
	}
	switch f.Engine {
	case EngineMemory:
		checks = append(checks, f.Memory.Validate)
	case EngineLogstore:
		checks = append(checks, f.Logstore.Validate)
	case EnginePebble:
		checks = append(checks, f.Pebble.Validate)
	default:
		checks = append(checks, f.Logstore.Validate, f.Pebble.Validate)
	}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// filled returns c with what follows from other fields filled in.
func (c Config) filled() (Config, error) {
	host, port, err := splitAddress("http", c.HTTP)
	if err != nil {
		return c, err
	}
	if c.Peer == "" {
		c.Peer = join(host, port+1)
	}
	if c.Gossip == "" {
		c.Gossip = join(host, port+2)
	}
	if c.RESP == "" {
		c.RESP = join(host, port+3)
	}
	if c.Riak == "" {
		c.Riak = join(host, port+4)
	}
	if c.Advertise == "" {
		c.Advertise = host
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	m := &c.Membership
	m.Name, m.Zone, m.Weight, m.Seeds, m.Create = c.Name, c.Zone, c.Weight, c.Seeds, c.Create
	m.GossipBind = c.Gossip
	if c.Engine != EngineMemory {
		m.Dir = c.Data
		c.Pebble.Dir, c.Logstore.Dir = engineDir(c.Data), engineDir(c.Data)
	}
	for _, a := range []struct {
		field, listen string
		advertised    *string
	}{{"http", c.HTTP, &m.Addrs.HTTP}, {"peer", c.Peer, &m.Addrs.Peer}, {"gossip", c.Gossip, &m.Addrs.Gossip}, {"riak", c.Riak, &m.Addrs.Riak}} {
		_, port, err := splitAddress(a.field, a.listen)
		if err != nil {
			return c, err
		}
		*a.advertised = join(c.Advertise, port)
	}
	return c, nil
}

func (c Config) checkEngine() error {
	switch c.Engine {
	case EnginePebble, EngineLogstore, EngineMemory, EngineAuto:
	default:
		return kv.Errorf(kv.KindInvalid, "check config", "engine %q is none of %s, %s, %s and %s",
			c.Engine, EngineAuto, EngineLogstore, EnginePebble, EngineMemory)
	}
	switch {
	case c.Engine != EngineMemory && c.Data == "":
		return kv.Errorf(kv.KindInvalid, "check config", "data: the engine %s needs a data directory", c.Engine)
	case c.BusyAt < 1:
		return kv.Errorf(kv.KindInvalid, "check config", "BusyAt %d is less than 1", c.BusyAt)
	}
	return nil
}

// checkAddresses refuses to listen beyond loopback unless told so: nothing is
// encrypted yet.
func (c Config) checkAddresses() error {
	for _, a := range []struct{ field, addr string }{{"http", c.HTTP}, {"peer", c.Peer}, {"gossip", c.Gossip}, {"resp", c.RESP}, {"riak", c.Riak}} {
		host, _, err := splitAddress(a.field, a.addr)
		if err != nil {
			return err
		}
		if !c.Insecure && !isLoopback(host) {
			return kv.Errorf(kv.KindInvalid, "check config", "%s %s is beyond loopback, where nothing is encrypted; give insecure to allow it", a.field, a.addr)
		}
	}
	if c.Delay < 0 || c.Delay > maxDelay {
		return kv.Errorf(kv.KindInvalid, "check config", "a delay of %v is not within 0 to %v", c.Delay, maxDelay)
	}
	if ip := net.ParseIP(c.Advertise); ip != nil && ip.IsUnspecified() {
		return kv.Errorf(kv.KindInvalid, "check config", "advertise %s is no address that others can reach", c.Advertise)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// splitAddress splits host:port and names field in its error.
func splitAddress(field, addr string) (string, int, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return "", 0, kv.Errorf(kv.KindInvalid, "check config", "%s %q is not host:port", field, addr)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return "", 0, kv.Errorf(kv.KindInvalid, "check config", "%s %q has no port within 1 to 65535", field, addr)
	}
	return host, port, nil
}

func join(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
