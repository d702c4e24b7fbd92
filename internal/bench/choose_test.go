package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

// frequencies draws many times and returns how often each number came.
func frequencies(c chooser, n, draws int) []int {
	r := rand.New(rand.NewPCG(1, 2))
	counts := make([]int, n)
	for range draws {
		counts[c.draw(r)]++
	}
	return counts
}

// wantShare fails the test if got of draws is further from the share than four
// standard deviations; the draws have seeds, so it always does or never.
func wantShare(t *testing.T, what string, got, draws int, share float64) {
	t.Helper()
	mean := share * float64(draws)
	if off := math.Abs(float64(got) - mean); off > 4*math.Sqrt(mean*(1-share))+1e-6 {
		t.Errorf("%s: drawn %d times of %d, want about %.0f", what, got, draws, mean)
	}
}

func TestUniform(t *testing.T) {
	const n, draws = 100, 1_000_000
	for i, got := range frequencies(uniform(n), n, draws) {
		wantShare(t, string(appendKey(nil, "key", i)), got, draws, 1.0/n)
	}
}

func TestZipf(t *testing.T) {
	for _, n := range []int{1, 2, 10, 1000, 100_000} {
		draws := 300_000
		if n == 2 {
			draws = 3_000_000 // enough to see that 0.7 % of them are drawn again
		}
		sum := 0.0
		for i := 1; i <= n; i++ {
			sum += 1 / math.Pow(float64(i), 0.99)
		}
		counts := frequencies(newZipf(n), n, draws)
		// Each of the first ranks, and then ever wider ranges of them.
		for from := 0; from < n; {
			to := min(from+1+from/10, n)
			got, share := 0, 0.0
			for i := from; i < to; i++ {
				got += counts[i]
				share += 1 / math.Pow(float64(i+1), 0.99) / sum
			}
			wantShare(t, "ranks from "+string(appendKey(nil, "key", from)), got, draws, share)
			from = to
		}
	}
}

func TestScrambledGivesEachRankItsKey(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 97, 1000, 65536, 100_000} {
		s := newScrambled(newZipf(n), n)
		taken := make([]bool, n)
		near := 0
		for rank := range n {
			k := s.key(rank)
			if taken[k] {
				t.Fatalf("n=%d: two ranks have key %d", n, k)
			}
			taken[k] = true
			if d := k - s.key((rank+1)%n); d == 1 || d == -1 {
				near++
			}
		}
		if n > 10 && near > n/10 {
			t.Errorf("n=%d: %d ranks are neighbours of the next one", n, near)
		}
	}
	if k := newScrambled(newZipf(MaxKeys), MaxKeys).key(MaxKeys - 1); k < 0 || k >= MaxKeys {
		t.Errorf("the last rank of the most keys has key %d", k)
	}
}

func TestValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 1024, 1 << 20} {
		v := newValues(Sizes{min: size, max: size}, 1)
		a, b := v.draw(r), v.draw(r)
		if len(a) != size || len(b) != size || size > 1 && string(a) == string(b) {
			t.Errorf("values of %d bytes: %d and %d bytes, or equal", size, len(a), len(b))
		}
	}
	counts := [256]int{}
	pool := newValues(Sizes{}, 1).pool
	for _, b := range pool {
		counts[b]++
	}
	for b, got := range counts {
		wantShare(t, "byte "+string(appendKey(nil, "key", b)), got, len(pool), 1.0/256)
	}
}
