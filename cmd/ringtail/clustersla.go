package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// slaCmd is ringtail cluster sla.
type slaCmd struct {
	addrFlags
	SLA  slaChange `arg:"" optional:"" name:"sla" help:"What requests are to be held to, such as \"99.9% of puts < 300ms\"; the word default takes it back."`
	Show bool      `help:"Show what is set; without an SLA the command does nothing else."`
}

// Help is shown by ringtail cluster sla --help.
func (slaCmd) Help() string {
	return `Sets the objectives that it names for all buckets without one of their own, and shows what is set.
Each node holds the requests that clients bring to it to them, minute by minute: see ringtail status.
An objective names a share of gets, puts, or both, and the time that they are to take less than. For
one bucket: ringtail cluster props BUCKET --sla.

Examples:

    ringtail cluster sla --show
    ringtail cluster sla "99.9% of puts < 300ms"
    ringtail cluster sla "99.9% of gets < 20ms, 99% of puts < 50ms"
    ringtail cluster sla default`
}

// Run carries out the command.
func (c *slaCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	if c.SLA.given {
		body, err := json.Marshal(map[string]any{"sla": c.SLA.value()})
		if err != nil {
			return err
		}
		if _, err := d.ask(ctx, question{method: http.MethodPut, path: "/cluster/sla", body: body, timeout: pageTimeout}); err != nil {
			return err
		}
	}
	var page httpapi.SLAView
	if err := d.get(ctx, "/cluster/sla", &page); err != nil {
		return err
	}
	t := newTable(left("BUCKET"), left("GETS"), left("PUTS"))
	t.row("(cluster)", objective(page.SLA.Get), objective(page.SLA.Put))
	for _, name := range slices.Sorted(maps.Keys(page.Buckets)) {
		b := page.Buckets[name]
		t.row(name, objective(b.Get), objective(b.Put))
	}
	t.print(s.out)
	return nil
}

// objective shows an objective in a cell, which stays empty for none.
func objective(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// slaChange is an SLA on the command line, or the word for none.
type slaChange struct {
	given bool
	sla   kv.SLA
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *slaChange) UnmarshalText(text []byte) error {
	c.given = true
	if string(text) == "default" {
		return nil
	}
	sla, err := kv.ParseSLA(string(text))
	if err != nil {
		return fmt.Errorf("%w, or the word default", err)
	}
	c.sla = sla
	return nil
}

// value is what a request says: nil takes an SLA back.
func (c *slaChange) value() any {
	if c.sla == (kv.SLA{}) {
		return nil
	}
	return c.sla.String()
}
