// Package antientropy keeps the copies of a partition in sync (§4.7): two owners
// compare hash trees and give each other what differs. It also refills copies
// that lost data, empties copies that are left over from an earlier ring, and
// sweeps: it finds out what every copy has seen, so that each may forget its
// tombstones and old clock entries (floors; docs/adr/0008-floors.md). And when the
// ring changes it moves this node's partitions, step by step (DESIGN section 5;
// docs/adr/0012-mover.md).
//
// A Keeper has no goroutine and no clock of its own. Whatever happens (a Tick,
// a request, an answer) is put into its mail, and a task on the Background takes
// it out: one task at a time, so that all that is decided here is decided in one
// order, and needs no lock. An exchange is a state machine that is given answers
// and tells the next request (exchange.go); its other side keeps nothing between
// two requests (serve.go). A sweep is the same with one leader (leader.go) and
// many members (member.go).
//
// Nothing of this is stored here. What an exchange achieved is in the copies, what
// a sweep achieved is in their floors, how far a step is in their stages and fills,
// and each may stop anywhere.
package antientropy

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Trees are the hash trees of the node's copies (package replica).
type Trees interface {
	// Tree tells what p's tree is worth, its root, and a number that grows with
	// each write to the copy.
	Tree(p kv.Partition) (state replica.TreeState, root, changes uint64)
	Branches(p kv.Partition, dst []uint64) []uint64
	LeavesOf(p kv.Partition, branch int, dst []uint64) []uint64
	// LeafKeys calls fn with the records of a leaf, ascending by
	// (merkle.Position, key), and their digests under joined, which includes the
	// copy's own floor; the tree holds these digests afterwards. Records of
	// digest 0 are left out. fn's slices are valid until it returns.
	LeafKeys(p kv.Partition, l merkle.Leaf, joined vclock.Floor, fn func(k kv.Key, digest uint64) bool) error
}

// Copies are the node's copies (package replica).
type Copies interface {
	Read(p kv.Partition, k kv.Key, buf []byte) (object.Object, []byte, error)
	// Merge merges what another copy, whose floor is floor, holds of k; the zero
	// Object where it holds nothing.
	Merge(p kv.Partition, k kv.Key, in object.Object, floor vclock.Floor, durable storage.Waiter) error
	// Held returns the partitions of which there is any record, owned or not.
	Held() []kv.Partition
	// DropCopy drops a copy, floor first, if there was no write since Tree told
	// that number of changes.
	DropCopy(p kv.Partition, changes uint64) (bool, error)
	// HoldsHints tells whether the node keeps any object of p for another node.
	HoldsHints(p kv.Partition) bool
}

// Floors are what the node's copies have seen (package replica).
type Floors interface {
	Floor(p kv.Partition) (vclock.Floor, uint64)
	// RaiseFloor makes all data durable, and then the floors of parts, joined
	// with f.
	RaiseFloor(parts []kv.Partition, f vclock.Floor) error
	// Low draws a sequence. Every lower one of this node's is stored by then, or
	// given up for ever.
	Low() (uint64, error)
	// Usage tells from memory what p's copy holds; reapable is the number of
	// records of which a floor could drop something.
	Usage(p kv.Partition) (keys, bytes, reapable uint64)
	// Soonest tells from memory before which moment nothing in p's copy expires, 0
	// when nothing does.
	Soonest(p kv.Partition) kv.Expiry
}

// Damage is what the node knows of copies that lost data (package replica).
type Damage interface {
	// Damaged returns the partitions whose copies are marked, ascending.
	Damaged() []kv.Partition
	// Damages tells how often p's copy was found damaged.
	Damages(p kv.Partition) uint64
	// Repaired makes all data durable and then takes p's mark away, unless more
	// damage was found since Damages told that number.
	Repaired(p kv.Partition, damages uint64) error
}

// Stages are how far the node's copies are in the steps of a change of the ring
// (package replica).
type Stages interface {
	// Stage returns the lowest levels of puts and gets that p's copy serves.
	Stage(p kv.Partition) (puts, gets kv.Level)
	// Guessed tells that the stage may be higher than the change of the ring has
	// come.
	Guessed(p kv.Partition) bool
	// Advance raises stages, and never lowers them. When it returns no write and
	// no read of a lower level is under way, and that is durable.
	Advance(to []replica.Advance) error
	// Fill returns what p's copy has been filled from.
	Fill(p kv.Partition) replica.Fill
	// SetFills makes all data durable, and then the fills.
	SetFills(fills map[kv.Partition]replica.Fill) error
}

// Disk is what the copies are stored on (package storage).
type Disk interface {
	// Sync returns once every write that was applied is on stable storage.
	Sync() error
}

// Peers reaches the other nodes (package transport).
type Peers interface {
	// Call is as wire.Completion describes.
	Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32)
	// Up tells whether a peer answers, as far as this node knows (§4.8.3).
	Up(id kv.NodeID) bool
}

// Member is a node that may hold or write anything.
type Member struct {
	ID kv.NodeID
	// Aliases are the interim ids under which it has written, ascending.
	Aliases []kv.NodeID
}

// Cluster is what the node knows of its cluster (package membership).
type Cluster interface {
	// Current is nil before the node has a ring. It costs next to nothing.
	Current() *ring.Current
	// Mark has marks of this node, whose grounds are durable, added to those of a
	// transition, and told to everybody; none if that is not under way any more.
	Mark(of *ring.Progress, marks []ring.Mark) error
	// Members returns, ascending by id, every node that may hold or write
	// anything, this one included: those of the ring, and those that have left
	// it but were not declared dead for good.
	Members() []Member
	// Removed returns, ascending, the ids and aliases of the nodes that were
	// declared dead for good.
	Removed() []kv.NodeID
	// Refresh asks for the state of a peer whose ring is newer.
	Refresh(from kv.NodeID)
}

// Background runs tasks outside of the caller's goroutine. Go returns false,
// and drops the task, when its queue is full.
type Background interface{ Go(task func()) bool }

// Deps are what a Keeper works with; all but Load are needed.
type Deps struct {
	Self kv.NodeID
	// Boot is this node's boot number.
	Boot       func() uint64
	Trees      Trees
	Copies     Copies
	Floors     Floors
	Damage     Damage
	Stages     Stages
	Disk       Disk
	Peers      Peers
	Cluster    Cluster
	Background Background
	// Now is a clock that does not jump (time.Now, with its monotonic reading);
	// Tick gets the same clock's time.
	Now func() time.Time
	// Wall is the wall clock, which may jump: what expires is reaped once it is past
	// at all members.
	Wall func() kv.Time
	// Load tells how requests of clients fare at this node: fills make room for
	// them. It may be nil.
	Load func() pace.Load
}
