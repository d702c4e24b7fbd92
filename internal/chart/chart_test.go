package chart

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

// TestSVG: what is drawn is well-formed, shows every line by name, and no point
// outside of the picture.
func TestSVG(t *testing.T) {
	c := Chart{
		Title: "a < b & c", XLabel: "bytes", YLabel: "share", LogX: true, MaxY: 1,
		Lines: []Line{
			{"one", []Point{{X: 10, Y: 0.5}, {X: 1000, Y: 0.9, Low: 0.8, High: 1}}},
			{"two", []Point{{X: 200, Y: 0.1}}},
			{"none", nil},
		},
	}
	var b strings.Builder
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	circles := 0
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
		}
	}
	if circles != 3 {
		t.Errorf("%d points are drawn, want 3", circles)
	}
	for _, want := range []string{"one", "two", "none", "a &lt; b &amp; c", ">10<", ">1k<", `cx="70.0" cy="200.0"`, `cx="500.0" cy="72.0"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}

// TestEmpty: a chart of nothing is a picture of axes.
func TestEmpty(t *testing.T) {
	var b strings.Builder
	if _, err := (Chart{}).WriteTo(&b); err != nil || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestStack: pictures below each other are one picture, well-formed.
func TestStack(t *testing.T) {
	c := Chart{Title: "one", MinY: 1, MaxY: 1000, LogY: true, Lines: []Line{{"l", []Point{{X: 0, Y: 0}, {X: 1, Y: 1000}}}}}
	var b strings.Builder
	if err := Stack(&b, c, Chart{Title: "two"}); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
	}
	// Below the axis is at it; decades are equally far apart.
	for _, want := range []string{`viewBox="0 0 720 840"`, `<svg y="420"`, `cy="360.0"`, `cy="40.0"`, `M70 253.3H`, "two"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in %s", want, b.String())
		}
	}
}
