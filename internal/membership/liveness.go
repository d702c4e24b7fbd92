package membership

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Liveness is what gossip believes of a node. Whether requests are sent to a
// node is not decided here: that is the transport's own experience (§4.8.3).
type Liveness struct {
	Up bool
	// Since is when that was learnt; zero when nothing was heard of the node
	// since this one started.
	Since time.Time
}

// liveness records who comes and goes. It implements memberlist.EventDelegate,
// whose methods are called under memberlist's lock: they only note and log.
type liveness struct {
	now  func() time.Time
	name func(kv.NodeID) string
	log  *slog.Logger
	mu   struct {
		sync.Mutex
		nodes map[kv.NodeID]Liveness
	}
}

var _ memberlist.EventDelegate = (*liveness)(nil)

func newLiveness(now func() time.Time, name func(kv.NodeID) string, log *slog.Logger) *liveness {
	l := &liveness{now: now, name: name, log: log}
	l.mu.nodes = make(map[kv.NodeID]Liveness)
	return l
}

// of returns what is known of a node.
func (l *liveness) of(id kv.NodeID) Liveness {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.nodes[id]
}

// NotifyJoin implements memberlist.EventDelegate.
func (l *liveness) NotifyJoin(n *memberlist.Node) { l.set(n, true) }

// NotifyLeave implements memberlist.EventDelegate.
func (l *liveness) NotifyLeave(n *memberlist.Node) { l.set(n, false) }

// NotifyUpdate implements memberlist.EventDelegate.
func (l *liveness) NotifyUpdate(*memberlist.Node) {}

func (l *liveness) set(n *memberlist.Node, up bool) {
	id, err := kv.ParseNodeID(n.Name)
	if err != nil {
		return
	}
	if l.note(id, Liveness{Up: up, Since: l.now()}) {
		l.log.Info("gossip: node "+upOrDown(up), "name", l.name(id), "node", id, "gossip", n.Address())
	}
}

// note returns whether what is noted is a change.
func (l *liveness) note(id kv.NodeID, is Liveness) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.mu.nodes[id]
	if was.Up == is.Up && !was.Since.IsZero() {
		return false
	}
	if _, known := l.mu.nodes[id]; !known && len(l.mu.nodes) >= maxStateMembers {
		return false
	}
	l.mu.nodes[id] = is
	return true
}

func upOrDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

const (
	// awayFor is how long this node does not reach another before that counts: a
	// connection may break and be made anew.
	awayFor = time.Second
	// gossipNotices is how long gossip may take to notice that a node is dead: 6 to
	// 10 s, and longer while several are.
	gossipNotices = 30 * time.Second
)

// up says whether a node is alive, as far as this one knows. It is not if gossip
// says so; nor if this node itself does not reach it any more, as long as gossip
// may not have noticed yet. One that gossip still hears after that is alive, and
// only cut off from this node: nobody may take it for dead.
func (s *Service) up(id kv.NodeID) bool {
	if id == s.ID() {
		return true
	}
	away := s.away(id)
	return s.live.of(id).Up && (away < awayFor || away >= gossipNotices)
}

// cutOff says whether a node is alive and this one does not reach it.
func (s *Service) cutOff(id kv.NodeID) bool { return s.live.of(id).Up && s.away(id) >= gossipNotices }

// heard says of a node that is up for whom it is, if not for this one.
func (s *Service) heard(id kv.NodeID) string {
	if s.cutOff(id) {
		return ": other nodes hear it, only this one does not reach it"
	}
	return ""
}

// away returns for how long this node has not reached one that gossip has heard of
// before that, 0 if it does.
func (s *Service) away(id kv.NodeID) time.Duration {
	since := s.deps.Away(id)
	if since.IsZero() || s.live.of(id).Since.After(since) {
		return 0
	}
	return s.deps.Now().Sub(since)
}
