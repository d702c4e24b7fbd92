package chart

import (
	"encoding/xml"
	"io"
	"regexp"
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

// marks returns what stands along the axes of a chart, and beside its lines.
func marks(t *testing.T, c Chart) []string {
	t.Helper()
	var b strings.Builder
	if _, err := c.WriteTo(&b); err != nil || strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
		t.Fatalf("%v: %s", err, b.String())
	}
	var out []string
	for _, m := range regexp.MustCompile(`<text [^>]*>([^<]*)</text>`).FindAllStringSubmatch(b.String(), -1) {
		if m[1] != "" {
			out = append(out, m[1])
		}
	}
	return out
}

func TestAxes(t *testing.T) {
	for _, c := range []struct {
		name  string
		chart Chart
		want  string
	}{
		{"from 0 to the next round number", Chart{Lines: []Line{{Points: []Point{{X: 1, Y: 3}, {X: 9, Y: 4321}}}}}, "0 1k 2k 3k 4k 5k 0 2 4 6 8"},
		{"far from 0", Chart{Lines: []Line{{Points: []Point{{X: 100, Y: 0.1}, {X: 110, Y: 0.2}}}}}, "0 0.05 0.1 0.15 0.2 100 102 104 106 108 110"},
		{"below 0", Chart{Lines: []Line{{Points: []Point{{X: -5, Y: -10}, {X: 5, Y: 10}}}}}, "-10 -5 0 5 10 -4 -2 0 2 4"},
		{"a bar", Chart{Lines: []Line{{Points: []Point{{X: 0, Y: 1, Low: 0, High: 9}, {X: 1, Y: 1}}}}}, "0 2 4 6 8 10 0 0.2 0.4 0.6 0.8 1"},
		{"the tail", Chart{TailX: true, Lines: []Line{{Points: []Point{{X: 0, Y: 1}, {X: 0.9995, Y: 2}}}}}, "0 0.5 1 1.5 2 0 % 90 % 99 % 99.9 % 99.99 %"},
		{"a tail to its very end", Chart{TailX: true, Lines: []Line{{Points: []Point{{X: 0.5, Y: 1}, {X: 1, Y: 1}}}}}, "0 0.2 0.4 0.6 0.8 1 0 % 90 % 99 % 99.9 % 99.99 % 99.999 % 99.9999 % 99.99999 % 99.999999 % 99.9999999 %"},
		{"decades", Chart{LogX: true, LogY: true, Lines: []Line{{Points: []Point{{X: 0.01, Y: 0.5}, {X: 20, Y: 2000}, {X: 30, Y: 0}}}}}, "0.1 1 10 100 1k 10k 0.01 0.1 1 10 100"},
		{"given ends", Chart{MinY: 1, MaxY: 2, Lines: []Line{{Points: []Point{{X: 0, Y: 5}, {X: 1, Y: 5}}}}}, "1 1.2 1.4 1.6 1.8 2 0 0.2 0.4 0.6 0.8 1"},
		{"one point", Chart{Lines: []Line{{Points: []Point{{X: 3, Y: 3}}}}}, "0 1 2 3 3 3.2 3.4 3.6 3.8 4"},
		{"names", Chart{Lines: []Line{{Name: ""}, {Name: "a name that is too long for its place"}}}, "0 0.2 0.4 0.6 0.8 1 0 0.2 0.4 0.6 0.8 1 a name that is too long fo…"},
	} {
		if got := strings.Join(marks(t, c.chart), " "); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
}

// Long lines are drawn without dots.
func TestDots(t *testing.T) {
	for _, n := range []int{maxDots, maxDots + 1} {
		var l Line
		for i := range n {
			l.Points = append(l.Points, Point{X: float64(i), Y: 1})
		}
		var b strings.Builder
		if _, err := (Chart{Lines: []Line{l}}).WriteTo(&b); err != nil || (strings.Contains(b.String(), "<circle")) != (n == maxDots) {
			t.Errorf("%d points, %v: %d dots", n, err, strings.Count(b.String(), "<circle"))
		}
	}
}

// TestStack: pictures below each other are one picture, well-formed.
func TestStack(t *testing.T) {
	c := Chart{Title: "one", MinY: 1, MaxY: 1000, LogY: true, Lines: []Line{{Name: "l", Points: []Point{{X: 0, Y: 0}, {X: 1, Y: 1000}}}}}
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
