package node

import (
	"context"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/transport"
)

const (
	// careEvery is how often hand-off and anti-entropy are told the time.
	careEvery = 50 * time.Millisecond
	// upkeepSlice is how much of the store one slice of upkeep reads, in bytes,
	// and upkeepRate how much it reads in a second: a tree of a million small
	// records is built in a few seconds.
	upkeepSlice = 1 << 20
	upkeepRate  = 64 << 20
	// upkeepIdle is how often upkeep looks for something to do, and upkeepRetry
	// how long it waits after a failure.
	upkeepIdle  = 500 * time.Millisecond
	upkeepRetry = 5 * time.Second
	// maxDamages bounds the finds of damage that wait to be handled; more are
	// found again by a scrub.
	maxDamages = 64
)

// openCare makes hand-off, anti-entropy and the scrubber.
func (n *Node) openCare() {
	peers := peers{n.pool, n.service}
	n.sender = handoff.New(n.cfg.Handoff, handoff.Deps{
		Self: n.service.ID(), Boot: n.boot, Hints: n.store, Local: n.store, Peers: peers, Cluster: n,
		Background: n.background, Now: time.Now, Share: n.share,
	})
	n.keeper = antientropy.New(n.cfg.AntiEntropy, antientropy.Deps{
		Self: n.service.ID(), Boot: n.boot, Trees: n.store, Copies: n.store, Floors: n.store, Damage: n.store, Stages: n.store,
		Disk: n.engine, Peers: peers, Cluster: n, Background: n.background, Now: time.Now, Load: n.load,
		Wall: func() kv.Time { return kv.TimeOf(time.Now()) },
	})
	n.scrubber = newScrubber(n.cfg.Scrub, n.store, n.log)
	n.scrubber.shared = n.shared
}

// peers makes transport and membership the Peers of hand-off and anti-entropy.
type peers struct {
	*transport.Pool
	service *membership.Service
}

// Boot implements handoff.Peers.
func (p peers) Boot(id kv.NodeID) uint64 {
	m, _ := p.service.State().Member(id)
	return m.Seen.Boot
}

// boot returns this node's own boot number.
func (n *Node) boot() uint64 {
	_, identity := n.service.Identity()
	return identity.Boot
}

// Members implements antientropy.Cluster.
func (n *Node) Members() []antientropy.Member {
	state := n.service.State()
	var list []antientropy.Member
	for _, m := range state.Members() {
		switch state.Status(m.ID) {
		case membership.StatusMember, membership.StatusLeaving, membership.StatusJoining, membership.StatusRemoving:
			list = append(list, antientropy.Member{ID: m.ID, Aliases: m.Aliases})
		}
	}
	return list
}

// Mark implements antientropy.Cluster.
func (n *Node) Mark(of *ring.Progress, marks []ring.Mark) error { return n.service.Mark(of, marks) }

// moved is told that the ring, or what is known of its change, has moved on. Until
// open has made them there is nobody to tell.
func (n *Node) moved() {
	n.clientRing.changed()
	if n.coord != nil {
		n.coord.Moved()
	}
	if n.keeper != nil {
		n.keeper.Moved()
	}
}

// Removed implements antientropy.Cluster.
func (n *Node) Removed() []kv.NodeID {
	state := n.service.State()
	var list []kv.NodeID
	for _, m := range state.Members() {
		if state.Status(m.ID) == membership.StatusRemoved {
			list = append(append(list, m.ID), m.Aliases...)
		}
	}
	slices.Sort(list)
	return list
}

// peerChanged is told by transport that a peer went up or down.
func (n *Node) peerChanged(id kv.NodeID, up bool) {
	n.peers.changed(id, up)
	n.clientRing.changed()
	if up {
		n.sender.PeerUp(id)
		n.keeper.PeerUp(id)
	}
}

// upkeep rebuilds trees after a crash and reaps, at a pace.
func (n *Node) upkeep(ctx context.Context) error {
	pause := time.Duration(0)
	for waitFor(ctx, pause, nil) {
		did, err := n.store.Upkeep(upkeepSlice)
		switch {
		case kv.KindOf(err) == kv.KindClosed && err != nil:
			return nil
		case err != nil:
			n.log.Warn("upkeep of the store is put off", "error", err)
			pause = upkeepRetry
		case did == 0:
			pause = beat.Pause(time.Now(), upkeepIdle)
		default:
			pause = n.shared(time.Duration(did) * time.Second / upkeepRate)
		}
	}
	return nil
}

// storeHooks log what the store finds.
func (n *Node) storeHooks() replica.Hooks {
	return replica.Hooks{
		Damaged: func(p kv.Partition, cause error) {
			n.log.Error("the copy of a partition is damaged: it answers no reads until it is refilled from other owners", "partition", p, "error", cause)
		},
		DamagedHints: func(p kv.Partition, cause error) {
			n.log.Error("hints are damaged", "partition", p, "error", cause)
		},
		Wrong: func(p kv.Partition, l merkle.Leaf) {
			n.log.Error("a leaf of a hash tree is not the sum of its records; the tree is built again", "partition", p, "leaf", l)
		},
	}
}

// corrupted takes note of damage that the engine met by itself.
func (n *Node) corrupted(d storage.Damage) {
	select {
	case n.damages <- d:
	default:
		n.log.Error("damaged data, left for the next scrub to find", "error", &d)
	}
}

// heal marks the copies of which the engine cannot read something, so that they
// are mended before a request comes upon them. Where the engine does not know
// what is lost, a scrub finds it.
func (n *Node) heal(ctx context.Context) error {
	for {
		select {
		case d := <-n.damages:
			n.log.Error("the disk holds damaged data, which is not served", "error", &d)
			if d.From == nil {
				n.scrubber.start()
				continue
			}
			if err := n.mend(d); err != nil {
				n.log.Warn("the damage is not mended yet", "error", err)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// mend marks the copies within d's span, and has the rest of it cut out.
func (n *Node) mend(d storage.Damage) error {
	for _, p := range damagedParts(d, n.store.Held()) {
		if err := n.store.MarkDamaged(p, &d); err != nil {
			return err
		}
	}
	return n.store.CutGaps(d.From, d.To)
}

// damagedParts returns those of held whose data records lie in d's span.
func damagedParts(d storage.Damage, held []kv.Partition) []kv.Partition {
	return slices.DeleteFunc(held, func(p kv.Partition) bool {
		from, to := storage.NewPrefix(storage.SpaceData, p).Range()
		before := d.To != nil && slices.Compare(d.To, from) <= 0
		after := to != nil && slices.Compare(d.From, to) >= 0
		return before || after
	})
}
