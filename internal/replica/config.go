package replica

import "github.com/ringtaildb/ringtail/internal/kv"

// Config is what a Store is opened with.
type Config struct {
	// MaxHintBytes bounds what the node keeps for other nodes: the sum of its
	// hints' keys and records in bytes. Past it a new hint is declined, one that
	// exists still grows.
	MaxHintBytes uint64
}

// Default returns the Config of an ordinary machine: 4 GiB of hints.
func Default() Config { return Config{MaxHintBytes: 4 << 30} }

// Validate returns an error of KindInvalid that names the first field out of
// its range.
func (c Config) Validate() error {
	if c.MaxHintBytes == 0 {
		return kv.Errorf(kv.KindInvalid, "check replica config", "MaxHintBytes is 0, and must be positive")
	}
	return nil
}
