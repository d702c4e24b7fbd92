package bench

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// headStart is what processes that are ready have until the load begins, so
	// that all have heard of it.
	headStart = 200 * time.Millisecond
	// partGrace is how long a process that was told to end may take.
	partGrace = 10 * time.Second
	// maxMessage bounds a message of a process: a timeline's histograms.
	maxMessage = 256 << 20
	// maxComplaint bounds what is kept of what a process writes to its standard
	// error.
	maxComplaint = 4 << 10
)

// message is what a process that makes a part of the load says, one a line, in
// JSON; one field is set.
type message struct {
	// Text is a line of progress.
	Text string `json:",omitempty"`
	// Ready: it is connected, and its keys are put.
	Ready bool `json:",omitempty"`
	// Second is what it did in the last second.
	Second *second `json:",omitempty"`
	Part   *part   `json:",omitempty"`
	// Error is why it ends, of the kind Kind.
	Error string      `json:",omitempty"`
	Kind  client.Kind `json:",omitempty"`
}

type second struct {
	Ops    uint64
	Failed uint64
	P99    time.Duration
}

// start tells processes when the load begins, by the machine's clock in
// nanoseconds since 1970.
type start struct{ Began int64 }

// process is one of those that make the load.
type process struct {
	number int
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  *bufio.Scanner
	errs   complaint
	// outcome is how it ended, once that is known.
	once    sync.Once
	outcome error
}

// RunProcesses is Run with the load made by cfg.Processes processes, which begin
// together. Each is started by command, and calls Part with its standard input and
// output; its standard error is shown when it fails. They end with ctx, and when
// this process does.
func RunProcesses(ctx context.Context, cfg Config, command func() (*exec.Cmd, error), out io.Writer) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	// What ends the processes early is the end of their input: then they tell what
	// they did until then. Those that stay are killed.
	killing, kill := context.WithCancel(context.WithoutCancel(ctx))
	defer kill()
	g, err := startProcesses(killing, cfg, command)
	defer g.end()
	if err != nil {
		return Report{}, err
	}
	defer context.AfterFunc(ctx, func() {
		g.hangUp()
		time.AfterFunc(partGrace, kill)
	})()
	if err := g.each(func(p *process) error { return p.ready(out) }); err != nil {
		return Report{}, cmp.Or(interrupted(ctx), err)
	}
	began := time.Now().Add(headStart)
	if err := g.each(func(p *process) error { return p.send(start{began.UnixNano()}) }); err != nil {
		return Report{}, err
	}
	return g.measure(ctx, cfg, began, out)
}

func interrupted(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return kv.Wrap(kv.KindTimeout, "prepare", context.Cause(ctx))
}

// group is all processes of a load.
type group struct {
	processes []*process
	mu        struct {
		sync.Mutex
		last second
	}
}

func startProcesses(ctx context.Context, cfg Config, command func() (*exec.Cmd, error)) (*group, error) {
	g := &group{}
	for i := range cfg.processes() {
		c, err := command()
		if err != nil {
			return g, err
		}
		p := &process{number: i, cmd: exec.CommandContext(ctx, c.Path, c.Args[1:]...)}
		p.cmd.Env, p.cmd.SysProcAttr, p.cmd.Stderr = c.Env, c.SysProcAttr, &p.errs
		if err := p.start(); err != nil {
			return g, fmt.Errorf("start a process of the load: %w", err)
		}
		g.processes = append(g.processes, p)
		cfg.Process = i
		if err := p.send(cfg); err != nil {
			return g, p.failed(err)
		}
	}
	return g, nil
}

func (p *process) start() error {
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	p.lines = bufio.NewScanner(out)
	p.lines.Buffer(make([]byte, 0, 64<<10), maxMessage)
	return p.cmd.Start()
}

// each calls f for all processes at once. When one fails the others end, and its
// error is returned.
func (g *group) each(f func(p *process) error) error {
	var once sync.Once
	var first error
	var running sync.WaitGroup
	for _, p := range g.processes {
		running.Go(func() {
			if err := f(p); err != nil {
				once.Do(func() {
					first = err
					g.hangUp()
				})
			}
		})
	}
	running.Wait()
	return first
}

// hangUp has all processes end.
func (g *group) hangUp() {
	for _, p := range g.processes {
		_ = p.in.Close() // one that has ended has none
	}
}

// end waits for all processes.
func (g *group) end() {
	g.hangUp()
	for _, p := range g.processes {
		_ = p.reap() // what went wrong has been told
	}
}

// reap waits for the end of a process that was told to end, and returns how it
// ended. All that it said has been read.
func (p *process) reap() error {
	p.once.Do(func() {
		_ = p.in.Close() // it may be closed
		killer := time.AfterFunc(partGrace, func() { _ = p.cmd.Process.Kill() })
		defer killer.Stop()
		p.outcome = p.cmd.Wait()
	})
	return p.outcome
}

func (g *group) measure(ctx context.Context, cfg Config, began time.Time, out io.Writer) (Report, error) {
	printing, stop := context.WithCancel(ctx)
	var printer sync.WaitGroup
	printer.Go(func() { g.progress(printing, out, cfg, began) })
	defer printer.Wait()
	defer stop()
	parts := make([]part, len(g.processes))
	return measure(ctx, cfg, began, func() ([]part, error) {
		err := g.each(func(p *process) error {
			m, err := p.wait(func(m message) bool {
				g.add(m.Second)
				return m.Part != nil
			})
			if err == nil {
				parts[p.number] = *m.Part
			}
			return err
		})
		return parts, err
	})
}

func (g *group) add(s *second) {
	if s == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.last.Ops += s.Ops
	g.mu.last.Failed += s.Failed
	g.mu.last.P99 = max(g.mu.last.P99, s.P99)
}

// progress writes what all have done in each second; the p99 is the worst process's.
func (g *group) progress(ctx context.Context, out io.Writer, cfg Config, began time.Time) {
	pause(ctx, time.Until(began)+progressEvery/2) // between what the processes tell
	every(ctx, progressEvery, func(time.Time) {
		g.mu.Lock()
		s := g.mu.last
		g.mu.last = second{}
		g.mu.Unlock()
		writeProgress(out, began.Add(cfg.WarmUp), began, time.Now(), s)
	})
}

// send writes v as a line.
func (p *process) send(v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = p.in.Write(append(b, '\n'))
	}
	return err
}

// ready waits until the process is.
func (p *process) ready(out io.Writer) error {
	_, err := p.wait(func(m message) bool {
		if m.Text != "" {
			fmt.Fprintf(out, "process %d: %s", p.number, m.Text)
		}
		return m.Ready
	})
	return err
}

// wait reads messages until done says that one is what is waited for.
func (p *process) wait(done func(message) bool) (message, error) {
	for p.lines.Scan() {
		var m message
		if err := json.Unmarshal(p.lines.Bytes(), &m); err != nil {
			return m, p.failed(fmt.Errorf("it says %.100q: %w", p.lines.Bytes(), err))
		}
		if m.Error != "" {
			return m, &client.Error{Op: p.String(), Kind: m.Kind, Err: errors.New(m.Error)}
		}
		if done(m) {
			return m, nil
		}
	}
	return message{}, p.failed(cmp.Or(p.lines.Err(), p.reap(), errors.New("it ended before it was done")))
}

// String names the process.
func (p *process) String() string { return fmt.Sprintf("process %d of the load", p.number) }

// failed returns the error that the process failed, with what it complained of.
func (p *process) failed(err error) error {
	_ = p.reap() // so that it has said all
	if said := p.errs.String(); said != "" {
		return fmt.Errorf("%v: %w; it complained:\n%s", p, err, said)
	}
	return fmt.Errorf("%v: %w", p, err)
}

// complaint keeps the beginning of what is written to it.
type complaint struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (c *complaint) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b.Write(b[:min(len(b), max(maxComplaint-c.b.Len(), 0))])
	return len(b), nil
}

// String returns what was kept.
func (c *complaint) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}
