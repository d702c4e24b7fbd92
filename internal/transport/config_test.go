package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestConfigValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	tests := map[string]func(*Config, int){
		"QueueBytes":          func(c *Config, past int) { c.QueueBytes = wire.MaxFrame - past },
		"AssemblyBytes":       func(c *Config, past int) { c.AssemblyBytes = 2*wire.MaxChunk - past },
		"ClientAssemblyBytes": func(c *Config, past int) { c.ClientAssemblyBytes = 2*wire.MaxChunk - past },
		"MaxPending":          func(c *Config, past int) { c.MaxPending = maxSlots + past },
		"MaxConns":            func(c *Config, past int) { c.MaxConns = 1 - past },
		"MaxHandshakes":       func(c *Config, past int) { c.MaxHandshakes = 1 - past },
		"HandshakeTimeout":    func(c *Config, past int) { c.HandshakeTimeout = 1 - time.Duration(past) },
		"Tick":                func(c *Config, past int) { c.Tick = 1 - time.Duration(past) },
		"ProbeInterval":       func(c *Config, past int) { c.ProbeInterval = 2*c.Tick - time.Duration(past) },
		"DownAfter":           func(c *Config, past int) { c.DownAfter = 2*c.ProbeInterval - time.Duration(past) },
		"DeadAfter":           func(c *Config, past int) { c.DeadAfter = 2*c.DownAfter - time.Duration(past) },
		"BackoffMin":          func(c *Config, past int) { c.BackoffMin = c.BackoffMax + time.Duration(past) },
	}
	for field, set := range tests {
		c := Default()
		set(&c, 0)
		if err := c.Validate(); err != nil {
			t.Errorf("%s at its limit: %v", field, err)
		}
		c = Default()
		set(&c, 1)
		if err := c.Validate(); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s past its limit: %v", field, err)
		}
	}
}
