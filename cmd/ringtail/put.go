package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// putCmd is ringtail put.
type putCmd struct {
	updateFlags
	Value       *raw   `arg:"" optional:"" help:"The value, or - for what standard input holds."`
	File        string `help:"Take the value from FILE." placeholder:"FILE"`
	ContentType string `help:"What the value is (application/octet-stream)." placeholder:"TYPE"`
	TTL         string `name:"ttl" help:"How long the value lives, or none: for ever (the bucket's)." placeholder:"DURATION"`
}

// Help is shown by ringtail put --help.
func (putCmd) Help() string {
	return `A put without a context never replaces anything that it has not seen: when the key has a value
already, both are kept as siblings. Give the context that get returned to replace what it showed.

Examples:

    ringtail put cart 2-socks
    ringtail get cart --context-file cart.ctx
    ringtail put cart 2-socks,1-hat --context-file cart.ctx
    ringtail put photo --file cat.jpg --content-type image/jpeg --w 3
    ringtail put session --ttl 30m --file session.json
    echo hello | ringtail put greeting -`
}

// Run carries out the command.
func (c *putCmd) Run(ctx context.Context, s streams) error {
	q, err := c.question(http.MethodPut)
	if err != nil {
		return err
	}
	if q.body, err = c.value(s.in); err != nil {
		return err
	}
	if c.ContentType != "" {
		q.header.Set("Content-Type", c.ContentType)
	}
	if err := setTTL(q, c.TTL); err != nil {
		return err
	}
	return c.send(ctx, s, q)
}

// setTTL sets the query parameter of a time to live, if one is given.
func setTTL(q question, ttl string) error {
	if ttl == "" {
		return nil
	}
	if ttl != "none" {
		d, err := time.ParseDuration(ttl)
		if err != nil || d < time.Millisecond || d%time.Millisecond != 0 {
			return usagef("--ttl: %q is neither none nor a whole number of milliseconds, as 90s or 36h", ttl)
		}
		ttl = strconv.FormatInt(d.Milliseconds(), 10)
	}
	q.query.Set("ttl", ttl)
	return nil
}

// value returns the value to put. It reads no more than one byte past the
// limit.
func (c *putCmd) value(in io.Reader) ([]byte, error) {
	switch {
	case c.Value != nil && c.File != "":
		return nil, usagef("--file: not together with a value")
	case c.File != "":
		f, err := os.Open(c.File)
		if err != nil {
			return nil, usagef("--file: %w", errors.Unwrap(err))
		}
		defer f.Close()
		return readValue(f)
	case c.Value == nil:
		return nil, usagef("put: there is no value; give one, or - for standard input, or --file")
	case *c.Value == "-":
		return readValue(in)
	}
	return []byte(*c.Value), nil
}

func readValue(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, kv.MaxValue+1))
	if err == nil && len(b) > kv.MaxValue {
		err = kv.Errorf(kv.KindTooLarge, "put", "the value has more than %d bytes, the limit", kv.MaxValue)
	}
	return b, err
}
