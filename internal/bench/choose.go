package bench

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// chooser draws a key's number. It keeps no state: callers share it, each with a
// random source of its own.
type chooser interface {
	draw(r *rand.Rand) int
}

// appendKey appends the name of key n, which begins with prefix.
func appendKey(b []byte, prefix string, n int) []byte {
	return strconv.AppendInt(append(b, prefix...), int64(n), 10)
}

// uniform draws from 0 to its value, less 1.
type uniform int

func (u uniform) draw(r *rand.Rand) int { return r.IntN(int(u)) }

// theta is YCSB's exponent.
const theta = 0.99

// zipf draws rank i, from 0 to n-1, in proportion to 1/(i+1)^theta, by
// rejection-inversion (Hörmann and Derflinger, ACM TOMACS 6(3), 1996): exactly,
// without tables, in 1.01 rounds on average.
//
// It draws x from the area under the curve 1/x^theta, whose inverse is known,
// and takes the rank whose bar, of width 1, x falls into, unless x is in the
// part of the area that sticks out over that bar.
type zipf struct {
	n float64
	// low and high bound the area: of rank 0 as much as its bar holds, of the
	// last up to n + 1/2.
	low, high float64
	// sure is how far left of its rank x is certainly not to be rejected.
	sure float64
}

func newZipf(n int) *zipf {
	return &zipf{
		n: float64(n), low: area(1.5) - 1, high: area(float64(n) + 0.5),
		sure: 2 - edge(area(2.5)-height(2)),
	}
}

func (z *zipf) draw(r *rand.Rand) int {
	for {
		u := z.high + r.Float64()*(z.low-z.high)
		x := edge(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.sure || u >= area(k+0.5)-height(k) {
			return int(k) - 1
		}
	}
}

// height is the curve, area its integral but for a constant, edge the inverse of
// area.
func height(x float64) float64 { return math.Pow(x, -theta) }
func area(x float64) float64   { return math.Pow(x, 1-theta) / (1 - theta) }
func edge(a float64) float64   { return math.Pow(a*(1-theta), 1/(1-theta)) }

// scrambled gives each rank a key of its own, far from those of the next ranks,
// so that often used keys are not neighbours on disk.
type scrambled struct {
	ranks *zipf
	n     int
	step  int // has no divisor in common with n
}

func newScrambled(ranks *zipf, n int) scrambled {
	step := max(int(float64(n)/math.Phi), 1)
	for gcd(step, n) != 1 {
		step++
	}
	return scrambled{ranks: ranks, n: n, step: step}
}

func (s scrambled) draw(r *rand.Rand) int { return s.key(s.ranks.draw(r)) }

func (s scrambled) key(rank int) int { return (rank*s.step + s.step/2) % s.n }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
