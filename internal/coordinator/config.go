package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// Config bounds the coordinator.
type Config struct {
	// MaxInFlight is the number of requests that may wait for answers at once;
	// one more is refused with KindOverloaded. Each holds a few KiB and its
	// value.
	MaxInFlight int
	// MaxSkew is how far this node's clock may be from its peers' before it
	// stops coordinating lww writes, and values expire by its peers' clocks.
	MaxSkew time.Duration
	// MaxClock caps the entries of a clock (object.MaxClock).
	MaxClock int
	// StandInAfter is how long an owner that is not known to be down may leave a
	// request unanswered before the next healthy node is asked in its stead; half
	// of the request's timeout, if that is less. It is looked at when Expire is
	// called. Shorter means that fewer requests notice a node that hangs, and
	// more hints for nodes that are merely slow.
	StandInAfter time.Duration
	// ReadFewAt is the number of requests in flight here from which on gets ask R
	// owners rather than all. With fewer there is processor time to spare, and the
	// first R of all answer sooner than the R nearest where nodes stall now and then.
	// Gets whose records are on the disk ask R in any case.
	ReadFewAt int
	// ReadAll is the share of gets that ask all owners of their key where R of them
	// would do, 0 to 1. More of it finds stale copies sooner, and costs their
	// owners a read for each get.
	ReadAll float64
	// Hedge has gets that take longer than usual asked for at a second node, for at
	// most one request in hedge.Every.
	Hedge bool
	// Omit leaves out rules, for the simulator, which proves with it that its
	// checkers notice. It is zero in every node.
	Omit Omit
}

// DefaultStandInAfter is the default of Config.StandInAfter.
const DefaultStandInAfter = 100 * time.Millisecond

// DefaultReadFewAt is the default of Config.ReadFewAt.
const DefaultReadFewAt = 8

// DefaultReadAll is the default of Config.ReadAll.
const DefaultReadAll = 0.1

// Default returns the values that fit most clusters.
func Default() Config {
	return Config{
		MaxInFlight: 16384, MaxSkew: clock.DefaultMaxSkew, MaxClock: object.MaxClock, StandInAfter: DefaultStandInAfter,
		ReadFewAt: DefaultReadFewAt, ReadAll: DefaultReadAll, Hedge: true,
	}
}

// Validate returns an error of KindInvalid that names the field.
func (c Config) Validate() error {
	switch {
	case c.MaxInFlight < 1:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxInFlight %d is less than 1", c.MaxInFlight)
	case c.MaxSkew <= 0:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxSkew %v is not positive", c.MaxSkew)
	case c.MaxClock < 1 || c.MaxClock > 4096:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "MaxClock %d is not within 1 to 4096", c.MaxClock)
	case c.StandInAfter <= 0:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "StandInAfter %v is not positive", c.StandInAfter)
	case c.ReadFewAt < 0:
		return kv.Errorf(kv.KindInvalid, "check coordinator", "ReadFewAt %d is negative", c.ReadFewAt)
	case !(c.ReadAll >= 0 && c.ReadAll <= 1):
		return kv.Errorf(kv.KindInvalid, "check coordinator", "ReadAll %v is not within 0 to 1", c.ReadAll)
	}
	return nil
}

// Omit is a set of rules to be left out.
type Omit uint16

const (
	// OmitLastAck answers a put one acknowledgement before W and DW are met.
	OmitLastAck Omit = 1 << iota
	// OmitSiblings writes every put as the last one, which wins.
	OmitSiblings
	// OmitRepairMerge has read repair write what the get answered over what the
	// copies hold.
	OmitRepairMerge
	// OmitStrict counts stand-ins in strict requests as well.
	OmitStrict
	// OmitHints counts a stand-in without sending it the hint.
	OmitHints
	// OmitOwners leaves the owner out of a hint, which names a stranger then.
	OmitOwners
	// OmitFloors leaves floors out of gets.
	OmitFloors
	// OmitJointOld has a put in a step of the ring do without a quorum of the
	// owners before it, OmitJointNew without one of those after it.
	OmitJointOld
	OmitJointNew
	// OmitRestart has a get that starts again keep the answers that it has.
	OmitRestart
	// OmitTrust has values expire by this node's own clock, however far it is off.
	OmitTrust
	// OmitHide shows what has expired until it is reaped.
	OmitHide
)

// stranger is the id of no node.
const stranger = ^kv.NodeID(0)

// omits tells whether rule is left out.
func (c *Coordinator) omits(rule Omit) bool { return c.cfg.Omit&rule != 0 }
