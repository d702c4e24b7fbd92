package handoff

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Config bounds what handing hints over may cost.
type Config struct {
	// Rate bounds what this node hands over, to all nodes together, in bytes of
	// keys and objects a second.
	Rate int64
	// Window is the number of hints that may be under way to one node.
	Window int
	// WindowBytes bounds their bytes; a hint that is larger goes alone.
	WindowBytes int
	// Sessions is the number of nodes that are given hints at the same time. Each
	// takes up to pageBytes and one object of memory.
	Sessions int
	// Timeout is how long a node may take to store one hint.
	Timeout time.Duration
	// Every is how often hints are looked for whose owner answers.
	Every time.Duration
	// MinPause is how long a node is left alone that failed or refused; it
	// doubles with each time in a row, up to MaxPause.
	MinPause, MaxPause time.Duration
	// Inbound is the number of hints from other nodes that may wait for this
	// node's disk; one more is refused with KindOverloaded.
	Inbound int
	// Omit leaves rules out: for the simulator, which proves that its checkers
	// notice. It is zero in every node.
	Omit Omit
}

// Omit is a set of rules that are left out.
type Omit uint8

const (
	// OmitAck deletes a hint as soon as it is sent.
	OmitAck Omit = 1 << iota
	// OmitVersion deletes a hint that was delivered although it changed since.
	OmitVersion
	// OmitBoot believes an acknowledgement of an earlier boot.
	OmitBoot
	// OmitDurable acknowledges a hint before it is on stable storage.
	OmitDurable

	allOmits = OmitAck | OmitVersion | OmitBoot | OmitDurable
)

// A page is what is read of the hints at once.
const (
	pageKeys  = 256
	pageBytes = 256 << 10
)

// Default returns the values that fit most clusters: at 16 MiB/s a million
// hints of 1 KiB take about a minute.
func Default() Config {
	return Config{
		Rate:        16 << 20,
		Window:      64,
		WindowBytes: 4 << 20,
		Sessions:    16,
		Timeout:     10 * time.Second,
		Every:       time.Second,
		MinPause:    100 * time.Millisecond,
		MaxPause:    30 * time.Second,
		Inbound:     1024,
	}
}

// Validate returns an error of KindInvalid that names the field.
func (c Config) Validate() error {
	const op = "check handoff"
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"Rate", c.Rate}, {"Window", int64(c.Window)}, {"WindowBytes", int64(c.WindowBytes)}, {"Sessions", int64(c.Sessions)},
		{"Timeout", int64(c.Timeout)}, {"Every", int64(c.Every)}, {"MinPause", int64(c.MinPause)}, {"Inbound", int64(c.Inbound)},
	} {
		if f.value <= 0 {
			return kv.Errorf(kv.KindInvalid, op, "%s is %d, and must be positive", f.name, f.value)
		}
	}
	switch {
	case c.MaxPause < c.MinPause:
		return kv.Errorf(kv.KindInvalid, op, "MaxPause %v is less than MinPause %v", c.MaxPause, c.MinPause)
	case c.Omit&^allOmits != 0:
		return kv.Errorf(kv.KindInvalid, op, "Omit has unknown bits %#x", uint8(c.Omit&^allOmits))
	}
	return nil
}
