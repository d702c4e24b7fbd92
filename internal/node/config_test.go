package node

import (
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// valid is a configuration that Validate accepts.
func valid() Config {
	c := Default()
	c.Name, c.Data = "n1", "data"
	c.Seeds = []string{"127.0.0.1:7412"}
	return c
}

func TestDefaultNeedsANameAndAPlace(t *testing.T) {
	if err := Default().Validate(); err == nil {
		t.Error("a configuration without a name was accepted")
	}
	if err := valid().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	for _, tc := range []struct {
		field  string
		change func(*Config)
	}{
		{"name", func(c *Config) { c.Name = "" }},
		{"name", func(c *Config) { c.Name = "a b" }},
		{"data", func(c *Config) { c.Data = "" }},
		{"engine", func(c *Config) { c.Engine = "papyrus" }},
		{"http", func(c *Config) { c.HTTP = "7400" }},
		{"http", func(c *Config) { c.HTTP = ":7400" }},
		{"http", func(c *Config) { c.HTTP = "127.0.0.1:0" }},
		{"http", func(c *Config) { c.HTTP = "127.0.0.1:65536" }},
		{"http", func(c *Config) { c.HTTP = "10.0.0.1:7400" }},
		{"peer", func(c *Config) { c.Peer = "10.0.0.1:7401" }},
		{"gossip", func(c *Config) { c.Gossip = "0.0.0.0:7402" }},
		{"riak", func(c *Config) { c.Riak = "0.0.0.0:7404" }},
		{"riak", func(c *Config) { c.HTTP = "127.0.0.1:65532" }},
		{"peer", func(c *Config) { c.HTTP = "127.0.0.1:65535" }},
		{"advertise", func(c *Config) { c.Advertise = "0.0.0.0" }},
		{"weight", func(c *Config) { c.Weight = 0 }},
		{"zone", func(c *Config) { c.Zone = strings.Repeat("z", ring.MaxZone+1) }},
		{"seed", func(c *Config) { c.Seeds = []string{"nowhere"} }},
		{"n=0", func(c *Config) { c.Create = &ring.Params{} }},
		{"BusyAt", func(c *Config) { c.BusyAt = 0 }},
		{"FillRate", func(c *Config) { c.AntiEntropy.FillRate = 0 }},
		{"MaxInFlight", func(c *Config) { c.Coordinator.MaxInFlight = 0 }},
		{"MaxClock", func(c *Config) { c.Coordinator.MaxClock = 4097 }},
	} {
		c := valid()
		tc.change(&c)
		err := c.Validate()
		if err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), tc.field) {
			t.Errorf("want an error that names %s: %v", tc.field, err)
		}
	}
}

func TestPortsFollowFromHTTP(t *testing.T) {
	c := valid()
	c.HTTP, c.Advertise = "127.0.0.1:9000", "db1.example"
	f, err := c.filled()
	if err != nil {
		t.Fatal(err)
	}
	if f.Peer != "127.0.0.1:9001" || f.Gossip != "127.0.0.1:9002" {
		t.Errorf("listening at %s and %s", f.Peer, f.Gossip)
	}
	a := f.Membership.Addrs
	if a.HTTP != "db1.example:9000" || a.Peer != "db1.example:9001" || a.Gossip != "db1.example:9002" {
		t.Errorf("advertising %+v", a)
	}
}

func TestBeyondLoopbackNeedsInsecure(t *testing.T) {
	c := valid()
	c.HTTP = "10.0.0.1:7400"
	c.Insecure = true
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
