package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
)

// bucketTypeCmd is ringtail bucket-type: what riak-admin bucket-type does.
type bucketTypeCmd struct {
	Create   typeCreateCmd   `cmd:"" help:"Make a type; it can be used at once."`
	Update   typeUpdateCmd   `cmd:"" help:"Change properties of a type."`
	Activate typeActivateCmd `cmd:"" help:"Nothing but check that there is such a type, as scripts for Riak expect."`
	Status   typeStatusCmd   `cmd:"" help:"Show the properties of a type."`
	List     typeListCmd     `cmd:"" help:"List the types."`
}

// typeFlags name a type.
type typeFlags struct {
	addrFlags
	Type raw `arg:"" help:"The type's name."`
}

func (f typeFlags) path() string { return "/types/" + escape(string(f.Type)) + "/props" }

// show prints the type's properties.
func (f typeFlags) show(ctx context.Context, s streams) error {
	d, err := f.door()
	if err != nil {
		return err
	}
	a, err := d.ask(ctx, question{method: http.MethodGet, path: f.path(), timeout: pageTimeout})
	if err != nil {
		return err
	}
	_, err = s.out.Write(a.body)
	return err
}

// typeProps are properties as the command line gives them.
type typeProps struct {
	Props string `arg:"" optional:"" help:"The properties, as JSON: {\"props\":{\"allow_mult\":true}}."`
}

// set sends the properties of a type and shows what they are then.
func (p typeProps) set(ctx context.Context, s streams, f typeFlags, query url.Values) error {
	body := []byte(p.Props)
	if p.Props == "" {
		body = []byte(`{"props":{}}`)
	}
	if !json.Valid(body) {
		return usagef("<props>: %s is no JSON", body)
	}
	d, err := f.door()
	if err != nil {
		return err
	}
	q := question{method: http.MethodPut, path: f.path(), query: query, body: body, timeout: pageTimeout}
	if _, err := d.ask(ctx, q); err != nil {
		return err
	}
	return f.show(ctx, s)
}

// typeCreateCmd is ringtail bucket-type create.
type typeCreateCmd struct {
	typeFlags
	typeProps
}

// Help is shown by ringtail bucket-type create --help.
func (typeCreateCmd) Help() string {
	return `Buckets of a type have its properties, and nothing else in common with buckets of the same name. A
type is for good. Only clients of Riak and /types/ of the HTTP door reach such buckets.

Examples:

    ringtail bucket-type create carts '{"props":{"allow_mult":true}}'
    ringtail bucket-type create sessions '{"props":{"last_write_wins":true,"ttl":1800}}'`
}

// Run carries out the command.
func (c *typeCreateCmd) Run(ctx context.Context, s streams) error {
	return c.set(ctx, s, c.typeFlags, url.Values{"create": {"true"}})
}

// typeUpdateCmd is ringtail bucket-type update.
type typeUpdateCmd struct {
	typeFlags
	typeProps
}

// Help is shown by ringtail bucket-type update --help.
func (typeUpdateCmd) Help() string {
	return `Shows the properties, after it has changed those that are given. The type's buckets follow, but for those
with properties of their own.

Examples:

    ringtail bucket-type update carts '{"props":{"r":1}}'`
}

// Run carries out the command.
func (c *typeUpdateCmd) Run(ctx context.Context, s streams) error {
	return c.set(ctx, s, c.typeFlags, nil)
}

// typeActivateCmd is ringtail bucket-type activate.
type typeActivateCmd struct{ typeFlags }

// Help is shown by ringtail bucket-type activate --help.
func (typeActivateCmd) Help() string {
	return `In Ringtail a type can be used once it is made.

Examples:

    ringtail bucket-type activate carts`
}

// Run carries out the command.
func (c *typeActivateCmd) Run(ctx context.Context, s streams) error { return c.show(ctx, s) }

// typeStatusCmd is ringtail bucket-type status.
type typeStatusCmd struct{ typeFlags }

// Help is shown by ringtail bucket-type status --help.
func (typeStatusCmd) Help() string {
	return `Prints JSON, in Riak's form.

Examples:

    ringtail bucket-type status carts`
}

// Run carries out the command.
func (c *typeStatusCmd) Run(ctx context.Context, s streams) error { return c.show(ctx, s) }

// typeListCmd is ringtail bucket-type list.
type typeListCmd struct{ addrFlags }

// Help is shown by ringtail bucket-type list --help.
func (typeListCmd) Help() string {
	return `The type default is that of buckets without one.

Examples:

    ringtail bucket-type list`
}

// Run carries out the command.
func (c *typeListCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	var v struct{ Types []string }
	if err := d.get(ctx, "/types", &v); err != nil {
		return err
	}
	for _, t := range v.Types {
		fmt.Fprintln(s.out, t)
	}
	return nil
}
