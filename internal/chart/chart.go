// Package chart draws lines over two axes as an SVG picture: figures that the
// command line shows people. It knows nothing of what it draws.
//
// A picture stands for itself, dark on white. Within a page, styles of the page can
// give it other colours by its classes: paper, grid and axis; l0 to l5 for strokes
// of lines and d0 to d5 for their dots.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"unicode/utf8"
)

// Chart is a picture of some lines. The zero values of Width and Height stand
// for 720 and 420.
type Chart struct {
	Title, XLabel, YLabel string
	// LogX has the x axis in decades: all x are above 0.
	LogX bool
	// TailX has it for shares, as the percentiles' tail shows them: each step is a
	// tenth of the rest, 0, 0.9, 0.99 and so on. All x are from 0 to less than 1.
	TailX bool
	// LogY has the y axis in decades; what is 0 or less is drawn at the bottom.
	LogY          bool
	Width, Height int
	// MinY and MaxY are the ends of the y axis. When both are 0 they follow from
	// the points, from 0 on but for LogY.
	MinY, MaxY float64
	Lines      []Line
}

// Line is a row of points, drawn in their order.
type Line struct {
	// Name stands in the legend, "" for none.
	Name   string
	Points []Point
}

// Point is one point; Low and High, where they differ, are drawn as a bar
// through it.
type Point struct {
	X, Y      float64
	Low, High float64
}

// The picture's margins, and its colours, which differ in lightness as well.
const left, right, top, bottom = 70, 220, 40, 60

var colours = []string{"#1b6ca8", "#d1495b", "#3a7d44", "#8d5a97", "#c98a1b", "#444444"}

// maxDots bounds the points of a line that are drawn as dots too: more would be
// one thick line. maxName bounds what is shown of a line's name, in letters.
const maxDots, maxName = 40, 27

// dash has every second line broken, so that one that lies on another is seen, and
// those that share a colour told apart.
func dash(i int) string {
	switch i / len(colours) % 3 {
	case 1:
		return ` stroke-dasharray="2 3"`
	case 2:
		return ` stroke-dasharray="10 3 2 3"`
	}
	if i%2 == 1 {
		return ` stroke-dasharray="6 4"`
	}
	return ""
}

// WriteTo writes the picture as SVG.
func (c Chart) WriteTo(w io.Writer) (int64, error) {
	p := picture{Chart: c}
	p.Width, p.Height = c.size()
	p.measure()
	p.tag(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`, p.Width, p.Height)
	p.tag(`<rect class="paper" width="%d" height="%d" fill="white"/>`, p.Width, p.Height)
	p.text(float64(left), 22, "start", c.Title)
	p.axes()
	for i, l := range c.Lines {
		p.line(i, l)
		p.legend(i, l)
	}
	p.tag(`</svg>`)
	return p.b.WriteTo(w)
}

// size returns the picture's width and height.
func (c Chart) size() (width, height int) {
	width, height = c.Width, c.Height
	if width == 0 {
		width = 720
	}
	if height == 0 {
		height = 420
	}
	return width, height
}

type picture struct {
	Chart
	b    bytes.Buffer
	h, v axis
}

// measure lays out the axes.
func (p *picture) measure() {
	p.h, p.v = axis{}, axis{low: p.MinY, high: p.MaxY, fixed: p.MinY != p.MaxY, fromZero: true}
	switch {
	case p.LogX:
		p.h.scale = decades
	case p.TailX:
		p.h.scale = tail
	}
	if p.LogY {
		p.v.scale = decades
	}
	for _, l := range p.Lines {
		for _, q := range l.Points {
			p.h.take(q.X)
			p.v.take(q.Y)
			if q.Low != q.High {
				p.v.take(q.Low)
				p.v.take(q.High)
			}
		}
	}
	p.h.fit()
	p.v.fit()
}

func (p *picture) x(v float64) float64 {
	return left + p.h.share(v)*float64(p.Width-left-right)
}

func (p *picture) y(v float64) float64 {
	return float64(p.Height-bottom) - p.v.share(v)*float64(p.Height-top-bottom)
}

func (p *picture) tag(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes all
	return b.String()
}

func (p *picture) text(x, y float64, anchor, s string) {
	p.tag(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, escape(s))
}

func (p *picture) axes() {
	for _, t := range p.v.ticks() {
		p.tag(`<path class="grid" d="M%d %.1fH%d" stroke="#dddddd"/>`, left, p.y(t.at), p.Width-right)
		p.text(left-8, p.y(t.at)+4, "end", t.label)
	}
	for _, t := range p.h.ticks() {
		p.tag(`<path class="axis" d="M%.1f %dv5" stroke="#888888"/>`, p.x(t.at), p.Height-bottom)
		p.text(p.x(t.at), float64(p.Height-bottom+20), "middle", t.label)
	}
	p.tag(`<path class="axis" d="M%d %dV%dH%d" fill="none" stroke="#888888"/>`, left, top, p.Height-bottom, p.Width-right)
	p.text(float64(left+p.Width-right)/2, float64(p.Height-16), "middle", p.XLabel)
	p.tag(`<g transform="rotate(-90 16 %d)">`, (top+p.Height-bottom)/2)
	p.text(16, float64(top+p.Height-bottom)/2, "middle", p.YLabel)
	p.tag(`</g>`)
}

func (p *picture) line(i int, l Line) {
	if len(l.Points) == 0 {
		return
	}
	n, colour := i%len(colours), colours[i%len(colours)]
	path := []byte("M")
	for at, q := range l.Points {
		if at > 0 {
			path = append(path, 'L')
		}
		path = fmt.Appendf(path, "%.1f %.1f", p.x(q.X), p.y(q.Y))
	}
	p.tag(`<path class="l%d" d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, n, path, colour, dash(i))
	for _, q := range l.Points {
		if len(l.Points) <= maxDots {
			p.tag(`<circle class="d%d" cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, n, p.x(q.X), p.y(q.Y), colour)
		}
		if q.Low != q.High {
			p.tag(`<path class="l%d" d="M%.1f %.1fV%.1f" stroke="%s" opacity="0.5"/>`, n, p.x(q.X), p.y(q.Low), p.y(q.High), colour)
		}
	}
}

func (p *picture) legend(i int, l Line) {
	if l.Name == "" {
		return
	}
	x, y := float64(p.Width-right+16), float64(top+12+20*i)
	p.tag(`<g><title>%s</title>`, escape(l.Name))
	p.tag(`<path class="l%d" d="M%.1f %.1fh16" stroke="%s" stroke-width="3"%s/>`, i%len(colours), x, y-4, colours[i%len(colours)], dash(i))
	p.text(x+22, y, "start", short(l.Name))
	p.tag(`</g>`)
}

// short cuts a name that is too long for the legend.
func short(name string) string {
	if utf8.RuneCountInString(name) <= maxName {
		return name
	}
	return string([]rune(name)[:maxName-1]) + "…"
}
