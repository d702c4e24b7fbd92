package main

import (
	"context"
	"net/http"
)

// deleteCmd is ringtail delete.
type deleteCmd struct {
	updateFlags
	R *int `help:"Replicas to ask what there is to delete, 1 to N (the bucket's)." placeholder:"COUNT"`
}

// Help is shown by ringtail delete --help.
func (deleteCmd) Help() string {
	return `With a context it deletes what that get showed; without one, what a quorum of the owners shows
now. A value that is put at the same time survives. Deleting a key that has no value is no error.

Examples:

    ringtail delete cart
    ringtail delete cart --context-file cart.ctx`
}

// Run carries out the command.
func (c *deleteCmd) Run(ctx context.Context, s streams) error {
	q, err := c.question(http.MethodDelete)
	if err != nil {
		return err
	}
	setCount(q, "r", c.R)
	return c.send(ctx, s, q)
}
