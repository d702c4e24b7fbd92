package main

import (
	"strings"

	"github.com/ringtaildb/ringtail/internal/bench"
)

// benchDrawCmd is ringtail bench draw.
type benchDrawCmd struct {
	Reports []string `arg:"" placeholder:"LABEL=REPORT.json" help:"What ringtail bench --save or --json wrote, and what it is called."`
	Out     string   `required:"" placeholder:"FILE.svg" help:"Where the drawing goes."`
	Series  string   `default:"p99.9" enum:"percentiles,throughput,errors,p50,p99,p99.9,max,behind" placeholder:"NAME" help:"What is drawn: percentiles, throughput, errors, p50, p99, p99.9, max or behind (p99.9)."`
	Against string   `default:"time" enum:"time,load" placeholder:"NAME" help:"Over time, a line for each run; or over the load, the rate or the callers, a point for each run (time)."`
	Kind    string   `placeholder:"NAME" help:"One kind of operation, as the report names it (all)."`
	Title   string   `placeholder:"TEXT" help:"What stands above it."`
	LogY    bool     `name:"log-y" help:"The y axis in powers of ten."`
}

// Help is shown by ringtail bench draw --help.
func (benchDrawCmd) Help() string {
	return `Draws several reports over one another as an SVG picture. A file may hold several runs.

Examples:

    ringtail bench draw --out buffering.svg --kind update durable=durable.json buffered=buffered.json
    ringtail bench draw --out overload.svg --series throughput --against load before=old.json after=new.json`
}

// Run carries out the command.
func (c *benchDrawCmd) Run() error {
	var all []bench.Report
	for _, arg := range c.Reports {
		label, path, ok := strings.Cut(arg, "=")
		if !ok || label == "" || path == "" {
			return usagef("%q is not LABEL=REPORT.json", arg)
		}
		reports, err := readReports(path)
		if err != nil {
			return err
		}
		for _, r := range reports {
			r.Label = label
			all = append(all, r)
		}
	}
	title := c.Title
	if title == "" {
		title = c.Series
		if c.Kind != "" {
			title += " of " + c.Kind
		}
	}
	drawing, err := bench.Draw(bench.Drawing{
		Title: title, Series: bench.Series(c.Series), Against: bench.Against(c.Against), Kind: c.Kind, LogY: c.LogY,
	}, all)
	if err != nil {
		return err
	}
	return draw(c.Out, drawing)
}
