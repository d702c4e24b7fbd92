package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/resp"
	"github.com/ringtaildb/ringtail/internal/riak"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/transport"
)

const (
	// expireEvery is how often requests under way are checked for passed
	// deadlines; the first after a pause waits careEvery at most.
	expireEvery = 10 * time.Millisecond
	// idleEvery takes the place of both while nothing is under way, and nothing was
	// for calmAfter.
	idleEvery = 250 * time.Millisecond
	calmAfter = 200 * time.Millisecond
	// flushEvery is how often buffered writes (dw=0) are made durable: what a
	// crash of all owners at once can cost (§6.1).
	flushEvery = 500 * time.Millisecond
	// flushSoon is how long the one of them that is to be durable waits for others.
	flushSoon = 20 * time.Millisecond
	// drainFor bounds the wait for requests under way when the node ends.
	drainFor = 5 * time.Second
)

// Node is one running node.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	metrics *metrics.Node
	service *membership.Service
	engine  storage.Engine
	store   *replica.Store
	coord   *coordinator.Coordinator
	// alarm rings when a get may have to be hedged.
	alarm  *time.Timer
	pool   *transport.Pool
	server *transport.Server
	door   *httpapi.Server
	resp   *resp.Server
	riak   *riak.Server

	background *background
	fetches    *fetches
	valve      *valve
	// unflushed tells that there are writes to be flushed soon.
	unflushed chan struct{}
	sender    *handoff.Sender
	keeper    *antientropy.Keeper
	scrubber  *scrubber
	repairs   repairRun
	// damages takes what the engine meets of damage by itself.
	damages chan storage.Damage

	httpListener, peerListener, respListener, riakListener net.Listener

	sealer atomic.Pointer[object.Sealer]
	// outdated is State.Outdated of the cluster's state.
	outdated atomic.Pointer[kv.Error]
	peers    peerTimes
	// clientRing is what clients are told of the ring.
	clientRing ringPage
	draining   atomic.Bool
	// fillRate is the pace of what moves, in bytes a second.
	fillRate atomic.Int64
	strain   strain
	yield    yield
	course   course
	// standing is the node's status as it was last told of.
	standing atomic.Uint32
	// closed tells that a node outside the ring stores nothing any more.
	closed atomic.Bool
	// left is closed when the node has left the cluster, which ends it.
	left chan struct{}
	// failed takes the engine's failure, which ends the node.
	failed chan error
	// changing holds a token while bucket properties are changed here, so that
	// of two changes of one bucket the second sees the first.
	changing chan struct{}
}

// Run runs a node until ctx ends; then the node takes no more requests,
// finishes those under way, makes everything durable, and Run returns nil. It
// returns an error when the node cannot start or must stop.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg, err := cfg.filled()
	if err != nil {
		return err
	}
	n := &Node{
		cfg: cfg, log: cfg.Log, started: time.Now(), failed: make(chan error, 1), left: make(chan struct{}),
		changing: make(chan struct{}, 1), damages: make(chan storage.Damage, maxDamages),
	}
	n.valve = newValve(cfg.Transport.MaxWait)
	n.fillRate.Store(cfg.AntiEntropy.FillRate)
	if err := n.open(); err != nil {
		return errors.Join(err, n.close())
	}
	n.log.Info("started", "name", cfg.Name, "id", n.service.ID(), "http", cfg.HTTP, "peer", cfg.Peer, "gossip", cfg.Gossip, "engine", n.cfg.Engine)
	err = n.run(ctx)
	err = errors.Join(err, n.close())
	n.log.Info("ended", "name", cfg.Name, "error", err)
	return err
}

// open makes the parts, from the ports and the disk upwards, and connects them.
// On an error close releases what was opened.
func (n *Node) open() error {
	var err error
	network := transport.TCP{Local: n.cfg.Advertise}
	if err := n.listen(network); err != nil {
		return err
	}
	n.metrics = metrics.NewNode(n.started)
	n.background = newBackground(&n.metrics.Stages[metrics.StageBackground])
	n.fetches = newFetches(&n.metrics.Stages[metrics.StageDisk])
	n.pool = transport.NewPool(n.cfg.Transport, network, transport.Hooks{
		Identity: n.identity, Versions: n.versions, Level: n.level, Accepted: n.accepted, Refused: n.refused, Changed: n.peerChanged,
	}, n.log)
	n.service, err = membership.Open(n.cfg.Membership, membership.Deps{
		Peers: n.pool, Log: n.log, Away: n.away,
		Hooks: membership.Hooks{Changed: n.stateChanged, Moved: n.moved},
	})
	if err != nil {
		return err
	}
	if n.engine, err = n.openEngine(); err != nil {
		return err
	}
	n.cfg.Replica.Hooks, n.cfg.Replica.Wall = n.storeHooks(), n.wall
	n.store, err = replica.Open(n.cfg.Replica, n.service.ID(), n.engine, n.service.Mint(), n, n.service.Mint().First())
	if err != nil {
		return err
	}
	n.alarm, n.unflushed = time.NewTimer(time.Hour), make(chan struct{}, 1)
	n.coord = coordinator.New(n.cfg.Coordinator, coordinator.Deps{
		Self: n.service.ID(), Local: n.store, Hints: hints{n.store, &n.closed}, Peers: n.pool, Cluster: n, Stats: stats{n.metrics}, Now: time.Now,
		Alarm: func(d time.Duration) { n.alarm.Reset(d) },
		Admit: n.valve.admit, Soon: n.soon,
	})
	if err := n.begin(); err != nil {
		return err
	}
	n.openCare()
	n.server = transport.NewServer(n.cfg.Transport, transport.Hooks{
		Identity: n.identity, Versions: n.versions, Level: n.level, Admit: n.admit,
	}, n, n.log)
	n.addSources()
	n.addStages()
	if err := n.openDoors(); err != nil {
		return err
	}
	n.stateChanged(n.service.State())
	return nil
}

// listen opens the ports, but for the one of gossip.
func (n *Node) listen(network transport.Network) error {
	tcp := func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	for _, port := range []struct {
		name, addr string
		listen     func(addr string) (net.Listener, error)
		l          *net.Listener
	}{
		{"http", n.cfg.HTTP, tcp, &n.httpListener},
		{"peer", n.cfg.Peer, network.Listen, &n.peerListener},
		{"resp", n.cfg.RESP, tcp, &n.respListener},
		{"riak", n.cfg.Riak, tcp, &n.riakListener},
	} {
		var err error
		if *port.l, err = port.listen(port.addr); err != nil {
			return kv.Wrap(kv.KindRefused, "listen at "+port.name, err)
		}
		*port.l = transport.Delayed(*port.l, n.cfg.Delay)
	}
	return nil
}

// openDoors makes the doors for clients.
func (n *Node) openDoors() error {
	var err error
	n.door, err = httpapi.New(n.cfg.Door, httpapi.Parts{
		Store: door{coordinator.Blocking{Coordinator: n.coord}, n}, Buckets: buckets{n}, Admin: admin{n}, Contract: contract{n}, Changes: changes{n}, Upkeep: upkeep{n}, Health: health{n},
		Metrics: n.metrics, Log: n.log, Name: n.cfg.Name, Version: n.cfg.Version,
	})
	if err != nil {
		return err
	}
	if n.resp, err = n.openRESP(); err != nil {
		return err
	}
	n.riak, err = riak.New(n.cfg.RiakDoor, riak.Parts{
		Store: riakStore{coordinator.Blocking{Coordinator: n.coord}, n}, Buckets: buckets{n},
		Metrics: n.metrics, Log: n.log, Name: n.cfg.Name, Version: n.cfg.Version,
	})
	return err
}

// run starts everything, and ends it from the top down: first the doors, so
// that requests under way can still reach the other nodes.
func (n *Node) run(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	outer, stop := context.WithCancel(ctx)
	defer cancel()
	defer stop()
	var doors, parts sync.WaitGroup
	watch := func(g *sync.WaitGroup, ctx context.Context, run func(context.Context) error) {
		g.Go(func() {
			if err := run(ctx); err != nil {
				n.fail(err)
			}
		})
	}
	watch(&doors, outer, func(ctx context.Context) error { return n.door.Serve(ctx, n.httpListener) })
	watch(&doors, outer, func(ctx context.Context) error { return n.resp.Serve(ctx, n.respListener) })
	watch(&doors, outer, func(ctx context.Context) error { return n.riak.Serve(ctx, n.riakListener) })
	watch(&parts, inner, n.pool.Run)
	watch(&parts, inner, func(ctx context.Context) error { return n.server.Serve(ctx, n.peerListener) })
	watch(&parts, inner, n.service.Run)
	watch(&parts, inner, n.tick)
	watch(&parts, inner, n.hedge)
	watch(&parts, inner, n.flush)
	watch(&parts, inner, n.background.run)
	watch(&parts, inner, n.upkeep)
	watch(&parts, inner, n.heal)
	watch(&parts, inner, n.scrubber.run)
	watch(&parts, inner, n.leave)

	var err error
	select {
	case err = <-n.failed:
	case <-n.left:
	case <-ctx.Done():
		n.log.Info("ending: no new requests are taken", "under way", n.coord.InFlight())
	}
	n.draining.Store(true)
	n.server.End()
	stop()
	doors.Wait()
	n.drain()
	cancel()
	parts.Wait()
	return err
}

// drain waits for the requests that came over the peers' port, and until those
// who sent them have their answers.
func (n *Node) drain() {
	deadline := time.Now().Add(drainFor)
	for n.coord.InFlight()+n.fetches.waiting()+n.server.Owes() > 0 && time.Now().Before(deadline) {
		time.Sleep(expireEvery)
	}
}

// tick drives what goes by time: deadlines, hand-off and anti-entropy, the
// figures of the last minute. It is one goroutine, and slower while no request
// is under way, and slower still when neither clients nor repair have had
// anything to do for a while: most of what an idle node costs is waking up.
func (n *Node) tick(ctx context.Context) error {
	var cared, judged, counted, active time.Time
	var woken <-chan struct{}
	for pause := careEvery; waitFor(ctx, pause, woken); {
		now := time.Now()
		n.coord.Expire(now)
		if now.Sub(cared) >= careEvery {
			cared = now
			n.sender.Tick(now)
			n.keeper.Tick(now)
			n.watchChange(now)
		}
		if now.Sub(judged) >= judgeEvery {
			judged = now
			n.watchStrain(now)
		}
		if now.Sub(counted) >= metrics.TickEvery {
			counted = now
			n.metrics.Tick(now)
			n.tellVerdicts(now)
		}
		switch requests := n.coord.InFlight() > 0; {
		case requests:
			n.valve.look(now)
			active, pause, woken = now, expireEvery, nil
		case n.sender.Busy() || n.keeper.Busy():
			active, pause, woken = now, careEvery, nil
		case now.Sub(active) < calmAfter:
			pause, woken = careEvery, nil
		default:
			pause, woken = beat.Pause(now, idleEvery), n.coord.Busy()
		}
	}
	return nil
}

// hedge has late gets hedged when the coordinator's alarm rings.
func (n *Node) hedge(ctx context.Context) error {
	defer n.alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.alarm.C:
			n.coord.Hedge()
		}
	}
}

// soon has flush begin in flushSoon, for a write that nobody waits for (§6.1).
func (n *Node) soon() {
	select {
	case n.unflushed <- struct{}{}:
	default:
	}
}

// flush makes buffered writes durable every flushEvery, and those that this node
// coordinates soon after they come.
func (n *Node) flush(ctx context.Context) error {
	for waitFor(ctx, beat.Pause(time.Now(), flushEvery), n.unflushed) {
		// They come in crowds, and one fsync is for all of them.
		if !waitFor(ctx, flushSoon, nil) {
			return nil
		}
		select {
		case <-n.unflushed:
		default:
		}
		if err := n.engine.Sync(); err != nil && kv.KindOf(err) != kv.KindDiskFull {
			return err
		}
	}
	return nil
}

// fail ends the node with err; the first one wins.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// close releases what open opened, from the top down.
func (n *Node) close() error {
	var errs []error
	for _, l := range []net.Listener{n.httpListener, n.peerListener, n.respListener, n.riakListener} {
		if l != nil {
			_ = l.Close() // serving has closed it already, unless open failed
		}
	}
	if n.store != nil {
		if err := n.store.Save(); err != nil {
			n.log.Warn("the hash trees are not kept, and are built anew at the next start", "error", err)
		}
	}
	if n.engine != nil {
		errs = append(errs, n.engine.Close())
	}
	if n.service != nil {
		errs = append(errs, n.service.Close())
	}
	return errors.Join(errs...)
}
