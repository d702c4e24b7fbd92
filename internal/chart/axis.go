package chart

import (
	"fmt"
	"math"
)

// scale says how values lie along an axis.
type scale uint8

const (
	evenly scale = iota
	// decades has each power of ten as far from the last one.
	decades
	// tail has 0, 0.9, 0.99 and so on as far from each other.
	tail
)

// maxTail is the last step of a tail: 1 less a thousand millionth.
const maxTail = 9

// of returns where a value lies.
func (s scale) of(v float64) float64 {
	switch {
	case s == decades:
		return math.Log10(v)
	case s == tail:
		return min(-math.Log10(1-v), maxTail)
	}
	return v
}

// axis is one of the two. low and high are scaled.
type axis struct {
	scale     scale
	low, high float64
	// fixed tells that low and high are given, and are not scaled yet; fromZero
	// that an even axis begins at 0 if it is not.
	fixed, fromZero bool
	taken           bool
	step            float64
}

// maxTicks is how many marks an even axis may have, and a little more.
const maxTicks = 5

// take makes room for a value.
func (a *axis) take(v float64) {
	at := a.scale.of(v)
	if a.fixed || math.IsInf(at, 0) || math.IsNaN(at) {
		return
	}
	if !a.taken {
		a.low, a.high, a.taken = at, at, true
	}
	a.low, a.high = min(a.low, at), max(a.high, at)
}

// fit rounds the ends, when all values are taken.
func (a *axis) fit() {
	switch {
	case a.fixed:
		a.low, a.high = a.scale.of(a.low), a.scale.of(a.high)
	case a.scale != evenly:
		a.low, a.high = math.Floor(a.low+1e-9), math.Ceil(a.high-1e-9)
	case a.fromZero || a.low <= (a.high-a.low)/2:
		a.low = min(a.low, 0) // it is near enough
	}
	if !(a.high > a.low) {
		a.high = a.low + 1
	}
	a.step = 1
	if a.scale == evenly {
		a.step = nice((a.high - a.low) / maxTicks)
		if !a.fixed && a.fromZero {
			a.high = math.Ceil(a.high/a.step-1e-9) * a.step
		}
		return
	}
	a.step = max(math.Ceil((a.high-a.low)/(2*maxTicks)), 1)
}

// nice returns the next of 1, 2 and 5 times a power of ten.
func nice(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if v <= f*power*(1+1e-9) {
			return f * power
		}
	}
	return 10 * power
}

// share returns where along the axis a value is, from 0 to 1.
func (a *axis) share(v float64) float64 {
	at := (a.scale.of(v) - a.low) / (a.high - a.low)
	if math.IsNaN(at) || at < 0 {
		return 0
	}
	return min(at, 1)
}

// tick is a mark.
type tick struct {
	at    float64
	label string
}

func (a *axis) ticks() (out []tick) {
	for i := math.Ceil(a.low/a.step - 1e-9); i*a.step <= a.high+a.step/1000; i++ {
		v := i * a.step
		switch a.scale {
		case decades:
			v = math.Pow(10, v)
			out = append(out, tick{v, count(v)})
		case tail:
			out = append(out, tick{1 - math.Pow(10, -v), percent(int(v))})
		default:
			out = append(out, tick{v, count(v)})
		}
	}
	return out
}

// percent shows the n-th step of a tail.
func percent(n int) string {
	switch n {
	case 0:
		return "0 %"
	case 1:
		return "90 %"
	}
	text := "99."
	for range n - 2 {
		text += "9"
	}
	if n == 2 {
		text = "99"
	}
	return text + " %"
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
	if math.Abs(v) < 1e-12 {
		return "0"
	}
	return fmt.Sprintf("%.3g", v)
}
