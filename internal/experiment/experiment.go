// Package experiment plays the paper's experiments, and those by which Ringtail
// proves what it says of its tail, on clusters of this machine: write buffering
// (§6.1, figure 5), overload, work in the background (§6.5). Each starts a
// cluster of its own, loads it, disturbs it if that is its subject, and tells
// what came of it as numbers and as a drawing.
//
// An experiment is a file: a Config with Default and Validate, and a function
// that takes a Lab and returns a Result. The command line gives it a Lab and
// writes the Result.
package experiment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ringtaildb/ringtail/internal/chart"
)

// Lab is where experiments are made.
type Lab struct {
	// Launch runs a cluster: it starts one, calls use when all its nodes serve, and
	// ends it when use returns, whose error it returns.
	Launch func(ctx context.Context, spec Spec, use func(context.Context, *Cluster) error) error
	// Out takes lines of progress.
	Out io.Writer
}

// Spec describes a cluster of nodes on this machine, each a process of its own.
type Spec struct {
	// Nodes is how many there are, Engine what they store their data in. N is 3,
	// R and W are 2.
	Nodes  int
	Engine string
	// Beside is the number of clusters beside which it runs.
	Beside int
	// Serve are further flags of ringtail serve, for each node.
	Serve []string
	// ServeLast are further ones for the last node alone.
	ServeLast []string
	// Apart has the nodes share the first processor, and leaves the others to the
	// load: so the load does not take what it is to measure. It does nothing where
	// there is one processor only, or where the system cannot.
	Apart bool
}

// say tells a line of progress.
func (l Lab) say(format string, args ...any) { fmt.Fprintf(l.Out, format+"\n", args...) }

// Result is what an experiment found.
type Result struct {
	// Name is that of its files.
	Name string
	// Text says it in some lines, Data in numbers, as JSON.
	Text string
	Data any
	// Charts are drawn below each other.
	Charts []chart.Chart
}

// document is the JSON of a Result.
type document struct {
	Experiment string    `json:"experiment"`
	Began      time.Time `json:"began"`
	Data       any       `json:"data"`
}

// Write writes NAME.json and NAME.svg, for the experiment that began then, into a
// directory.
func (r Result) Write(dir string, began time.Time) error {
	b, err := json.MarshalIndent(document{r.Name, began.UTC().Truncate(time.Second), r.Data}, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, r.Name+".json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	var svg bytes.Buffer
	if err := chart.Stack(&svg, r.Charts...); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, r.Name+".svg"), svg.Bytes(), 0o644)
}
