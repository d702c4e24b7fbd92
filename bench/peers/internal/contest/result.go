package contest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ringtaildb/ringtail/internal/bench"
)

// Result is what came of a contest.
type Result struct {
	ID    string      `json:"id"`
	Title string      `json:"title"`
	Rows  []RowResult `json:"rows"`
	// Ratios compare each of ours with each of the others.
	Ratios []Ratio `json:"ratios"`
}

// RowResult is what a store did.
type RowResult struct {
	Label   string `json:"label"`
	Acked   string `json:"acknowledged"`
	Store   string `json:"store"`
	Version string `json:"version"`
	Ours    bool   `json:"ours"`
	// Rounds has the figures of each round, Median the median of each figure.
	Rounds []Figures `json:"rounds"`
	Median Figures   `json:"median"`
}

// Figures is what one measurement showed. Micros are the processor time of an
// operation in microseconds: of all server processes, and of the load generator.
type Figures struct {
	OpsPerSec    float64 `json:"ops_per_second"`
	ServerMicros float64 `json:"server_us_per_op"`
	ClientMicros float64 `json:"client_us_per_op"`
	// Get and Put are the latencies of each; those of a kind that the load has
	// none of are zero.
	Get Latency `json:"get"`
	Put Latency `json:"put"`
	// Failed is the share of the operations that ended with an error, Missing of
	// the gets that found no value.
	Failed  float64 `json:"failed"`
	Missing float64 `json:"missing"`
}

// Latency is in milliseconds.
type Latency struct {
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
}

// Ratio is how many times better one of ours is than another store, round by
// round.
type Ratio struct {
	Ours string `json:"ours"`
	Peer string `json:"peer"`
	// Ops is our operations a second by theirs, Server their servers' processor
	// time of an operation by ours.
	Ops    Spread `json:"ops"`
	Server Spread `json:"server_time"`
}

// Spread is the median, and the least and the greatest, of several figures.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

var errNothing = errors.New("no operation succeeded")

// figures takes from a report what is compared.
func figures(r bench.Report) (Figures, error) {
	if r.Ops == 0 {
		return Figures{}, fmt.Errorf("%w; errors: %v", errNothing, r.Errors)
	}
	if r.ClusterCPUNote != "" {
		return Figures{}, fmt.Errorf("the servers' processor time is not known: %s", r.ClusterCPUNote)
	}
	f := Figures{OpsPerSec: rounded(r.OpsPerSec), ServerMicros: rounded(r.ClusterCPU), ClientMicros: rounded(r.OwnCPU)}
	for _, k := range r.Kinds {
		l := Latency{P50: rounded(k.P50), P99: rounded(k.P99), P999: rounded(k.P999)}
		switch k.Kind {
		case "read":
			f.Get = l
			f.Missing = float64(r.Missing) / float64(k.Count)
		case "update":
			f.Put = l
		}
	}
	var failed uint64
	for _, n := range r.Errors {
		failed += n
	}
	f.Failed = float64(failed) / float64(uint64(r.Ops)+failed)
	return f, nil
}

func newResults(contests []Contest) []Result {
	var out []Result
	for _, c := range contests {
		r := Result{ID: c.ID, Title: c.Title}
		for _, row := range c.Rows {
			r.Rows = append(r.Rows, RowResult{Label: row.Label, Acked: row.Acked, Store: row.Store, Ours: row.Ours})
		}
		out = append(out, r)
	}
	return out
}

// conclude computes the medians and the ratios.
func (r *Result) conclude() {
	for i := range r.Rows {
		r.Rows[i].Median = medians(r.Rows[i].Rounds)
	}
	for _, ours := range r.Rows {
		for _, peer := range r.Rows {
			if ours.Ours && !peer.Ours {
				r.Ratios = append(r.Ratios, compare(ours, peer))
			}
		}
	}
}

func compare(ours, peer RowResult) Ratio {
	var ops, server []float64
	for i := range min(len(ours.Rounds), len(peer.Rounds)) {
		a, b := ours.Rounds[i], peer.Rounds[i]
		ops = append(ops, rounded(quotient(a.OpsPerSec, b.OpsPerSec)))
		server = append(server, rounded(quotient(b.ServerMicros, a.ServerMicros)))
	}
	return Ratio{Ours: ours.Label, Peer: peer.Label, Ops: spread(ops), Server: spread(server)}
}

// rounded keeps the digits that tell something.
func rounded(x float64) float64 { return math.Round(x*1000) / 1000 }

// quotient is 0 where there is none: JSON has no word for infinity. A processor
// time can be below what /proc counts.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// medians returns the median of each figure.
func medians(rounds []Figures) Figures {
	of := func(field func(Figures) float64) float64 {
		var all []float64
		for _, f := range rounds {
			all = append(all, field(f))
		}
		return spread(all).Median
	}
	latency := func(kind func(Figures) Latency) Latency {
		return Latency{
			P50:  of(func(f Figures) float64 { return kind(f).P50 }),
			P99:  of(func(f Figures) float64 { return kind(f).P99 }),
			P999: of(func(f Figures) float64 { return kind(f).P999 }),
		}
	}
	return Figures{
		OpsPerSec:    of(func(f Figures) float64 { return f.OpsPerSec }),
		ServerMicros: of(func(f Figures) float64 { return f.ServerMicros }),
		ClientMicros: of(func(f Figures) float64 { return f.ClientMicros }),
		Get:          latency(func(f Figures) Latency { return f.Get }),
		Put:          latency(func(f Figures) Latency { return f.Put }),
		Failed:       of(func(f Figures) float64 { return f.Failed }),
		Missing:      of(func(f Figures) float64 { return f.Missing }),
	}
}

// spread returns the zero Spread for no figures.
func spread(all []float64) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(all))
	mid := len(s) / 2
	median := s[mid]
	if len(s)%2 == 0 {
		median = (s[mid-1] + s[mid]) / 2
	}
	return Spread{Median: median, Min: s[0], Max: s[len(s)-1]}
}
