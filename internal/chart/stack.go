package chart

import "io"

// Stack writes pictures below each other, as one.
func Stack(w io.Writer, charts ...Chart) error {
	p := picture{}
	var height, width int
	for _, c := range charts {
		wide, high := c.size()
		width, height = max(width, wide), height+high
	}
	p.tag(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`, width, height)
	y := 0
	for _, c := range charts {
		wide, high := c.size()
		p.tag(`<svg y="%d" width="%d" height="%d">`, y, wide, high)
		if _, err := c.WriteTo(&p.b); err != nil {
			return err
		}
		p.tag(`</svg>`)
		y += high
	}
	p.tag(`</svg>`)
	_, err := w.Write(p.b.Bytes())
	return err
}
