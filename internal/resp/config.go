package resp

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Config bounds what the door takes on.
type Config struct {
	// MaxConnections bounds open connections; a further one is told so and
	// closed. One that is idle costs some 10 KiB.
	MaxConnections int
	// MaxHeld bounds what all connections together hold of commands and of
	// values on their way out, in bytes, not counting what is under 64 KiB of a
	// connection's own; past it they are refused as overloaded.
	MaxHeld int64
	// ReadTimeout bounds the time that the rest of a command may take to arrive,
	// WriteTimeout that for which a client may leave answers unread.
	ReadTimeout, WriteTimeout time.Duration
	// DrainTimeout bounds how long Serve lets commands finish when it ends.
	DrainTimeout time.Duration
	// Flush allows FLUSHALL and FLUSHDB: for tests.
	Flush bool
}

// Limits of one connection. Those of keys and values are kv.MaxKey and
// kv.MaxValue.
const (
	// MaxArgs bounds the words of a command.
	MaxArgs = 1 << 16
	// MaxCommand bounds a command, in bytes.
	MaxCommand = 8 << 20
	// MaxInline bounds a command that is written as a line, in bytes.
	MaxInline = 64 << 10
	// maxBulk is the longest word that is read over, as far as it comes, to
	// refuse the command and go on; Redis takes no longer one either.
	maxBulk = 512 << 20
	// maxWindow bounds the gets and puts of one connection that are under way.
	maxWindow = 128
	// maxUnsent is the size at which answers are sent, in bytes.
	maxUnsent = 64 << 10
	// maxName bounds what a client calls itself, in bytes.
	maxName = 256
	// maxScans bounds the listings of keys that run at once, for all connections.
	maxScans = 4
)

// Default returns the bounds that fit a machine with 2 GiB of memory or more.
func Default() Config {
	return Config{
		MaxConnections: 16384,
		MaxHeld:        256 << 20,
		ReadTimeout:    30 * time.Second,
		WriteTimeout:   30 * time.Second,
		DrainTimeout:   5 * time.Second,
	}
}

// Validate returns an error of KindInvalid that names the first field outside
// its range.
func (c Config) Validate() error {
	const op = "check resp config"
	switch {
	case c.MaxConnections < 1:
		return kv.Errorf(kv.KindInvalid, op, "MaxConnections=%d is less than 1", c.MaxConnections)
	case c.MaxHeld < 2*MaxCommand:
		return kv.Errorf(kv.KindInvalid, op, "MaxHeld=%d has no room for two commands of %d bytes", c.MaxHeld, MaxCommand)
	}
	for _, d := range []struct {
		name string
		d    time.Duration
	}{{"ReadTimeout", c.ReadTimeout}, {"WriteTimeout", c.WriteTimeout}, {"DrainTimeout", c.DrainTimeout}} {
		if d.d <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s=%v is not positive", d.name, d.d)
		}
	}
	return nil
}
