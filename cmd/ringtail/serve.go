package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/ringtaildb/ringtail/internal/node"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// serveCmd is ringtail serve. Its flags are the keys of the configuration file
// too.
type serveCmd struct {
	Config configFile `env:"RINGTAIL_CONFIG" placeholder:"FILE" help:"Read flags from a YAML file whose keys are their names."`

	Name   string `env:"RINGTAIL_NAME" required:"" placeholder:"NAME" help:"What to call the node; unique in the cluster, and never changed."`
	Data   string `env:"RINGTAIL_DATA" placeholder:"DIR" help:"Data directory; made if need be."`
	Engine string `env:"RINGTAIL_ENGINE" default:"${engine}" enum:"auto,logstore,pebble,memory" placeholder:"ENGINE" help:"What stores the data: logstore or pebble, on disk, or memory, for caches and tests; auto is what the data directory has, logstore in an empty one (${engine})."`
	Zone   string `env:"RINGTAIL_ZONE" placeholder:"ZONE" help:"What fails together with this node: a rack, a data centre."`
	Weight uint32 `env:"RINGTAIL_WEIGHT" default:"1" placeholder:"COUNT" help:"Capacity relative to the other nodes' (1)."`

	HTTP      string `name:"http" env:"RINGTAIL_HTTP" default:"127.0.0.1:7400" placeholder:"HOST:PORT" help:"Address of the HTTP door (127.0.0.1:7400)."`
	Peer      string `env:"RINGTAIL_PEER" placeholder:"HOST:PORT" help:"Address for other nodes and the Go client (that of --http, port + 1)."`
	Gossip    string `env:"RINGTAIL_GOSSIP" placeholder:"HOST:PORT" help:"Address for gossip, TCP and UDP (that of --http, port + 2)."`
	RESP      string `name:"resp" env:"RINGTAIL_RESP" placeholder:"HOST:PORT" help:"Address for Redis's clients (that of --http, port + 3)."`
	Riak      string `env:"RINGTAIL_RIAK" placeholder:"HOST:PORT" help:"Address for clients of Riak, its protocol buffers (that of --http, port + 4)."`
	Advertise string `env:"RINGTAIL_ADVERTISE" placeholder:"HOST" help:"Host under which others reach this node (that of --http)."`
	Insecure  bool   `env:"RINGTAIL_INSECURE" help:"Allow addresses beyond loopback, where nothing is encrypted."`

	Seeds  []string `env:"RINGTAIL_SEEDS" placeholder:"HOST:PORT" help:"Gossip addresses of nodes of the cluster to join."`
	Create bool     `env:"RINGTAIL_CREATE" help:"Make a new cluster, of which this node is the first."`
	createFlags

	HintBytes   uint64        `env:"RINGTAIL_HINT_BYTES" default:"1073741824" placeholder:"BYTES" help:"Space for what is kept for nodes that are away; past it new hints are declined (1 GiB)."`
	RepairEvery time.Duration `env:"RINGTAIL_REPAIR_EVERY" default:"10s" placeholder:"DURATION" help:"How often to compare copies with each other owner (10s)."`
	FillRate    byteRate      `env:"RINGTAIL_FILL_RATE" default:"16777216" placeholder:"BYTES" help:"The most bytes a second that this node fetches of partitions that move to it (16 MiB)."`
	ReapAt      uint64        `env:"RINGTAIL_REAP_AT" default:"1024" placeholder:"COUNT" help:"Deleted keys, and keys with long clocks, at which to sweep; fewer wait for ten minutes (1024)."`

	Admission admission `env:"RINGTAIL_ADMISSION" default:"100ms" placeholder:"DURATION" help:"While requests come faster than they are served, those that have waited for longer are refused as overloaded; off for never (100ms)."`

	Yield bool `env:"RINGTAIL_YIELD" default:"true" negatable:"" help:"Have work in the background make room for clients' requests."`

	RESPConnections int  `name:"resp-connections" env:"RINGTAIL_RESP_CONNECTIONS" default:"16384" placeholder:"COUNT" help:"The most connections of Redis's clients (16384)."`
	RESPFlush       bool `name:"resp-flush" env:"RINGTAIL_RESP_FLUSH" help:"Allow FLUSHALL and FLUSHDB: for tests."`

	Hedge   bool          `env:"RINGTAIL_HEDGE" default:"true" negatable:"" help:"Ask a second node for a get that takes longer than usual, for 5% of gets at most (on)."`
	ReadAll float64       `env:"RINGTAIL_READ_ALL" default:"0.1" placeholder:"SHARE" help:"Share of gets that ask all owners where R would do, so that stale copies are found and repaired (0.1)."`
	Delay   time.Duration `env:"RINGTAIL_DELAY" default:"0s" placeholder:"DURATION" help:"For experiments: hold up for this long all that other nodes and clients send to this node."`

	LogLevel  slog.Level `env:"RINGTAIL_LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error (info)."`
	LogFormat string     `env:"RINGTAIL_LOG_FORMAT" default:"text" enum:"text,json" placeholder:"FORMAT" help:"text or json (text)."`
	Pprof     bool       `env:"RINGTAIL_PPROF" help:"Serve profiles at /debug/pprof/ of the HTTP door."`

	// Supervised is how dev starts its nodes: the node ends when its standard
	// input does, and leaves Ctrl-C to dev.
	Supervised bool `hidden:""`
}

// createFlags are what a cluster fixes when it is created.
type createFlags struct {
	N           int    `env:"RINGTAIL_N" default:"3" placeholder:"COUNT" help:"New cluster: nodes that keep each key (3)."`
	R           int    `env:"RINGTAIL_R" default:"2" placeholder:"COUNT" help:"New cluster: owners that a get waits for, 1 to N (2)."`
	W           int    `env:"RINGTAIL_W" default:"2" placeholder:"COUNT" help:"New cluster: owners that a put waits for, 1 to N (2)."`
	Partitions  int    `env:"RINGTAIL_PARTITIONS" default:"1024" placeholder:"COUNT" help:"New cluster: parts of the ring, a power of two (1024)."`
	Partitioner string `env:"RINGTAIL_PARTITIONER" default:"md5" enum:"md5,crc16" placeholder:"NAME" help:"New cluster: md5, or crc16 for Redis Cluster's hash slots (md5)."`
}

// Help is shown by ringtail serve --help.
func (serveCmd) Help() string {
	return `A node on an empty data directory needs either --create or --seeds. With seeds it waits as staged
until ringtail cluster commit takes it into the ring.

Each flag is also an environment variable, --log-level is RINGTAIL_LOG_LEVEL, and a key of the YAML
file of --config. The command line goes before the environment, that before the file.

Examples:

    ringtail serve --name n1 --data /var/lib/ringtail --create
    ringtail serve --name n2 --data d2 --http 127.0.0.1:7410 --seeds 127.0.0.1:7402
    ringtail serve --config /etc/ringtail.yaml`
}

// Run carries out the command.
func (c *serveCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.node(s.err)
	if err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	if err := checkPorts(portsOf(cfg)); err != nil {
		return err
	}
	if c.Supervised {
		signal.Ignore(os.Interrupt)
		ctx = untilEnd(ctx, s.in)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go boundGarbage(ctx)
	return node.Run(ctx, cfg)
}

// node returns the node's configuration, with its log written to w.
func (c *serveCmd) node(w io.Writer) (node.Config, error) {
	cfg := node.Default()
	cfg.Name, cfg.Data, cfg.Engine = c.Name, c.Data, c.Engine
	cfg.Zone, cfg.Weight = c.Zone, c.Weight
	cfg.HTTP, cfg.Peer, cfg.Gossip, cfg.RESP, cfg.Riak = c.HTTP, c.Peer, c.Gossip, c.RESP, c.Riak
	cfg.RESPDoor.MaxConnections, cfg.RESPDoor.Flush = c.RESPConnections, c.RESPFlush
	cfg.Advertise, cfg.Insecure = c.Advertise, c.Insecure
	cfg.Seeds = c.Seeds
	cfg.Replica.MaxHintBytes = c.HintBytes
	cfg.AntiEntropy.Every, cfg.AntiEntropy.ReapAt = c.RepairEvery, c.ReapAt
	cfg.Coordinator.Hedge, cfg.Coordinator.ReadAll, cfg.Delay = c.Hedge, c.ReadAll, c.Delay
	cfg.AntiEntropy.FillRate = int64(c.FillRate)
	cfg.Yield = c.Yield
	cfg.Transport.MaxWait = time.Duration(c.Admission)
	cfg.Door.Pprof = c.Pprof
	cfg.Version = version()
	cfg.Log = c.logger(w)
	if c.Create {
		p, err := c.params()
		if err != nil {
			return cfg, err
		}
		cfg.Create = &p
	}
	return cfg, nil
}

// params returns what a new cluster shall have, or an error of usage.
func (f createFlags) params() (ring.Params, error) {
	p := ring.DefaultParams()
	partitioner, err := ring.ParsePartitioner(f.Partitioner)
	if err != nil {
		return p, usagef("--partitioner: %w", err)
	}
	p.Q, p.Partitioner = f.Partitions, partitioner
	if err := p.Validate(); err != nil {
		return p, usagef("--partitions: %w", err)
	}
	p.N, p.R, p.W = f.N, f.R, f.W
	return p, p.Validate()
}

func (c *serveCmd) logger(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// untilEnd returns a context that ends with ctx, or with r: a pipe of which
// another process holds the far end ends when that process does, however it
// does.
func untilEnd(ctx context.Context, r io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	return ctx
}
