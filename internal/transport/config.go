package transport

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Config bounds connections and sets the pace of failure detection. The times
// must be the same on all nodes of a cluster, and on its clients, within a
// factor of two: one side's probes are what keeps the other from hanging up.
type Config struct {
	// QueueBytes bounds the bytes waiting to be written on one connection. A
	// call past it completes with KindOverloaded; a response past it closes the
	// connection, because the peer has stopped reading. One message of any size
	// is taken while no more than wire.MaxFrame waits.
	QueueBytes int
	// AssemblyBytes bounds the bytes of messages over wire.MaxChunk that are
	// being received on one connection and are not complete. Senders have no
	// more than that under way, so it must be the same on both sides. At least
	// kv.MaxMessage in production.
	AssemblyBytes int
	// ClientAssemblyBytes is AssemblyBytes for what a client sends. It also
	// bounds a single request of a client: more than kv.MaxValue, kv.MaxKey and
	// a context.
	ClientAssemblyBytes int
	// MaxPending bounds the calls without an answer on one connection; past it
	// a call completes with KindOverloaded.
	MaxPending int
	// MaxConns bounds the connections that a Server serves at once; past it a
	// handshake is refused with KindOverloaded.
	MaxConns int
	// MaxHandshakes bounds the connections whose handshake is not done; past it
	// a connection is closed as soon as it is accepted.
	MaxHandshakes int
	// MaxWait is how long a request of a client may have waited, with the client from
	// protocol version 3 on, and in its connection, while requests come faster than
	// they are served: those that have waited for longer are marked as late. 0 marks
	// none.
	MaxWait time.Duration

	// HandshakeTimeout bounds a handshake from the first byte to the last, at
	// both sides.
	HandshakeTimeout time.Duration
	// Tick is how often calls are checked for passed deadlines, and peers for
	// signs of life, while any call is under way: a call may complete that much
	// after its deadline, or ProbeInterval after it where the connection was idle
	// until then.
	Tick time.Duration
	// ProbeInterval is how long a connection may be silent before it is pinged,
	// and between the pings that follow, or up to two Ticks less.
	ProbeInterval time.Duration
	// DownAfter is how long a peer may be silent, or take to be connected,
	// before it counts as down. A peer that stops is thus routed around
	// DownAfter + Tick later. At least 2 ProbeInterval, so that one lost ping
	// is no verdict; round trips over DownAfter - ProbeInterval look like a
	// peer that is down.
	DownAfter time.Duration
	// DeadAfter is how long a connection may be silent, or a write make no
	// progress, before it is closed. A half-open connection is thus found
	// within DeadAfter + DeadAfter/8, at both sides.
	DeadAfter time.Duration
	// BackoffMin and BackoffMax bound the pause between two attempts to connect
	// to a peer. It starts at BackoffMin, doubles, and is drawn from the upper
	// half of its range. A peer that returns is used at most BackoffMax later.
	BackoffMin, BackoffMax time.Duration
}

// Default returns the values for a cluster within one region.
func Default() Config {
	return Config{
		QueueBytes:          64 << 20,
		AssemblyBytes:       kv.MaxMessage,
		ClientAssemblyBytes: 4 << 20,
		MaxPending:          1 << 16,
		MaxConns:            4096,
		MaxWait:             DefaultMaxWait,
		MaxHandshakes:       128,
		HandshakeTimeout:    5 * time.Second,
		Tick:                50 * time.Millisecond,
		ProbeInterval:       250 * time.Millisecond,
		DownAfter:           750 * time.Millisecond,
		DeadAfter:           4 * time.Second,
		BackoffMin:          50 * time.Millisecond,
		BackoffMax:          400 * time.Millisecond,
	}
}

// Validate returns an error of KindInvalid that names the first field out of
// its range.
func (c Config) Validate() error {
	invalid := func(format string, args ...any) error {
		return kv.Errorf(kv.KindInvalid, "check transport config", format, args...)
	}
	switch {
	case c.QueueBytes < wire.MaxFrame:
		return invalid("QueueBytes %d is less than a frame, %d", c.QueueBytes, wire.MaxFrame)
	case c.AssemblyBytes < 2*wire.MaxChunk:
		return invalid("AssemblyBytes %d is less than two chunks, %d", c.AssemblyBytes, 2*wire.MaxChunk)
	case c.ClientAssemblyBytes < 2*wire.MaxChunk:
		return invalid("ClientAssemblyBytes %d is less than two chunks, %d", c.ClientAssemblyBytes, 2*wire.MaxChunk)
	case c.MaxPending < 1 || c.MaxPending > maxSlots:
		return invalid("MaxPending %d is not within 1 to %d", c.MaxPending, maxSlots)
	case c.MaxConns < 1:
		return invalid("MaxConns %d is less than 1", c.MaxConns)
	case c.MaxHandshakes < 1:
		return invalid("MaxHandshakes %d is less than 1", c.MaxHandshakes)
	case c.MaxWait < 0:
		return invalid("MaxWait %v is negative", c.MaxWait)
	case c.HandshakeTimeout <= 0:
		return invalid("HandshakeTimeout %v is not positive", c.HandshakeTimeout)
	case c.Tick <= 0:
		return invalid("Tick %v is not positive", c.Tick)
	case c.ProbeInterval < 2*c.Tick:
		return invalid("ProbeInterval %v is less than two ticks of %v", c.ProbeInterval, c.Tick)
	case c.DownAfter < 2*c.ProbeInterval:
		return invalid("DownAfter %v is less than two probes of %v", c.DownAfter, c.ProbeInterval)
	case c.DeadAfter < 2*c.DownAfter:
		return invalid("DeadAfter %v is less than twice DownAfter, %v", c.DeadAfter, c.DownAfter)
	case c.BackoffMin <= 0 || c.BackoffMin > c.BackoffMax:
		return invalid("BackoffMin %v is not within 0 to BackoffMax, %v", c.BackoffMin, c.BackoffMax)
	}
	return nil
}
