package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

const (
	// endWithin bounds the time that nodes are given to end by themselves: more
	// than a node's own bounds for draining add up to.
	endWithin = 20 * time.Second
	// markFile lies beside the nodes' directories once they have been a
	// cluster: the next start makes none.
	markFile = "made-by-ringtail-dev"
)

// localCluster runs nodes as processes of their own. Its one goroutine beside
// the caller's, and the processes, end before run returns.
type localCluster struct {
	out   io.Writer
	nodes []devNode
	// dir holds the logs.
	dir string
	// command returns the command that runs a node.
	command func(devNode) *exec.Cmd
	// onReady, if set, is called once all nodes serve; it does not block.
	onReady func()
	// apart has the nodes share the first processor.
	apart bool

	running map[string]*child
	// exits takes the children that have ended, all of them without waiting.
	exits chan *child
}

// run runs the nodes until ctx ends, and returns nil then. It returns an error
// when the cluster does not come to be ready.
func (l *localCluster) run(ctx context.Context) (err error) {
	// A child is told of the death of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l.running = make(map[string]*child)
	l.exits = make(chan *child, len(l.nodes))
	defer func() { err = errors.Join(err, l.end()) }()
	if l.apart {
		defer onFirst()()
	}
	for _, n := range l.nodes {
		c, err := startChild(n, l.command(n), filepath.Join(l.dir, n.name+".log"), l.exits)
		if err != nil {
			return fmt.Errorf("start %s: %w", n.name, err)
		}
		l.running[n.name] = c
	}
	l.printTable()
	if err := l.awaitReady(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := makeMark(l.dir); err != nil {
		return err
	}
	fmt.Fprintln(l.out, "ready")
	if l.onReady != nil {
		l.onReady()
	}
	l.watch(ctx)
	return nil
}

func (l *localCluster) printTable() {
	t := newTable(left("NODE"), left("HTTP"), left("PEER"), left("GOSSIP"), right("PID"), left("LOG"))
	for _, n := range l.nodes {
		c := l.running[n.name]
		t.row(n.name, n.http, n.peer, n.gossip, fmt.Sprint(c.pid()), c.log)
	}
	t.print(l.out)
}

// awaitReady returns nil once the cluster can serve, or ctx has ended, and an
// error when a node ends first.
func (l *localCluster) awaitReady(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	news, done := make(chan string), make(chan error, 1)
	go func() { done <- newGathering(l.nodes, news).run(inner) }()
	defer cancel()
	for {
		select {
		case text := <-news:
			fmt.Fprintln(l.out, text)
		case c := <-l.exits:
			delete(l.running, c.node.name)
			cancel()
			<-done
			return c.failure()
		case err := <-done:
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// watch tells of nodes that end, until ctx does.
func (l *localCluster) watch(ctx context.Context) {
	for {
		select {
		case c := <-l.exits:
			delete(l.running, c.node.name)
			fmt.Fprintf(l.out, "%v\n", c)
			if len(l.running) == 0 {
				fmt.Fprintln(l.out, "no node is left; Ctrl-C ends this, and the next start finds their data")
			}
		case <-ctx.Done():
			return
		}
	}
}

// end ends the nodes that still run and waits for them. Those that do not end
// by themselves are killed.
func (l *localCluster) end() error {
	for _, c := range l.running {
		c.end()
	}
	late := time.NewTimer(endWithin)
	defer late.Stop()
	var killed []error
	for len(l.running) > 0 {
		select {
		case c := <-l.exits:
			delete(l.running, c.node.name)
		case <-late.C:
			for _, c := range l.running {
				killed = append(killed, fmt.Errorf("%s (pid %d) did not end within %v and was killed", c.node.name, c.pid(), endWithin))
				c.kill()
			}
		}
	}
	return errors.Join(killed...)
}

// makeMark notes that the nodes of dir are a cluster.
func makeMark(dir string) error {
	return os.WriteFile(filepath.Join(dir, markFile), []byte("The nodes beside this file are one cluster.\n"), 0o644)
}

func hasMark(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markFile))
	return err == nil
}
