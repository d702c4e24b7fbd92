package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// propsCmd is ringtail cluster props.
type propsCmd struct {
	addrFlags
	Bucket raw            `arg:"" help:"The bucket's name."`
	R      *int           `help:"Replicas that a get waits for, 1 to N." placeholder:"COUNT"`
	W      *int           `help:"Replicas that must have applied a put, 1 to N." placeholder:"COUNT"`
	DW     *string        `name:"dw" help:"Replicas that must have a put on disk, 0 to N, or the word w: as many as must have applied it." placeholder:"COUNT"`
	TTL    *time.Duration `name:"ttl" help:"How long values live that are put without a time of their own; 0s for ever." placeholder:"DURATION"`
	SLA    *slaChange     `name:"sla" help:"What requests of this bucket are held to, such as \"99.9% of puts < 300ms\"; default for the cluster's." placeholder:"SLA"`
	Merge  *string        `help:"siblings, to keep all that was put at once, or lww, to keep the last write." placeholder:"RULE"`
}

// Help is shown by ringtail cluster props --help.
func (propsCmd) Help() string {
	return `Shows the properties, after it has changed those that are given.

Examples:

    ringtail cluster props default
    ringtail cluster props carts --sla "99.9% of puts < 50ms"
    ringtail cluster props sessions --merge lww --dw 0 --ttl 36h`
}

// Run carries out the command.
func (c *propsCmd) Run(ctx context.Context, s streams) error {
	bucket := string(c.Bucket)
	if err := kv.CheckBucket(bucket); err != nil {
		return err
	}
	d, err := c.door()
	if err != nil {
		return err
	}
	path := "/buckets/" + escape(bucket) + "/props"
	changes, err := c.changes()
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		body, err := json.Marshal(map[string]any{"props": changes})
		if err != nil {
			return err
		}
		if _, err := d.ask(ctx, question{method: http.MethodPut, path: path, body: body, timeout: pageTimeout}); err != nil {
			return err
		}
	}
	a, err := d.ask(ctx, question{method: http.MethodGet, path: path, timeout: pageTimeout})
	if err != nil {
		return err
	}
	_, err = s.out.Write(a.body)
	return err
}

// changes returns the properties that the command line gives.
func (c *propsCmd) changes() (map[string]any, error) {
	m := make(map[string]any)
	if c.R != nil {
		m["r"] = *c.R
	}
	if c.W != nil {
		m["w"] = *c.W
	}
	if c.Merge != nil {
		m["merge"] = *c.Merge
	}
	if c.TTL != nil {
		if *c.TTL < 0 || *c.TTL%time.Millisecond != 0 {
			return nil, usagef("--ttl: %v is no whole number of milliseconds", *c.TTL)
		}
		m["ttl"] = c.TTL.Milliseconds()
	}
	if c.SLA != nil {
		m["sla"] = c.SLA.value()
	}
	switch {
	case c.DW == nil:
	case *c.DW == "w":
		m["dw"] = nil
	default:
		count, err := strconv.Atoi(*c.DW)
		if err != nil {
			return nil, usagef("--dw: %q is neither a number nor w", *c.DW)
		}
		m["dw"] = count
	}
	return m, nil
}
