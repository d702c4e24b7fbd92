package membership

import (
	"fmt"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// oldCopyText is what an operator reads about a directory that was restored or
// copied.
const oldCopyText = "old copy of a data directory, use replace"

// admit decides about whoever opens a connection, by what the cluster knows of
// it; nil admits. self is this node.
//
// Errors: KindWrongCluster; KindOldCopy for a node of whose boot or sequence
// more is known than it says, for a removed one, whose data directory must not
// come back either, and for one whose release is older than members may be, all
// of which must stop; KindRefused for this node itself, and while this node
// belongs to no cluster.
func admit(s *State, self wire.Identity, h wire.Hello) error {
	const op = "admit node"
	if h.Role == wire.RoleClient {
		if h.Cluster != 0 && h.Cluster != s.cluster {
			return kv.Errorf(kv.KindWrongCluster, "admit client", "this node belongs to cluster %v, not %v", s.cluster, h.Cluster)
		}
		return nil
	}
	switch {
	case s.cluster == 0:
		return kv.Errorf(kv.KindRefused, op, "this node belongs to no cluster yet")
	case h.Cluster != s.cluster:
		return kv.Errorf(kv.KindWrongCluster, op, "this node belongs to cluster %v, not %v", s.cluster, h.Cluster)
	case h.Node == self.Node && h.Nonce == self.Nonce:
		return kv.Errorf(kv.KindRefused, op, "this is the node itself")
	case h.Node == self.Node:
		return oldCopy(h.Node, "the node is running")
	}
	m, known := s.Member(h.Node)
	switch {
	case m.Status == StatusRemoved:
		return kv.Errorf(kv.KindOldCopy, op, "node %v was removed from the cluster; use an empty data directory", h.Node)
	case h.Max < s.Least():
		return kv.Errorf(kv.KindOldCopy, op, "since the ring of this cluster has changed, members must speak protocol version %d; node %v speaks up to %d: upgrade it", s.Least(), h.Node, h.Max)
	case !known:
		return nil
	}
	return admitSeen(m.Seen, h.Identity)
}

// admitSeen compares what a node says of itself with what was seen of it.
func admitSeen(s Seen, i wire.Identity) error {
	switch {
	case i.Boot < s.Boot:
		return oldCopy(i.Node, "boot %d was seen, this is boot %d", s.Boot, i.Boot)
	case i.Boot == s.Boot && i.Nonce != s.Nonce:
		return oldCopy(i.Node, "another process runs as boot %d", i.Boot)
	case i.Boot > s.Boot && i.Base < s.Limit:
		return oldCopy(i.Node, "sequence %d was seen, this one begins after %d", s.Limit, i.Base)
	}
	return nil
}

func oldCopy(id kv.NodeID, format string, args ...any) error {
	return kv.Errorf(kv.KindOldCopy, "check node sequence", "%s: node %v: %s", oldCopyText, id, fmt.Sprintf(format, args...))
}

// checkSelf returns an error of KindOldCopy when the cluster has seen a later
// boot of this node, or another process of the same boot: two copies of one
// data directory are alive.
func checkSelf(s *State, self wire.Identity) error {
	m, ok := s.Member(self.Node)
	switch {
	case !ok:
		return nil
	case m.Seen.Boot > self.Boot:
		return oldCopy(self.Node, "boot %d was seen, this is boot %d", m.Seen.Boot, self.Boot)
	case m.Seen.Boot == self.Boot && m.Seen.Nonce != self.Nonce:
		return oldCopy(self.Node, "another process runs as boot %d", self.Boot)
	case m.Seen.Boot < self.Boot && m.Seen.Limit > self.Base:
		return oldCopy(self.Node, "sequence %d was seen, this one begins after %d", m.Seen.Limit, self.Base)
	}
	return nil
}

// observe returns s with what a handshake said of a member; s itself when that
// is nothing new, or no member.
func observe(s *State, i wire.Identity) *State {
	m, ok := s.Member(i.Node)
	if !ok {
		return s
	}
	seen := mergeSeen(m.Seen, Seen{Boot: i.Boot, Nonce: i.Nonce, Limit: i.Limit})
	if seen == m.Seen {
		return s
	}
	m.Seen = seen
	return s.withMember(m)
}

// nameOwner returns the node, other than id, that goes by a name and was not
// removed.
func nameOwner(s *State, id kv.NodeID, name string) (Member, bool) {
	for _, m := range s.members {
		if m.ID != id && m.Name == name && m.Status != StatusRemoved {
			return m, true
		}
	}
	return Member{}, false
}
