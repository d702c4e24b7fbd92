package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestParseSizes(t *testing.T) {
	for text, want := range map[string]string{
		"1024": "1024", "0": "0", "1048576": "1048576", "100-2000": "100-2000", "7-7": "7",
		"lognormal:1000:1.5:10-100000": "lognormal:1000:1.5:10-100000", "pareto:1.2:100-1000": "pareto:1.2:100-1000", "pareto:2:64": "pareto:2:64-64",
	} {
		s, err := ParseSizes(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %v, %v; want %s", text, s, err, want)
		}
		var again Sizes
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s: read again it is %v, %v", text, again, err)
		}
	}
	for text, want := range map[string]string{
		"": "no number", "x": "no number", "-1": "-1 bytes", "1048577": "1048577 bytes", "9-8": "above", "1-2-3": "no number", "1-": "no number",
		"normal:1:2:3-4": "none of", "lognormal:1:2": "none of", "lognormal:0:1:1-2": "median", "lognormal:5:11:1-2": "sigma", "lognormal:NaN:1:1-2": "median",
		"lognormal:x:1:1-2": "no number", "pareto:0:1-2": "alpha", "pareto:101:1-2": "alpha", "pareto:NaN:1-2": "alpha", "pareto:1:0-2": "1 byte", "pareto:1:2:3-4": "none of",
	} {
		if s, err := ParseSizes(text); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, s, err, want)
		}
	}
}

func TestSizesAreDistributed(t *testing.T) {
	const draws = 100_000
	for text, want := range map[string]struct {
		median float64
		above  map[int]float64 // the share above a size
	}{
		"500":                        {500, map[int]float64{499: 1, 500: 0}},
		"101-200":                    {150, map[int]float64{125: 0.75, 190: 0.1}},
		"lognormal:1000:1:0-1048576": {1000, map[int]float64{2718: 0.1587, 7389: 0.02275}},
		"pareto:1:100-100000":        {200, map[int]float64{1000: 0.0991, 10_000: 0.00901}},
	} {
		s, err := ParseSizes(text)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 2))
		var all []int
		for range draws {
			all = append(all, s.draw(r))
		}
		slices.Sort(all)
		if all[0] < s.min || all[draws-1] > s.max {
			t.Errorf("%s: from %d to %d", text, all[0], all[draws-1])
		}
		if m := float64(all[draws/2]); math.Abs(m/want.median-1) > 0.03 {
			t.Errorf("%s: the median is %v, want %v", text, m, want.median)
		}
		for size, share := range want.above {
			at, _ := slices.BinarySearch(all, size+1)
			wantShare(t, text, draws-at, draws, share)
		}
	}
}

func FuzzParseSizes(f *testing.F) {
	for _, text := range []string{"1024", "1-2", "lognormal:1000:1.5:10-100000", "pareto:1.2:100-1000", "pareto:1e300:1-2", "lognormal:1e-300:10:0-9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSizes(text)
		if err != nil {
			return
		}
		r := rand.New(rand.NewPCG(1, 2))
		for range 100 {
			if n := s.draw(r); n < s.min || n > s.max || n > kv.MaxValue {
				t.Fatalf("%v: drew %d", s, n)
			}
		}
		if again, err := ParseSizes(s.String()); err != nil || again != s {
			t.Fatalf("%v is read again as %v, %v", s, again, err)
		}
	})
}
