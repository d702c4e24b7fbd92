package membership

import (
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

func TestConfigValidate(t *testing.T) {
	good := Default()
	good.Name = "n1"
	good.Addrs = Addresses{Peer: "127.0.0.1:7401", Gossip: "127.0.0.1:7402"}
	good.Seeds = []string{"node.example:7402", "[::1]:7402"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field string
		spoil func(*Config)
	}{
		{"name", func(c *Config) { c.Name = "" }},
		{"name", func(c *Config) { c.Name = "a b" }},
		{"name", func(c *Config) { c.Name = strings.Repeat("n", MaxName+1) }},
		{"peer address", func(c *Config) { c.Addrs.Peer = "" }},
		{"gossip address", func(c *Config) { c.Addrs.Gossip = "127.0.0.1" }},
		{"gossip bind address", func(c *Config) { c.GossipBind = "127.0.0.1:0" }},
		{"an address", func(c *Config) { c.Addrs.Riak = strings.Repeat("h", MaxAddress+1) }},
		{"seed", func(c *Config) { c.Seeds = []string{"x:99999"} }},
		{"seeds", func(c *Config) { c.Seeds = make([]string, maxSeeds+1) }},
		{"weight", func(c *Config) { c.Weight = 0 }},
		{"weight", func(c *Config) { c.Weight = ring.MaxWeight + 1 }},
		{"zone", func(c *Config) { c.Zone = strings.Repeat("z", ring.MaxZone+1) }},
		{"q=3", func(c *Config) { c.Create = &ring.Params{N: 1, R: 1, W: 1, Q: 3} }},
		{"Block", func(c *Config) { c.Block = 1 }},
		{"ConfirmWait", func(c *Config) { c.ConfirmWait = 0 }},
	} {
		bad := good
		c.spoil(&bad)
		if err := bad.Validate(); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s: got %v", c.field, err)
		}
	}
}
