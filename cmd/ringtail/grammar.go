package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/ringtaildb/ringtail/internal/node"
)

// grammar is the command line: one field for each subcommand.
type grammar struct {
	Dev        devCmd        `cmd:"" help:"Run a cluster on this machine, each node a process of its own."`
	Serve      serveCmd      `cmd:"" help:"Run one node."`
	Get        getCmd        `cmd:"" help:"Print the value of a key."`
	Put        putCmd        `cmd:"" help:"Set the value of a key."`
	Delete     deleteCmd     `cmd:"" help:"Delete a key."`
	Status     statusCmd     `cmd:"" help:"Show the cluster and how it fares."`
	Repair     repairCmd     `cmd:"" help:"Bring a node's copies in line with their other owners', now."`
	Scrub      scrubCmd      `cmd:"" help:"Read and check all that a node stores, now."`
	Cluster    clusterCmd    `cmd:"" help:"Plan and make changes to the cluster."`
	BucketType bucketTypeCmd `cmd:"" name:"bucket-type" help:"Types of buckets, for clients of Riak."`
	Bench      benchCmd      `cmd:"" help:"Measure a cluster under load."`
	Lab        labCmd        `cmd:"" help:"Experiments: on the ring itself, and on clusters of this machine."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// Help is shown by ringtail --help.
func (grammar) Help() string {
	return `Examples:

    ringtail dev                 # three nodes, at 127.0.0.1:7400, :7410 and :7420
    ringtail put cart 2-socks    # in another terminal
    ringtail get cart
    ringtail status

Exit status:

    0  done
    1  an error, or no such key
    2  a flag, an argument or the configuration is not valid
    3  the key has siblings: values put at the same time, for you to merge`
}

// run carries out one command line and returns the exit status. What goes wrong
// is told on s.err.
func run(ctx context.Context, args []string, s streams) int {
	status := exitOK
	if len(args) == 0 {
		args, status = []string{"--help"}, exitUsage
	}
	helped := false
	parser, err := newParser(ctx, &grammar{}, s, func(int) { helped = true })
	if err != nil {
		panic("ringtail: the grammar is wrong: " + err.Error())
	}
	line, err := parser.Parse(args)
	switch {
	case helped:
		return status
	case err != nil:
		complain(s, err)
		return exitUsage
	}
	if err := line.Run(); err != nil {
		report(s, err)
		return exitStatus(err)
	}
	return exitOK
}

// newParser returns a parser that fills g. It calls exit after it has shown a
// help text.
func newParser(ctx context.Context, g *grammar, s streams, exit func(int)) (*kong.Kong, error) {
	return kong.New(g,
		kong.Name("ringtail"),
		kong.Description("An always-writable key-value store."),
		kong.Writers(s.out, s.err),
		kong.Exit(exit),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(s),
		kong.Vars{"engine": node.DefaultEngine},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		// serve says once that each flag is a variable too.
		kong.ValueFormatter(func(v *kong.Value) string { return v.Help }),
	)
}

// complain tells what is wrong with a command line, and where to read more.
func complain(s streams, err error) {
	command := "ringtail"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Selected() != nil {
		command = parse.Context.Selected().FullPath()
	}
	fmt.Fprintf(s.err, "%s: %v\nsee %s --help\n", command, err, command)
}
