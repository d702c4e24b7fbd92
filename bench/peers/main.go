// Command peers puts Ringtail and other stores that acknowledge from more than
// one node under the same load, in turn, on this machine, and prints how they
// compare: docs/peers.md says how it is done, and has the figures.
//
//	go run .
//	go run . -rounds 5 -json peers.json -doc ../../docs/peers.md
//
// It runs in its own directory, on Linux, and needs redis-server; it builds the
// others. It takes some twelve minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// The kernel kills the servers with the thread that started them: that is to
	// be this one, which lives as long as the process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case interrupted && err != nil:
		fmt.Fprintln(os.Stderr, "peers: interrupted:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}
