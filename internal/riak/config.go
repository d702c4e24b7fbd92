package riak

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Config bounds what the door takes on.
type Config struct {
	// MaxConnections bounds open connections, each of which costs about 16 KiB. A
	// further one takes the place of the one that has been idle longest; where
	// none is idle it is told so and closed.
	MaxConnections int
	// MaxRequests bounds the requests that are served at once, and those that hold
	// more than 64 KiB, up to maxMessage bytes, from before they are read; a further
	// one is answered that the node is overloaded.
	MaxRequests int
	// ReadTimeout bounds the time that a message may take to arrive, from its
	// first byte on.
	ReadTimeout time.Duration
	// WriteTimeout bounds the time that a client may take to read an answer.
	WriteTimeout time.Duration
	// ListTimeout bounds a listing that gives no timeout of its own.
	ListTimeout time.Duration
	// DrainTimeout bounds how long Serve lets requests finish when it ends.
	DrainTimeout time.Duration
}

// Default returns the bounds that fit a machine with 2 GiB of memory or more.
func Default() Config {
	return Config{
		MaxConnections: 16384,
		MaxRequests:    1024,
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   2 * time.Minute,
		ListTimeout:    10 * time.Minute,
		DrainTimeout:   10 * time.Second,
	}
}

// Validate returns an error of KindInvalid that names the first field outside its
// range.
func (c Config) Validate() error {
	const op = "check riak config"
	for _, n := range []struct {
		name string
		n    int
	}{{"MaxConnections", c.MaxConnections}, {"MaxRequests", c.MaxRequests}} {
		if n.n < 1 {
			return kv.Errorf(kv.KindInvalid, op, "%s=%d is less than 1", n.name, n.n)
		}
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{
		{"ReadTimeout", c.ReadTimeout}, {"WriteTimeout", c.WriteTimeout}, {"ListTimeout", c.ListTimeout}, {"DrainTimeout", c.DrainTimeout},
	} {
		if d.d <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s=%v is not positive", d.name, d.d)
		}
	}
	return nil
}
