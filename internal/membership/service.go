package membership

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Service is a node's membership. Its methods are safe for concurrent use.
type Service struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	dir  *directory
	mint *Mint
	// began is when the Service was opened, by its own clock.
	began time.Time

	// state is the current state. Only update, whose turn it is, replaces it.
	state atomic.Pointer[State]
	turn  chan struct{}
	// course follows the state.
	course atomic.Pointer[course]
	marks  markBook
	// over says that the transition may be over.
	over chan struct{}
	// committing holds a token while a commit is under way here.
	committing chan struct{}
	// leaving says that this node removes itself.
	leaving atomic.Bool
	// joining is the cluster that a joiner has found, before it has its state.
	joining atomic.Uint64
	joined  chan struct{}
	// fatal takes the error that ends Run.
	fatal chan error

	live   *liveness
	skew   skew
	box    ballotBox
	inbox  *inbox
	gossip atomic.Pointer[gossip]
	// behind is whose digests differ from this node's state.
	behind *behind
	// sightings are identities from handshakes that may be news.
	sightings chan wire.Identity
	// dirty says that what this node says of itself has changed.
	dirty chan struct{}
}

// maxSightings bounds the handshakes that wait to be noted; more are told by
// the next ones.
const maxSightings = 256

// Open counts a start of the data directory, and reads or makes what it says of
// the cluster. It talks to nobody: that is Run's. The caller closes the Service
// when nobody mints any more.
//
// Errors besides those of the disk: KindInvalid for a bad Config and for a
// directory without a cluster and no way to one, KindRefused for a directory
// that is in use or was made for another name or cluster, KindCorrupt and
// KindWrongVersion for its files, KindOldCopy for one that was put together
// from copies of different age.
func Open(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	deps = deps.filled()
	dir, err := openDirectory(deps.FS, cfg.Dir, cfg.Name, deps.Random, cfg.Block, cfg.Versions.Max)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, deps: deps, log: deps.Log, dir: dir, began: deps.Now(),
		turn:       make(chan struct{}, 1),
		box:        make(ballotBox, 1),
		over:       make(chan struct{}, 1),
		committing: make(chan struct{}, 1),
		joined:     make(chan struct{}),
		fatal:      make(chan error, 1),
		inbox:      newInbox(),
		behind:     newBehind(),
		sightings:  make(chan wire.Identity, maxSightings),
		dirty:      make(chan struct{}, 1),
	}
	s.marks.wake = make(chan struct{}, 1)
	s.live = newLiveness(deps.Now, s.nameOf, deps.Log)
	s.state.Store(newState(0, nil, nil, nil))
	if err := s.start(); err != nil {
		return nil, errors.Join(err, dir.close())
	}
	s.mint = newMint(dir.record().node, newSequence(dir, cfg.Block, s.touch), s.needsNoWord(), s.standIn)
	return s, nil
}

func (d Deps) filled() Deps {
	if d.FS == nil {
		d.FS = vfs.Default
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Away == nil {
		d.Away = func(kv.NodeID) time.Time { return time.Time{} }
	}
	if d.Random == nil {
		d.Random = func() uint64 { return uint64(kv.NewNodeID()) }
	}
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Listen == nil {
		d.Listen = listenGossip(d.Log)
	}
	return d
}

// Run joins the cluster if need be and takes part in it until ctx is done,
// which is no error. It returns earlier when the node must stop: KindOldCopy
// when a peer knows more of this node than the node itself, KindRefused when
// the cluster does not take it in.
func (s *Service) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	port, err := s.listen(ctx)
	if err != nil {
		return err
	}
	var parts sync.WaitGroup
	for _, part := range []func(context.Context){s.reserve, s.serveStates, s.serveVotes, s.keep, s.settle, s.tellMarks, s.awaitWord} {
		parts.Go(func() { part(ctx) })
	}
	parts.Go(func() { s.fail(s.participate(ctx, port)) })
	select {
	case err = <-s.fatal:
	case <-ctx.Done():
	}
	cancel()
	parts.Wait()
	return errors.Join(err, port.close())
}

// Close releases the data directory. Run has returned, and nobody mints.
func (s *Service) Close() error {
	s.inbox.close()
	return s.dir.close()
}

// State returns the cluster state as this node knows it, never nil.
func (s *Service) State() *State { return s.state.Load() }

// Ring returns the settled ring, nil before the node has joined a cluster.
func (s *Service) Ring() *ring.Ring { return s.State().Ring() }

// Props returns a bucket's properties. It does not allocate.
func (s *Service) Props(bucket []byte) kv.Props { return s.State().Props(bucket) }

// Mint returns the node's mint.
func (s *Service) Mint() *Mint { return s.mint }

// Refresh asks a node for its state and marks: a request to it has shown that it
// knows more. It does not wait.
func (s *Service) Refresh(from kv.NodeID) {
	if m, ok := s.State().Member(from); ok {
		s.behind.add(digest{node: from, peer: m.Addrs.Peer, asked: true})
	}
}

// Joined is closed once the node knows its cluster's state.
func (s *Service) Joined() <-chan struct{} { return s.joined }

// ID returns the node's own id.
func (s *Service) ID() kv.NodeID { return s.dir.record().node }

// Identity returns what the node says of itself in a handshake.
func (s *Service) Identity() (kv.ClusterID, wire.Identity) {
	cluster := s.State().Cluster()
	if cluster == 0 {
		cluster = kv.ClusterID(s.joining.Load())
	}
	return cluster, s.dir.identity()
}

// Skew returns this node's clock less the median of its peers' clocks, 0 when
// none is known. It is cheap: a load and a look at the clock.
func (s *Service) Skew() time.Duration {
	now := s.deps.Now()
	return s.skew.of(now.Sub(s.began), now.UnixNano())
}

// Admit decides about whoever opens a connection to this node; nil admits. See
// admit for the errors.
func (s *Service) Admit(h wire.Hello) error {
	self := s.dir.identity()
	if err := admit(s.State(), self, h); err != nil {
		return err
	}
	if h.Role == wire.RoleNode {
		s.sight(h.Identity)
	}
	return nil
}

// Accepted is told that a peer took this node's identity.
func (s *Service) Accepted(id kv.NodeID, ack wire.HelloAck) {
	m, known := s.State().Member(id)
	if !known || id == s.ID() || m.Status == StatusRemoved || admitSeen(m.Seen, ack.Identity) != nil {
		return
	}
	if !s.mint.confirmed() {
		s.mint.confirm()
		s.log.Info("a peer has confirmed this node's sequence", "peer", m.Name)
	}
	s.sight(ack.Identity)
}

// Refused is told that a peer refused this node. The node stops when the peer
// knows more of it than it knows itself, or that it was removed.
func (s *Service) Refused(id kv.NodeID, err error) {
	if kv.KindOf(err) == kv.KindOldCopy && !s.leaving.Load() {
		s.fail(&kv.Error{Op: "connect", Kind: kv.KindOldCopy, Node: id, Err: err})
	}
}

// fail ends Run with err; nil is nothing to end for. An old copy never mints
// again.
func (s *Service) fail(err error) {
	if err == nil {
		return
	}
	if kv.KindOf(err) == kv.KindOldCopy {
		s.mint.stop(err)
	}
	select {
	case s.fatal <- err:
	default:
	}
}

// nameOf returns a node's name, or its id for a stranger.
func (s *Service) nameOf(id kv.NodeID) string { return s.State().nameOf(id) }
