package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is text in columns, each as wide as its widest cell.
type table struct {
	columns []column
	rows    [][]string
}

// column is a table's column: its title, and whether cells stand at its right.
type column struct {
	title string
	right bool
}

func left(title string) column  { return column{title: title} }
func right(title string) column { return column{title: title, right: true} }

func newTable(columns ...column) *table { return &table{columns: columns} }

// row adds a row. A cell that is empty, or missing at its end, is shown as a
// dash.
func (t *table) row(cells ...string) {
	row := make([]string, len(t.columns))
	copy(row, cells)
	for i, c := range row {
		if c == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// print writes the table with its titles.
func (t *table) print(w io.Writer) {
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	lines := append([][]string{titles}, t.rows...)
	widths := make([]int, len(t.columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if t.columns[i].right {
				cell = pad + cell
			} else {
				cell += pad
			}
			b.WriteString(cell + "  ")
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
