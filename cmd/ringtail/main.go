// Command ringtail runs nodes of a Ringtail cluster and asks them for things:
// dev and serve start nodes, get, put and delete use keys, status and cluster
// show and change who belongs to it, bench measures it (DESIGN section 9, and
// the reference in docs/cli.md).
//
// Each file named after a subcommand holds that subcommand and nothing else. A
// subcommand loads its flags, calls the package that does the work, and shows
// what came of it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// streams are the standard streams of the process, or what a test puts in
// their place.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// sameSignal is how long after the first signal another one counts as the same:
// timeout(1), for one, signals the process and then its group.
const sameSignal = 500 * time.Millisecond

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		lengthenNaps() // which begins anew: before anything else
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal another one has its usual effect: it ends the
	// process at once.
	context.AfterFunc(ctx, func() { time.AfterFunc(sameSignal, stop) })
	os.Exit(run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
