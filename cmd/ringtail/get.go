package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// getCmd is ringtail get.
type getCmd struct {
	keyFlags
	R           *int   `help:"Replicas to hear before answering, 1 to N (the bucket's)." placeholder:"COUNT"`
	ContextFile string `help:"Write the context to FILE, for the next put." placeholder:"FILE"`
}

// Help is shown by ringtail get --help.
func (getCmd) Help() string {
	return `The value goes to standard output byte for byte. A key that has none is exit status 1.

Values that were put at the same time are siblings: each is printed below a line that begins with
---, their context goes to standard error, and the exit status is 3. With --json they come as
{"context":"...","siblings":[{"value":"<base64>",...}]}, as does a single value.

Examples:

    ringtail get cart
    ringtail get cart --context-file cart.ctx > cart.txt
    ringtail get cart --r 1 --json`
}

// Run carries out the command.
func (c *getCmd) Run(ctx context.Context, s streams) error {
	q, err := c.question(http.MethodGet)
	if err != nil {
		return err
	}
	setCount(q, "r", c.R)
	d, err := c.door()
	if err != nil {
		return err
	}
	a, err := d.ask(ctx, q)
	if missing := noValue(err); err != nil && !missing {
		return err
	}
	v, err := a.values()
	if err != nil {
		return err
	}
	if err := keepContext(c.ContextFile, v); err != nil {
		return err
	}
	if c.JSON {
		err = v.printJSON(s, string(c.Key))
	} else {
		err = v.print(s, string(c.Key))
	}
	if err == nil && len(v.Siblings) == 0 {
		err = fmt.Errorf("get: %q has no value in bucket %q", c.Key, c.Bucket)
	}
	return err
}

// noValue tells whether err says that a key has no value.
func noValue(err error) bool {
	told, ok := errors.AsType[*answerError](err)
	return ok && told.kind == kv.KindNotFound
}
