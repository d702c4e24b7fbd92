package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// shape is the family of a distribution of sizes.
type shape uint8

const (
	constant shape = iota
	evenly
	lognormal
	pareto
)

// Sizes says how many bytes values have. The zero value stands for
// Config.ValueBytes.
type Sizes struct {
	shape    shape
	min, max int
	// median and sigma are a lognormal distribution's, alpha a Pareto one's.
	median, sigma, alpha float64
}

// ParseSizes reads the size of all values, "1024"; or a range of which each size is
// as likely, "100-2000"; or "lognormal:MEDIAN:SIGMA:MIN-MAX", sizes whose
// logarithms are normal, with a standard deviation of SIGMA; or
// "pareto:ALPHA:MIN-MAX", where sizes above x have a share of about (MIN/x)^ALPHA.
// An error is of KindInvalid.
func ParseSizes(text string) (Sizes, error) {
	words := strings.Split(text, ":")
	bounds := words[len(words)-1]
	var s Sizes
	err := s.setBounds(bounds)
	switch {
	case err != nil:
	case len(words) == 1:
		if s.shape = evenly; s.min == s.max {
			s.shape = constant
		}
	case words[0] == "lognormal" && len(words) == 4:
		s.shape = lognormal
		err = setNumbers(words[1:3], &s.median, &s.sigma)
	case words[0] == "pareto" && len(words) == 3:
		s.shape = pareto
		err = setNumbers(words[1:2], &s.alpha)
	default:
		err = fmt.Errorf("it is none of BYTES, MIN-MAX, lognormal:MEDIAN:SIGMA:MIN-MAX, pareto:ALPHA:MIN-MAX")
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return Sizes{}, kv.Errorf(kv.KindInvalid, "check bench", "value sizes %q: %w", text, err)
	}
	return s, nil
}

func (s *Sizes) setBounds(text string) error {
	least, most, ranged := strings.Cut(text, "-")
	if !ranged || least == "" {
		least, most = text, text
	}
	var err error
	if s.min, err = strconv.Atoi(least); err == nil {
		s.max, err = strconv.Atoi(most)
	}
	if err != nil {
		return fmt.Errorf("%q is no number of bytes, nor MIN-MAX", text)
	}
	return nil
}

func setNumbers(words []string, to ...*float64) error {
	for i, w := range words {
		f, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return fmt.Errorf("%q is no number", w)
		}
		*to[i] = f
	}
	return nil
}

// The shape's parameters: wider ones say nothing that the bounds do not say.
const maxSigma, maxAlpha = 10, 100

func (s Sizes) check() error {
	switch {
	case s.min < 0 || s.max > kv.MaxValue:
		return fmt.Errorf("values of %d bytes are not within 0 to %d", or(s.min < 0, s.min, s.max), kv.MaxValue)
	case s.min > s.max:
		return fmt.Errorf("the least, %d, is above the most, %d", s.min, s.max)
	case s.shape == lognormal && !(s.median > 0 && s.median <= kv.MaxValue):
		return fmt.Errorf("a median of %g is not within 0 to %d", s.median, kv.MaxValue)
	case s.shape == lognormal && !(s.sigma >= 0 && s.sigma <= maxSigma):
		return fmt.Errorf("a sigma of %g is not within 0 to %d", s.sigma, maxSigma)
	case s.shape == pareto && !(s.alpha > 0 && s.alpha <= maxAlpha):
		return fmt.Errorf("an alpha of %g is not above 0 and at most %d", s.alpha, maxAlpha)
	case s.shape == pareto && s.min < 1:
		return fmt.Errorf("a Pareto distribution begins at 1 byte at least")
	}
	return nil
}

func or[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// String returns what ParseSizes reads.
func (s Sizes) String() string {
	bounds := fmt.Sprintf("%d-%d", s.min, s.max)
	switch s.shape {
	case evenly:
		return bounds
	case lognormal:
		return fmt.Sprintf("lognormal:%g:%g:%s", s.median, s.sigma, bounds)
	case pareto:
		return fmt.Sprintf("pareto:%g:%s", s.alpha, bounds)
	}
	return strconv.Itoa(s.min)
}

// MarshalText implements encoding.TextMarshaler.
func (s Sizes) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *Sizes) UnmarshalText(text []byte) error {
	parsed, err := ParseSizes(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// Constant returns the size of all values, if they have one.
func (s Sizes) Constant() (int, bool) { return s.min, s.shape == constant }

// draw returns a size within the bounds.
func (s *Sizes) draw(r *rand.Rand) int {
	switch s.shape {
	case evenly:
		return s.min + r.IntN(s.max-s.min+1)
	case lognormal:
		return s.within(s.median * math.Exp(s.sigma*r.NormFloat64()))
	case pareto:
		// The inverse of the distribution, cut at max.
		least, most := math.Pow(float64(s.min), -s.alpha), math.Pow(float64(s.max), -s.alpha)
		return s.within(math.Pow(least-r.Float64()*(least-most), -1/s.alpha))
	}
	return s.min
}

func (s *Sizes) within(size float64) int {
	return int(min(max(size, float64(s.min)), float64(s.max)))
}
