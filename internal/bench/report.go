package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/client"
)

// Format is the version of a Report's JSON. What has a name in it keeps its name
// and meaning; a release that cannot keep that counts on.
const Format = 1

// Setup is what a run was asked to do. Reports of equal setups can be compared.
type Setup struct {
	Workload     Workload     `json:"workload"`
	Door         Door         `json:"door"`
	Routing      Routing      `json:"routing"`
	Distribution Distribution `json:"distribution"`
	// HotKeys and HotShare are of the distribution Hotspot alone.
	HotKeys  int     `json:"hot_keys,omitempty"`
	HotShare float64 `json:"hot_share,omitempty"`
	Keys     int     `json:"keys"`
	// ValueBytes is the size of values, 0 when Values says how they differ.
	ValueBytes  int    `json:"value_bytes"`
	Values      string `json:"values,omitempty"`
	Concurrency int    `json:"concurrency"`
	Processes   int    `json:"processes"`
	Conns       int    `json:"conns"`
	// Rate is 0 for a closed loop, else in operations a second; Arrivals and Ramp,
	// in seconds, are an open loop's alone.
	Rate     float64  `json:"rate,omitempty"`
	Arrivals Arrivals `json:"arrivals,omitempty"`
	Ramp     float64  `json:"ramp_seconds,omitempty"`
	// WarmUp and Duration are in seconds.
	WarmUp   float64 `json:"warm_up_seconds"`
	Duration float64 `json:"duration_seconds"`
	// R, W and DW are nil for the bucket's. Timeout is in milliseconds, 0 for the
	// client's.
	R       *int    `json:"r"`
	W       *int    `json:"w"`
	DW      *int    `json:"dw"`
	Strict  bool    `json:"strict,omitempty"`
	Timeout float64 `json:"timeout_ms,omitempty"`
	// Cluster is what the cluster said of itself.
	Cluster string `json:"cluster,omitempty"`
}

// Report is what came of a run. As JSON it is one object.
type Report struct {
	// Format is that of the JSON, see the constant.
	Format int `json:"format"`
	// Label names the report among others; a run has none.
	Label string `json:"label,omitempty"`
	// Started is when the measurement began.
	Started time.Time `json:"started"`
	Setup

	// Seconds is how long was measured; Interrupted tells that this is less than
	// was asked for.
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted,omitempty"`
	// Ops is the number of operations that succeeded, the gets that updates
	// needed first included. Those that failed are in Errors alone.
	Ops       int64   `json:"ops"`
	OpsPerSec float64 `json:"ops_per_second"`
	// Open tells how an open loop went, nil of a closed one.
	Open *OpenReport `json:"open,omitempty"`
	// Kinds has the kinds of operations of which there were any.
	Kinds []KindReport `json:"kinds"`
	// Errors counts the operations that failed, by the kind of the error.
	Errors map[client.Kind]uint64 `json:"errors"`

	// Versions counts the gets that saw no version of their key, one, two and so
	// on, in this order; those that saw kv.MaxSiblings or more are the last.
	Versions []uint64 `json:"versions"`
	// Conflicts is the number of gets that saw more than one sibling, and
	// MostSiblings the largest number that one saw.
	Conflicts    uint64 `json:"conflicts"`
	MostSiblings int    `json:"most_siblings"`
	// Missing is the number of reads of keys without a value.
	Missing uint64 `json:"missing"`
	// Staleness is nil unless it was measured.
	Staleness *StalenessReport `json:"staleness,omitempty"`

	// ClusterCPU is the processor time of all nodes for each operation, in
	// microseconds. If it is not known it is 0, and ClusterCPUNote tells why.
	ClusterCPU     float64 `json:"cluster_cpu_us_per_op"`
	ClusterCPUNote string  `json:"cluster_cpu_note,omitempty"`
	// OwnCPU is that of the load generator's processes.
	OwnCPU float64 `json:"own_cpu_us_per_op"`

	// Timeline is what was done in each step of the time that was measured.
	Timeline []Interval `json:"timeline,omitempty"`
}

// OpenReport is how an open loop went.
type OpenReport struct {
	// Due operations fell into the measurement, Unbegun of them had been begun by
	// nobody when it ended: they are in no percentile, and the oldest of them had
	// been due for BehindAtEnd.
	Due         uint64  `json:"due"`
	Offered     float64 `json:"offered_per_second"`
	Unbegun     uint64  `json:"unbegun"`
	BehindAtEnd float64 `json:"behind_at_end_ms"`
	// Behind is how late operations were begun.
	Behind Latency `json:"behind"`
}

// KindReport is what operations of one kind took: in a closed loop from the call to
// its return, in an open one from when they were due.
type KindReport struct {
	Kind  string `json:"kind"`
	Count int64  `json:"count"`
	// Whole tells that these consist of others, and are not counted in Report.Ops.
	Whole bool `json:"whole,omitempty"`
	Latency
	// Service is what they took in an open loop from the call to its return: what
	// leaves out the wait for a caller who was free.
	Service *Latency `json:"service,omitempty"`
}

// Latency is percentiles, in milliseconds, to three digits but no finer than a
// microsecond.
type Latency struct {
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	P9999 float64 `json:"p9999_ms"`
	Max   float64 `json:"max_ms"`
	// Histogram has all of them, in nanoseconds: HdrHistogram's V2 compressed form
	// in base64.
	Histogram string `json:"histogram,omitempty"`
}

// Interval is a step of the timeline. What was due in the measurement counts in the
// step in which it ended, the last one for what ended after it.
type Interval struct {
	// At is when it began, in seconds of the measurement.
	At        float64                `json:"at"`
	Seconds   float64                `json:"seconds"`
	Ops       int64                  `json:"ops"`
	OpsPerSec float64                `json:"ops_per_second"`
	Errors    map[client.Kind]uint64 `json:"errors,omitempty"`
	// Behind is the furthest that an open loop was behind, in milliseconds.
	Behind float64        `json:"behind_ms,omitempty"`
	Kinds  []IntervalKind `json:"kinds"`
}

// IntervalKind is what operations of one kind took in a step, in milliseconds.
type IntervalKind struct {
	Kind  string  `json:"kind"`
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

func (c Config) setup() Setup {
	s := Setup{
		Workload: c.Workload, Door: c.Door, Routing: c.Routing, Distribution: c.Distribution, Keys: c.Keys,
		Concurrency: c.Concurrency, Processes: c.processes(), Conns: c.Conns,
		WarmUp: c.WarmUp.Seconds(), Duration: c.Duration.Seconds(),
		R: given(c.R), W: given(c.W), DW: given(c.DW), Strict: c.Strict, Timeout: micros(c.Timeout) / 1000, Cluster: c.Cluster,
	}
	if c.Distribution == Hotspot {
		s.HotKeys, s.HotShare = c.HotKeys, c.HotShare
	}
	var same bool
	sizes := c.sizes()
	if s.ValueBytes, same = sizes.Constant(); !same {
		s.ValueBytes, s.Values = 0, sizes.String()
	}
	if c.open() {
		s.Rate, s.Arrivals, s.Ramp = c.Rate, c.Arrivals, c.Ramp.Seconds()
	}
	return s
}

func given(n int) *int {
	if n == client.Default {
		return nil
	}
	return &n
}

// newReport adds up what was done in a measurement that began at from, between two
// readings.
func newReport(cfg Config, from time.Time, parts []part, before, after reading) (Report, error) {
	w, err := join(parts)
	if err != nil {
		return Report{}, err
	}
	r := Report{
		Format: Format, Started: from.UTC().Truncate(time.Millisecond), Setup: cfg.setup(),
		Seconds: w.seconds, Interrupted: w.interrupted, Ops: w.all.ops(), Kinds: w.all.kinds(),
		Errors: w.all.errors, Missing: w.all.missing, Staleness: w.stale.report(cfg.Delays),
	}
	r.setVersions(w.all)
	for i, step := range w.steps {
		if step != nil {
			r.Timeline = append(r.Timeline, step.interval(w.times[i]))
		}
	}
	if r.Seconds > 0 {
		r.OpsPerSec = float64(r.Ops) / r.Seconds
	}
	if cfg.open() && r.Seconds > 0 {
		r.Open = &OpenReport{
			Due: w.duties.Due, Offered: float64(w.duties.Due) / min(r.Seconds, cfg.Duration.Seconds()), Unbegun: w.duties.Unbegun,
			BehindAtEnd: micros(w.duties.Behind) / 1000, Behind: newLatency(w.all.behind),
		}
	}
	cluster, err := after.clusterSince(before)
	if err != nil {
		r.ClusterCPUNote = err.Error()
	}
	if r.Ops > 0 {
		r.ClusterCPU = micros(cluster) / float64(r.Ops)
		r.OwnCPU = micros(w.own) / float64(r.Ops)
	}
	return r, nil
}

func (r *Report) setVersions(all *record) {
	for n, gets := range all.versions {
		if gets == 0 {
			continue
		}
		for len(r.Versions) < n {
			r.Versions = append(r.Versions, 0)
		}
		r.Versions = append(r.Versions, gets)
		r.MostSiblings = n
		if n > 1 {
			r.Conflicts += gets
		}
	}
}

// kinds returns the kinds of which there were any.
func (r *record) kinds() (out []KindReport) {
	for k, h := range r.latencies {
		if !hasAny(h) {
			continue
		}
		kr := KindReport{Kind: kindNames[k], Count: h.TotalCount(), Whole: kind(k) == modify, Latency: newLatency(h)}
		if s := r.services[k]; hasAny(s) {
			service := newLatency(s)
			kr.Service = &service
		}
		out = append(out, kr)
	}
	return out
}

func (r *record) interval(i Interval) Interval {
	i.Ops, i.Errors = r.ops(), r.errors
	if i.Seconds > 0 {
		i.OpsPerSec = float64(i.Ops) / i.Seconds
	}
	if hasAny(r.behind) {
		i.Behind = millisAt(r.behind, 100)
	}
	for k, h := range r.latencies {
		if hasAny(h) {
			i.Kinds = append(i.Kinds, IntervalKind{
				Kind: kindNames[k], Count: h.TotalCount(), P50: millisAt(h, 50), P99: millisAt(h, 99), P999: millisAt(h, 99.9), Max: millisAt(h, 100),
			})
		}
	}
	return i
}

func newLatency(h *hdrhistogram.Histogram) Latency {
	if h == nil {
		return Latency{}
	}
	return Latency{
		P50: millisAt(h, 50), P90: millisAt(h, 90), P99: millisAt(h, 99), P999: millisAt(h, 99.9), P9999: millisAt(h, 99.99), Max: millisAt(h, 100),
		Histogram: encode(h),
	}
}

func hasAny(h *hdrhistogram.Histogram) bool { return h != nil && h.TotalCount() > 0 }

func millisAt(h *hdrhistogram.Histogram, percent float64) float64 {
	return micros(time.Duration(h.ValueAtQuantile(percent))) / 1000
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
