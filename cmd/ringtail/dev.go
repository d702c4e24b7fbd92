package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/ringtaildb/ringtail/internal/node"
)

const (
	// devHost is where the nodes of ringtail dev listen.
	devHost = "127.0.0.1"
	// devStride is the distance between the HTTP ports of two nodes.
	devStride = 10
	// maxDevNodes bounds the nodes of one machine.
	maxDevNodes = 64
	// devData is where the nodes keep their data unless told otherwise.
	devData = "ringtail-dev"
)

// devCmd is ringtail dev.
type devCmd struct {
	Nodes  int    `default:"3" placeholder:"COUNT" help:"How many nodes (3)."`
	Port   int    `default:"7400" placeholder:"PORT" help:"HTTP port of the first; each further node's is 10 higher (7400)."`
	Data   string `placeholder:"DIR" help:"Where the nodes keep data and logs (ringtail-dev)."`
	Engine string `default:"${engine}" enum:"auto,logstore,pebble,memory" placeholder:"ENGINE" help:"logstore, pebble or memory, or auto: what the data directory has, logstore in an empty one (${engine})."`

	RESPFlush bool `name:"resp-flush" help:"Allow FLUSHALL and FLUSHDB: for tests."`
	createFlags
}

// Help is shown by ringtail dev --help.
func (devCmd) Help() string {
	return `Prints a table of the nodes, and the word ready once all of them can serve. Kill a node and watch:
dev says so and goes on without it. Redis's clients find each node at its HTTP port + 3. Ctrl-C ends
them all; the next start on the same --data finds everything where it was.

Examples:

    ringtail dev
    ringtail dev --nodes 5 --port 8400 --data /tmp/ring
    ringtail dev --engine memory`
}

// Run carries out the command.
func (c *devCmd) Run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program's file: %w", err)
	}
	nodes := c.nodes()
	if err := checkDevPorts(nodes); err != nil {
		return err
	}
	dir, done, err := c.dir()
	if err != nil {
		return err
	}
	first := c.Engine == node.EngineMemory || !hasMark(dir)
	l := &localCluster{out: s.out, nodes: nodes, dir: dir}
	l.command = func(n devNode) *exec.Cmd {
		cmd := exec.Command(program, c.serveArgs(n, nodes, filepath.Join(dir, n.name), first)...)
		cmd.Env = withoutOurs(os.Environ())
		return cmd
	}
	err = l.run(ctx)
	return errors.Join(err, done(err))
}

// check returns an error of usage that names the flag that is wrong.
func (c *devCmd) check() error {
	last := c.Port + devStride*(c.Nodes-1) + lastPort
	switch {
	case c.Nodes < 1 || c.Nodes > maxDevNodes:
		return usagef("--nodes: %d is not within 1 to %d", c.Nodes, maxDevNodes)
	case c.Port < 1 || last > 65535:
		return usagef("--port: %d to %d are not within 1 to 65535", c.Port, last)
	}
	_, err := c.params()
	return err
}

// devNode is one node of ringtail dev.
type devNode struct{ name, http, peer, gossip, resp, riak string }

func (c *devCmd) nodes() []devNode {
	nodes := make([]devNode, c.Nodes)
	for i := range nodes {
		http := shift(devHost+":0", c.Port+devStride*i)
		nodes[i] = devNode{
			name: "n" + strconv.Itoa(i+1),
			http: http, peer: shift(http, peerPort), gossip: shift(http, gossipPort),
			resp: shift(http, respPort), riak: shift(http, riakPort),
		}
	}
	return nodes
}

// checkDevPorts returns an error that names the first port that is in use.
func checkDevPorts(nodes []devNode) error {
	for _, n := range nodes {
		ports := []port{{"http", n.http, false}, {"peer", n.peer, false}, {"gossip", n.gossip, true}, {"resp", n.resp, false}, {"riak", n.riak, false}}
		for _, p := range ports {
			if err := p.check(); err != nil {
				return fmt.Errorf("%s cannot listen at its %s address %s: %w; choose other ports with --port",
					n.name, p.flag, p.addr, inPlainWords(err))
			}
		}
	}
	return nil
}

// dir makes the directory for data and logs. What done does is to be done once
// the nodes have ended with err: logs of nodes that kept no data go, unless
// they tell what went wrong.
func (c *devCmd) dir() (dir string, done func(err error) error, err error) {
	keep := func(error) error { return nil }
	if c.Engine == node.EngineMemory && c.Data == "" {
		dir, err := os.MkdirTemp("", "ringtail-dev-")
		return dir, func(err error) error {
			if err != nil {
				return nil
			}
			return os.RemoveAll(dir)
		}, err
	}
	dir = c.Data
	if dir == "" {
		dir = devData
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", keep, usagef("--data: %w", err)
	}
	return dir, keep, nil
}

// serveArgs returns the command line of a node.
func (c *devCmd) serveArgs(n devNode, all []devNode, data string, first bool) []string {
	args := []string{"serve", "--supervised", "--name", n.name, "--http", n.http, "--engine", c.Engine, "--data", data}
	if c.RESPFlush {
		args = append(args, "--resp-flush")
	}
	if first && n == all[0] {
		return append(args, "--create",
			"--n", strconv.Itoa(c.N), "--r", strconv.Itoa(c.R), "--w", strconv.Itoa(c.W),
			"--partitions", strconv.Itoa(c.Partitions), "--partitioner", c.Partitioner)
	}
	var seeds []string
	for _, other := range all {
		if other != n {
			seeds = append(seeds, other.gossip)
		}
	}
	if len(seeds) == 0 {
		return args
	}
	return append(args, "--seeds", strings.Join(seeds, ","))
}

// withoutOurs returns an environment without our variables, which are meant
// for a node that is started by hand.
func withoutOurs(env []string) []string {
	var rest []string
	for _, e := range env {
		if !strings.HasPrefix(e, "RINGTAIL_") {
			rest = append(rest, e)
		}
	}
	return rest
}
