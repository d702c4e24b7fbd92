package sim

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// Variant is a build that is broken on purpose, by rules that are left out. The
// zero Variant leaves out none. Those that production code cannot leave out are
// broken here, around it.
type Variant struct {
	Name        string
	Replica     replica.Omit
	Coordinator coordinator.Omit
	Handoff     handoff.Omit
	AntiEntropy antientropy.Omit
	// KeepIDs lets a node whose disk was replaced go on under its old id, with
	// the sequence that the disk remembers.
	KeepIDs bool
	// ForgetVotes has a node forget in a restart what it promised and accepted.
	ForgetVotes bool
	// NoSync tells anti-entropy that what was written is durable when it is not.
	NoSync bool
}

// disk is an engine as anti-entropy sees it.
func (v *Variant) disk(e antientropy.Disk) antientropy.Disk {
	if v.NoSync {
		return lyingDisk{}
	}
	return e
}

// lyingDisk says that all is durable.
type lyingDisk struct{}

// Sync implements antientropy.Disk.
func (lyingDisk) Sync() error { return nil }

func (v *Variant) replica(wall func() kv.Time) replica.Config {
	c := replica.Default()
	c.Omit, c.Wall = v.Replica, wall
	c.MaxHeadBytes = 128 << 10 // a world has few keys, and many stores
	return c
}

func (v *Variant) coordinator() coordinator.Config {
	c := coordinator.Default()
	c.Omit = v.Coordinator
	c.ReadFewAt = 0 // as nodes that are busy do
	return c
}

func (v *Variant) handoff(s *Scenario) handoff.Config {
	c := handoff.Default()
	if s.HandoffRate > 0 {
		c.Rate = int64(s.HandoffRate)
	}
	c.Omit = v.Handoff
	c.Every, c.MaxPause, c.Timeout = 300*time.Millisecond, 2*time.Second, 2*time.Second
	return c
}

// antiEntropy is at a pace that lets a run of some seconds see many exchanges
// and sweeps.
func (v *Variant) antiEntropy(s *Scenario) antientropy.Config {
	c := antientropy.Default()
	c.Omit = v.AntiEntropy
	c.Every, c.Retry, c.Timeout = s.ExchangeEvery, 300*time.Millisecond, 500*time.Millisecond
	c.FillPatience = 3 * time.Second
	c.ReapAt, c.ReapAfter, c.ReapPause = 2, time.Second, time.Second
	c.ReapBackoff, c.Poll, c.Patience, c.ExchangeFor = 300*time.Millisecond, 200*time.Millisecond, 3*time.Second, 10*time.Second
	if s.SweepsAsked {
		c.ReapBackoff = time.Millisecond // nobody else wants one
	}
	return c
}
