package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

const (
	// tailLines and tailBytes bound what is shown of the log of a node that
	// failed.
	tailLines = 10
	tailBytes = 16 << 10
)

// child is the process of a node. It holds the far end of the node's standard
// input, so that the node ends with this process, however this one ends.
type child struct {
	node  devNode
	cmd   *exec.Cmd
	stdin io.Closer
	// log is the node's log file, of which this run's lines begin at logStart.
	log      string
	logStart int64
	// outcome is how the process ended; it is set before the child is sent to
	// exits.
	outcome string
}

// startChild starts cmd, whose output it appends to the file log. When the
// process has ended the child goes to exits, which must have room for it.
func startChild(n devNode, cmd *exec.Cmd, log string, exits chan<- *child) (*child, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	// The process has its own copy from Start on.
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	c := &child{node: n, cmd: cmd, log: log, logStart: info.Size()}
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.outcome = "exit status 0"
		if err := cmd.Wait(); err != nil {
			c.outcome = err.Error()
		}
		exits <- c
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// end asks the process to end: by the signal, or, where there are none, by the
// end of its input.
func (c *child) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.stdin.Close()
}

func (c *child) kill() { _ = c.cmd.Process.Kill() }

// String tells how the process ended.
func (c *child) String() string {
	return fmt.Sprintf("%s (pid %d) ended: %s", c.node.name, c.pid(), c.outcome)
}

// failure returns the error that the process ended too early, with the end of
// its log.
func (c *child) failure() error {
	tail, err := c.tail()
	if err != nil {
		tail = []byte("    " + err.Error())
	}
	return fmt.Errorf("%v, before the cluster was ready; the end of %s:\n%s", c, c.log, tail)
}

// tail returns the last lines that this run wrote to the log, indented.
func (c *child) tail() ([]byte, error) {
	f, err := os.Open(c.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	from := max(c.logStart, info.Size()-tailBytes)
	b, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	lines = lines[max(0, len(lines)-tailLines):]
	return append([]byte("    "), bytes.Join(lines, []byte("\n    "))...), nil
}
