package antientropy

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// Config bounds what keeping copies in sync may cost.
type Config struct {
	// Every is the time between two exchanges with a node. Copies that differ
	// stay so for that long and the time that the difference takes to travel.
	Every time.Duration
	// Retry is how long a node is left alone after an exchange that failed.
	Retry time.Duration
	// Rate bounds what this node's exchanges send and receive, in bytes of
	// payload a second, all together. They use the share of it with which requests
	// of clients at either end are about as fast as without, as fills do.
	Rate int64
	// FillRate is the same for fills, which move partitions when the ring changes:
	// what this node fetches, in bytes of payload a second. Keeper.SetFillRate
	// changes it. A fill uses the share of it with which requests of clients at
	// either end are about as fast as without, down to a sixteenth, or 64 KiB/s.
	FillRate int64
	// FillPatience is how long the owners of a partition that stay wait for one
	// that is to be filled and does not answer. Then the step ends without it, and
	// it is filled later.
	FillPatience time.Duration
	// MaxMessage is the size in bytes at which a message ends; it exceeds that by
	// its last object.
	MaxMessage int
	// Sessions is the number of exchanges that this node conducts at once, at
	// most one with each node. Each takes a few times MaxMessage of memory.
	Sessions int
	// Timeout is how long a node may take to answer one message.
	Timeout time.Duration
	// Inbound is the number of other nodes' requests that may wait here; one more
	// is refused with KindOverloaded.
	Inbound int

	// ReapAt is the number of records with something to reap at which this node
	// would have a sweep; ReapAfter is how long fewer may wait for one.
	ReapAt    uint64
	ReapAfter time.Duration
	// ReapPause is the shortest time between two sweeps that this node leads.
	ReapPause time.Duration
	// ReapBackoff, times the node's rank among the members, is how much later
	// than the first it begins a sweep: that one usually serves all.
	ReapBackoff time.Duration
	// MaxSkew is how long before the slowest clock of all members a value must have
	// expired to be reaped.
	MaxSkew time.Duration
	// Poll is how often a leader asks again.
	Poll time.Duration
	// Patience is how long the leader of a sweep waits for the members in each
	// of its steps, but for the exchange. A member waits for the leader's next
	// word for twice as long.
	Patience time.Duration
	// ExchangeFor is how long it waits for their exchanges.
	ExchangeFor time.Duration

	// Omit leaves rules out: for the simulator, which proves that its checkers
	// notice. It is zero in every node.
	Omit Omit
}

// Omit is a set of rules that are left out.
type Omit uint16

const (
	// OmitReports has a sweep go on without knowing whether hints and left-overs
	// are drained.
	OmitReports Omit = 1 << iota
	// OmitExchange has a sweep raise floors without an exchange before.
	OmitExchange
	// OmitReturn has a sweep's exchange collect what the owners have, and not
	// give it back to them.
	OmitReturn
	// OmitBoots lets a sweep, and floors that are taken over, go on although a
	// node was started anew, or refilled a copy, since it gave its word.
	OmitBoots
	// OmitEpochs lets them go on although the ring or the members changed.
	OmitEpochs
	// OmitDamage takes a copy that lost data for refilled at once.
	OmitDamage
	// OmitTakeover hands no floor over: neither to who has all that a copy had,
	// nor before a left-over copy is dropped.
	OmitTakeover
	// OmitBranch never looks at every fourth branch of the trees.
	OmitBranch
	// OmitMerge overwrites a copy with what the other one has.
	OmitMerge
	// OmitSealed fills copies from owners that still take puts of before the step.
	OmitSealed
	// OmitSources takes a copy for filled that has met one owner.
	OmitSources
	// OmitFillLog tells that a copy is filled before that is durable.
	OmitFillLog
	// OmitWait begins a step before the one before it is over.
	OmitWait
	// OmitFormer drops a former owner's copy as soon as it answers no gets.
	OmitFormer
	// OmitMark takes the leader's clock alone for what all members' say.
	OmitMark

	allOmits = OmitMark<<1 - 1
)

// minMessage is the least MaxMessage: the hashes of one tree in full fit.
const minMessage = 16 << 10

// Default returns the values that fit most clusters.
func Default() Config {
	return Config{
		Every:        10 * time.Second,
		Retry:        time.Second,
		Rate:         16 << 20,
		FillRate:     16 << 20,
		FillPatience: 30 * time.Second,
		MaxMessage:   256 << 10,
		Sessions:     4,
		Timeout:      10 * time.Second,
		Inbound:      256,
		ReapAt:       1024,
		ReapAfter:    10 * time.Minute,
		ReapPause:    30 * time.Second,
		ReapBackoff:  2 * time.Second,
		MaxSkew:      clock.DefaultMaxSkew,
		Poll:         time.Second,
		Patience:     30 * time.Second,
		ExchangeFor:  10 * time.Minute,
	}
}

// Validate returns an error of KindInvalid that names the field.
func (c Config) Validate() error {
	const op = "check anti-entropy"
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Every", int64(c.Every)}, {"Retry", int64(c.Retry)}, {"Rate", c.Rate}, {"FillRate", c.FillRate}, {"FillPatience", int64(c.FillPatience)}, {"Sessions", int64(c.Sessions)},
		{"Timeout", int64(c.Timeout)}, {"Inbound", int64(c.Inbound)}, {"ReapAfter", int64(c.ReapAfter)},
		{"ReapPause", int64(c.ReapPause)}, {"ReapBackoff", int64(c.ReapBackoff)}, {"Poll", int64(c.Poll)}, {"MaxSkew", int64(c.MaxSkew)},
		{"Patience", int64(c.Patience)}, {"ExchangeFor", int64(c.ExchangeFor)},
	} {
		if f.value <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s is %d, and must be positive", f.name, f.value)
		}
	}
	switch {
	case c.MaxMessage < minMessage || c.MaxMessage > kv.MaxMessage/4:
		return kv.Errorf(kv.KindInvalid, op, "MaxMessage %d is not within %d to %d", c.MaxMessage, minMessage, kv.MaxMessage/4)
	case c.ReapAt == 0:
		return kv.Errorf(kv.KindInvalid, op, "ReapAt is 0, and must be positive")
	case c.Omit&^allOmits != 0:
		return kv.Errorf(kv.KindInvalid, op, "Omit has unknown bits %#x", uint16(c.Omit&^allOmits))
	}
	return nil
}

func (c Config) omits(o Omit) bool { return c.Omit&o != 0 }
