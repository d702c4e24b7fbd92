package httpapi

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Config bounds what the door takes on.
type Config struct {
	// MaxConnections bounds open connections; a further one is told
	// "overloaded" and closed at once. Each costs up to MaxHeader bytes.
	MaxConnections int
	// MaxRequests bounds the requests for buckets and keys that are served at
	// once; a further one is answered 503 "overloaded". Each holds up to
	// kv.MaxValue bytes of body.
	MaxRequests int
	// MaxHeader bounds a request's head, in bytes. It has room for a key of
	// kv.MaxKey bytes, each percent-encoded, and for a context of 1,000 clock
	// entries.
	MaxHeader int
	// HeaderTimeout bounds the time that a request's head may take to arrive.
	HeaderTimeout time.Duration
	// BodyTimeout bounds the time that a request's body may take to arrive.
	BodyTimeout time.Duration
	// WriteTimeout bounds the time from a request's head to the end of the
	// answer; a stream of keys may take that long between two flushes.
	WriteTimeout time.Duration
	// IdleTimeout closes a connection that asks nothing for so long.
	IdleTimeout time.Duration
	// DrainTimeout bounds how long Serve lets requests finish when it ends;
	// then they are cancelled.
	DrainTimeout time.Duration
	// PeerTimeout bounds how long /cluster waits for the other nodes' figures.
	PeerTimeout time.Duration
	// Pprof serves /debug/pprof/.
	Pprof bool
}

// Default returns the bounds that fit a machine with 2 GiB of memory or more.
func Default() Config {
	return Config{
		MaxConnections: 16384,
		MaxRequests:    1024,
		MaxHeader:      64 << 10,
		HeaderTimeout:  5 * time.Second,
		BodyTimeout:    30 * time.Second,
		WriteTimeout:   kv.MaxTimeout + time.Minute,
		IdleTimeout:    2 * time.Minute,
		DrainTimeout:   10 * time.Second,
		PeerTimeout:    500 * time.Millisecond,
	}
}

// Validate returns an error of KindInvalid that names the first field outside
// its range.
func (c Config) Validate() error {
	const op = "check http config"
	switch {
	case c.MaxConnections < 1:
		return kv.Errorf(kv.KindInvalid, op, "MaxConnections=%d is less than 1", c.MaxConnections)
	case c.MaxRequests < 1:
		return kv.Errorf(kv.KindInvalid, op, "MaxRequests=%d is less than 1", c.MaxRequests)
	case c.MaxHeader < 4*kv.MaxKey:
		return kv.Errorf(kv.KindInvalid, op, "MaxHeader=%d has no room for a key of %d bytes", c.MaxHeader, kv.MaxKey)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"HeaderTimeout", c.HeaderTimeout}, {"BodyTimeout", c.BodyTimeout}, {"WriteTimeout", c.WriteTimeout},
		{"IdleTimeout", c.IdleTimeout}, {"DrainTimeout", c.DrainTimeout}, {"PeerTimeout", c.PeerTimeout},
	} {
		if d.d <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s=%v is not positive", d.name, d.d)
		}
	}
	return nil
}
