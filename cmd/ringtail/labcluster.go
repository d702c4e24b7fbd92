package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/experiment"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// besidePorts is the distance between the ports of clusters beside each other.
const besidePorts = 200

// labClusterFlags are those of experiments that start clusters.
type labClusterFlags struct {
	Port  int      `default:"7400" placeholder:"PORT" help:"HTTP port of the first node; each further node's is 10 higher (7400)."`
	Data  string   `placeholder:"DIR" help:"Where the nodes keep data and logs, made anew for each cluster and removed after it (a temporary directory)."`
	Serve []string `placeholder:"FLAG" help:"Further flags of ringtail serve for each node, such as --serve=--pprof."`
	To    string   `default:"." placeholder:"DIR" help:"Where to write the figures, as JSON, and the drawing, as SVG (here)."`
}

// play makes an experiment and writes what came of it.
func (f labClusterFlags) play(ctx context.Context, s streams, experiment func(context.Context, experiment.Lab) (experiment.Result, error)) error {
	began := time.Now()
	r, err := experiment(ctx, f.lab(s.err))
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.Write(f.To, began); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\nwritten: %s, %s\n", r.Text, filepath.Join(f.To, r.Name+".json"), filepath.Join(f.To, r.Name+".svg"))
	return err
}

func (f labClusterFlags) lab(out io.Writer) experiment.Lab {
	return experiment.Lab{Out: out, Launch: f.launch}
}

// launch implements experiment.Lab.Launch.
func (f labClusterFlags) launch(ctx context.Context, spec experiment.Spec, use func(context.Context, *experiment.Cluster) error) (err error) {
	dir, err := os.MkdirTemp(f.Data, "ringtail-lab-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
		}
	}()
	l, err := f.cluster(spec, dir)
	if err != nil {
		return err
	}
	inner, end := context.WithCancel(ctx)
	defer end()
	ready := make(chan *experiment.Cluster, 1)
	l.onReady = func() { ready <- clusterOf(l) }
	ended := make(chan error, 1)
	go func() { ended <- l.run(inner) }()
	select {
	case err := <-ended:
		return errors.Join(err, ctx.Err())
	case c := <-ready:
		if spec.Apart {
			defer setApart()()
		}
		err = use(ctx, c)
	}
	end()
	return errors.Join(err, <-ended)
}

// cluster returns the nodes of spec, not started.
func (f labClusterFlags) cluster(spec experiment.Spec, dir string) (*localCluster, error) {
	p := ring.DefaultParams()
	c := devCmd{Nodes: spec.Nodes, Port: f.Port + besidePorts*spec.Beside, Engine: spec.Engine, createFlags: createFlags{
		N: p.N, R: p.R, W: p.W, Partitions: p.Q, Partitioner: p.Partitioner.String(),
	}}
	if err := c.check(); err != nil {
		return nil, err
	}
	nodes := c.nodes()
	if err := checkDevPorts(nodes); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program's file: %w", err)
	}
	l := &localCluster{out: io.Discard, nodes: nodes, dir: dir, apart: spec.Apart}
	l.command = func(n devNode) *exec.Cmd {
		args := append(c.serveArgs(n, nodes, filepath.Join(dir, n.name), true), slices.Concat(spec.Serve, f.Serve)...)
		if n == nodes[len(nodes)-1] {
			args = append(args, spec.ServeLast...)
		}
		cmd := exec.Command(program, args...)
		cmd.Env = withoutOurs(os.Environ())
		return cmd
	}
	return l, nil
}

func clusterOf(l *localCluster) *experiment.Cluster {
	c := &experiment.Cluster{}
	for _, n := range l.nodes {
		c.Nodes = append(c.Nodes, experiment.Node{Name: n.name, HTTP: n.http, Peer: n.peer, PID: l.running[n.name].pid()})
	}
	return c
}
