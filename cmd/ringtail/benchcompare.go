package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/ringtaildb/ringtail/internal/bench"
)

// benchCompareCmd is ringtail bench compare.
type benchCompareCmd struct {
	Old  string `arg:"" placeholder:"OLD.json" help:"What ringtail bench --save or --json wrote."`
	New  string `arg:"" placeholder:"NEW.json" help:"The same of the other run."`
	HTML string `name:"html" placeholder:"FILE" help:"Write a page with both curves into a file."`
	JSON bool   `name:"json" help:"Print the figures as JSON."`
}

// Help is shown by ringtail bench compare --help.
func (benchCompareCmd) Help() string {
	return `Prints the figures of both runs and how often the old one goes into the new one. It warns when the runs
were not set up alike. Of files with several runs the first is compared with the first, and so on.

Example:

    ringtail bench compare before.json after.json --html change.html`
}

// Run carries out the command.
func (c *benchCompareCmd) Run(s streams) error {
	old, err := readReports(c.Old)
	if err != nil {
		return err
	}
	new, err := readReports(c.New)
	if err != nil {
		return err
	}
	all, err := bench.Compare(old, new)
	if err != nil {
		return err
	}
	if c.HTML != "" {
		err := writeFile(c.HTML, func(w io.Writer) error { return bench.WriteComparisonHTML(w, all) })
		if err != nil {
			return err
		}
	}
	for i, one := range all {
		if c.JSON {
			if err := json.NewEncoder(s.out).Encode(comparisonBody(one)); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		if err := one.WriteText(s.out); err != nil {
			return err
		}
	}
	return nil
}

// ratioBody is a figure as JSON shows it.
type ratioBody struct {
	Figure string  `json:"figure"`
	Unit   string  `json:"unit"`
	Old    float64 `json:"old"`
	New    float64 `json:"new"`
	Ratio  float64 `json:"ratio"`
}

func comparisonBody(c bench.Comparison) map[string]any {
	rows := []ratioBody{}
	for _, r := range c.Rows {
		rows = append(rows, ratioBody{r.Figure, r.Unit, r.Old, r.New, r.Ratio()})
	}
	warnings := append([]string{}, c.Warnings...)
	return map[string]any{"warnings": warnings, "figures": rows}
}

// readReports reads a file of reports.
func readReports(path string) ([]bench.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	reports, err := bench.ReadReports(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return reports, nil
}
