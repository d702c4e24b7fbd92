// Package chart draws lines over two axes as an SVG picture: figures that the
// command line shows people. It knows nothing of what it draws.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
)

// Chart is a picture of some lines. The zero values of Width and Height stand
// for 720 and 420.
type Chart struct {
	Title, XLabel, YLabel string
	// LogX has the x axis in decades: all x are above 0. LogY has the y axis in
	// powers of ten: MinY is above 0, and what is below it is drawn there.
	LogX, LogY    bool
	Width, Height int
	// MinY and MaxY are the ends of the y axis.
	MinY, MaxY float64
	Lines      []Line
}

// Line is a row of points, drawn in their order.
type Line struct {
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

// dash has every second line broken, so that one that lies on another is seen.
func dash(i int) string {
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
	p.tag(`<rect width="%d" height="%d" fill="white"/>`, p.Width, p.Height)
	p.text(float64(left), 22, "start", c.Title)
	p.axes()
	for i, l := range c.Lines {
		p.line(i, l, colours[i%len(colours)])
		p.legend(i, l, colours[i%len(colours)])
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
	b          bytes.Buffer
	minX, maxX float64
}

// measure finds the ends of the x axis.
func (p *picture) measure() {
	p.minX, p.maxX = math.Inf(1), math.Inf(-1)
	for _, l := range p.Lines {
		for _, q := range l.Points {
			p.minX, p.maxX = min(p.minX, p.scaled(q.X)), max(p.maxX, p.scaled(q.X))
		}
	}
	if math.IsInf(p.minX, 1) {
		p.minX, p.maxX = 0, 1
	}
	if p.LogX {
		p.minX, p.maxX = math.Floor(p.minX), math.Ceil(p.maxX)
	}
	if p.maxX == p.minX {
		p.maxX++
	}
	if p.MaxY == p.MinY {
		p.MaxY++
	}
}

func (p *picture) scaled(x float64) float64 {
	if p.LogX {
		return math.Log10(x)
	}
	return x
}

func (p *picture) x(v float64) float64 {
	return left + (p.scaled(v)-p.minX)/(p.maxX-p.minX)*float64(p.Width-left-right)
}

func (p *picture) y(v float64) float64 {
	share := (v - p.MinY) / (p.MaxY - p.MinY)
	if p.LogY {
		share = math.Log(max(v, p.MinY)/p.MinY) / math.Log(p.MaxY/p.MinY)
	}
	return float64(p.Height-bottom) - share*float64(p.Height-top-bottom)
}

func (p *picture) tag(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

func (p *picture) text(x, y float64, anchor, s string) {
	var escaped bytes.Buffer
	_ = xml.EscapeText(&escaped, []byte(s)) // a buffer takes all
	p.tag(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, escaped.String())
}

const ticks = 5

func (p *picture) axes() {
	for _, v := range p.yTicks() {
		p.tag(`<path d="M%d %.1fH%d" stroke="#dddddd"/>`, left, p.y(v), p.Width-right)
		p.text(left-8, p.y(v)+4, "end", fmt.Sprintf("%.3g", v))
	}
	for _, at := range p.xTicks() {
		v := at
		if p.LogX {
			v = math.Pow(10, at)
		}
		p.tag(`<path d="M%.1f %dv5" stroke="#888888"/>`, p.x(v), p.Height-bottom)
		p.text(p.x(v), float64(p.Height-bottom+20), "middle", count(v))
	}
	p.tag(`<path d="M%d %dV%dH%d" fill="none" stroke="#888888"/>`, left, top, p.Height-bottom, p.Width-right)
	p.text(float64(left+p.Width-right)/2, float64(p.Height-16), "middle", p.XLabel)
	p.tag(`<g transform="rotate(-90 16 %d)">`, (top+p.Height-bottom)/2)
	p.text(16, float64(top+p.Height-bottom)/2, "middle", p.YLabel)
	p.tag(`</g>`)
}

// yTicks returns where the y axis is marked.
func (p *picture) yTicks() []float64 {
	var out []float64
	if p.LogY {
		for v := p.MinY; v <= p.MaxY*1.001; v *= 10 {
			out = append(out, v)
		}
		return out
	}
	for i := range ticks + 1 {
		out = append(out, p.MinY+(p.MaxY-p.MinY)*float64(i)/ticks)
	}
	return out
}

// xTicks returns where the x axis is marked, as it is scaled.
func (p *picture) xTicks() []float64 {
	step := (p.maxX - p.minX) / ticks
	if p.LogX {
		step = math.Ceil(step)
	}
	var out []float64
	for v := p.minX; v <= p.maxX+step/1000; v += step {
		out = append(out, v)
	}
	return out
}

// count shows a number with its thousands as k, M and G.
func count(v float64) string {
	for _, unit := range []struct {
		least float64
		name  string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.least {
			return fmt.Sprintf("%.3g%s", v/unit.least, unit.name)
		}
	}
	return fmt.Sprintf("%.3g", v)
}

func (p *picture) line(i int, l Line, colour string) {
	if len(l.Points) == 0 {
		return
	}
	path := "M"
	for n, q := range l.Points {
		if n > 0 {
			path += "L"
		}
		path += fmt.Sprintf("%.1f %.1f", p.x(q.X), p.y(q.Y))
	}
	p.tag(`<path d="%s" fill="none" stroke="%s" stroke-width="2"%s/>`, path, colour, dash(i))
	for _, q := range l.Points {
		p.tag(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, p.x(q.X), p.y(q.Y), colour)
		if q.Low != q.High {
			p.tag(`<path d="M%.1f %.1fV%.1f" stroke="%s" opacity="0.5"/>`, p.x(q.X), p.y(q.Low), p.y(q.High), colour)
		}
	}
}

func (p *picture) legend(i int, l Line, colour string) {
	x, y := float64(p.Width-right+16), float64(top+12+20*i)
	p.tag(`<path d="M%.1f %.1fh16" stroke="%s" stroke-width="3"%s/>`, x, y-4, colour, dash(i))
	p.text(x+22, y, "start", l.Name)
}
