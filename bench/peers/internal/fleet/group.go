// Package fleet runs the processes of the stores that are measured: it starts
// them, has them stand still while others are measured, tells their processor
// time, and ends them. It needs Linux: /proc, and the signals of process groups.
package fleet

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const (
	// endWithin is how long processes may take to be gone when they are killed.
	endWithin = 10 * time.Second
	// pollEvery is how often Await looks.
	pollEvery = 100 * time.Millisecond
	// lookWithin bounds one look.
	lookWithin = 5 * time.Second
	// tailBytes bounds what is shown of the log of a process that failed.
	tailBytes = 2 << 10
)

// Group is the processes of one store, each with the processes that it starts.
// It is used by one goroutine.
type Group struct {
	dir   string
	procs []*process
}

// process leads a process group of its own, so that a Ctrl-C at the terminal
// reaches only us, and signals of ours all that it starts.
type process struct {
	name, log string
	cmd       *exec.Cmd
	// ended is closed when the process has, and outcome set before.
	ended   chan struct{}
	outcome error
}

// NewGroup returns a group whose processes keep data and logs under dir, which it
// makes.
func NewGroup(dir string) (*Group, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return &Group{dir: dir}, nil
}

// Dir makes the directory for the data of the process of that name and returns it.
func (g *Group) Dir(name string) (string, error) {
	dir := filepath.Join(g.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// Start starts a program, whose output goes to a log file. The kernel kills it
// when the calling thread ends: the caller's goroutine is one that is locked to
// a thread for as long as the group runs.
func (g *Group) Start(name, program string, args ...string) error {
	p := &process{name: name, log: filepath.Join(g.dir, name+".log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own copy
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.outcome = p.cmd.Wait()
		close(p.ended)
	}()
	g.procs = append(g.procs, p)
	return nil
}

// Pause has all processes stand still until Resume.
func (g *Group) Pause() error { return g.signal(syscall.SIGSTOP) }

// Resume lets all processes go on.
func (g *Group) Resume() error { return g.signal(syscall.SIGCONT) }

func (g *Group) signal(s syscall.Signal) error {
	if err := g.Check(); err != nil {
		return err
	}
	for _, p := range g.procs {
		if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
			return fmt.Errorf("send %s %v: %w", p.name, s, err)
		}
	}
	return nil
}

// Check returns an error that tells of the first process that has ended, with the
// end of its log.
func (g *Group) Check() error {
	for _, p := range g.procs {
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended: %s; the end of its log:\n%s", p.name, outcome(p.outcome), p.tail())
		default:
		}
	}
	return nil
}

// CPU implements bench.CPU: it is the processor time of all processes that are or
// were, with those that they started.
func (g *Group) CPU(context.Context) (time.Duration, error) {
	if err := g.Check(); err != nil {
		return 0, err
	}
	stats, err := groupsStats("/proc", g.leaders())
	var sum time.Duration
	for _, s := range stats {
		sum += s.used
	}
	return sum, err
}

// Await looks again and again until look finds what is awaited, for at most
// within, and gives up at once when a process has ended.
func (g *Group) Await(ctx context.Context, within time.Duration, what string, look func(context.Context) error) error {
	until := time.Now().Add(within)
	for {
		err := g.Check()
		if err != nil {
			return err
		}
		one, cancel := context.WithTimeout(ctx, lookWithin)
		err = look(one)
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case time.Now().After(until):
			return fmt.Errorf("%s: not within %v: %w; the end of %s:\n%s", what, within, err, g.procs[0].log, g.procs[0].tail())
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// Stop kills all processes, with all that they started, and waits until they are
// gone. Nothing is asked to end in order: its data goes with it, and Redis, for
// one, takes no notice of SIGTERM while it writes its first append-only file.
func (g *Group) Stop() error {
	leaders := g.leaders()
	for pid := range leaders {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it may have ended before
	}
	for _, p := range g.procs {
		<-p.ended
	}
	g.procs = nil
	for until := time.Now().Add(endWithin); ; time.Sleep(pollEvery) {
		left, err := groupsStats("/proc", leaders)
		switch {
		case err != nil:
			return err
		case !slices.ContainsFunc(left, stat.alive):
			return nil
		case time.Now().After(until):
			return fmt.Errorf("%d processes of %s are still there %v after they were killed", len(left), g.dir, endWithin)
		}
	}
}

// leaders returns the numbers of the process groups.
func (g *Group) leaders() map[int]bool {
	leaders := map[int]bool{}
	for _, p := range g.procs {
		leaders[p.cmd.Process.Pid] = true
	}
	return leaders
}

// tail returns the end of the log.
func (p *process) tail() []byte {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(b[max(0, len(b)-tailBytes):])
}

func outcome(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
