package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// putCmd is ringtail put.
type putCmd struct {
	updateFlags
	Value       *raw   `arg:"" optional:"" help:"The value, or - for what standard input holds."`
	File        string `help:"Take the value from FILE." placeholder:"FILE"`
	ContentType string `help:"What the value is (application/octet-stream)." placeholder:"TYPE"`
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
	return c.send(ctx, s, q)
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
