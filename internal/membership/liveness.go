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
