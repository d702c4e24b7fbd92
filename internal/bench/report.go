package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/client"
)

// Report is what came of a run. As JSON it is one object.
type Report struct {
	Workload     Workload     `json:"workload"`
	Door         Door         `json:"door"`
	Routing      Routing      `json:"routing"`
	Distribution Distribution `json:"distribution"`
	Keys         int          `json:"keys"`
	ValueBytes   int          `json:"value_bytes"`
	Concurrency  int          `json:"concurrency"`

	// Seconds is how long was measured; Interrupted tells that this is less than
	// was asked for.
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted,omitempty"`
	// Ops is the number of operations that succeeded, the gets that updates
	// needed first included. Those that failed are in Errors alone.
	Ops       int64   `json:"ops"`
	OpsPerSec float64 `json:"ops_per_second"`
	// Kinds has the kinds of operations of which there were any.
	Kinds []KindReport `json:"kinds"`
	// Errors counts the operations that failed, by the kind of the error.
	Errors map[client.Kind]uint64 `json:"errors"`

	// Conflicts is the number of gets that saw more than one sibling, and
	// MostSiblings the largest number that one saw.
	Conflicts    uint64 `json:"conflicts"`
	MostSiblings int    `json:"most_siblings"`
	// Missing is the number of reads of keys without a value.
	Missing uint64 `json:"missing"`

	// ClusterCPU is the processor time of all nodes for each operation, in
	// microseconds. If it is not known it is 0, and ClusterCPUNote tells why.
	ClusterCPU     float64 `json:"cluster_cpu_us_per_op"`
	ClusterCPUNote string  `json:"cluster_cpu_note,omitempty"`
	// OwnCPU is that of the load generator's process.
	OwnCPU float64 `json:"own_cpu_us_per_op"`
}

// KindReport is what operations of one kind took, from the call to its return,
// in milliseconds, to three digits but no finer than a microsecond.
type KindReport struct {
	Kind  string  `json:"kind"`
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p999_ms"`
	Max   float64 `json:"max_ms"`
}

// report adds up what the workers recorded between two readings.
func (b *bench) report(before, after reading) Report {
	all := newRecord()
	for _, w := range b.workers {
		all.merge(w.record)
	}
	r := Report{
		Workload: b.cfg.Workload, Door: b.cfg.Door, Routing: b.cfg.Routing, Distribution: b.cfg.Distribution, Keys: b.cfg.Keys,
		ValueBytes: b.cfg.ValueBytes, Concurrency: b.cfg.Concurrency,
		Seconds: after.at.Sub(before.at).Seconds(),
		Errors:  all.errors, Conflicts: all.conflicts, MostSiblings: all.most, Missing: all.missing,
	}
	for k, h := range all.latencies {
		if n := h.TotalCount(); n > 0 {
			r.Ops += n
			r.Kinds = append(r.Kinds, newKindReport(kindNames[k], h))
		}
	}
	if r.Seconds > 0 {
		r.OpsPerSec = float64(r.Ops) / r.Seconds
	}
	cluster, err := after.clusterSince(before)
	if err != nil {
		r.ClusterCPUNote = err.Error()
	}
	if r.Ops > 0 {
		r.ClusterCPU = micros(cluster) / float64(r.Ops)
		r.OwnCPU = micros(after.own-before.own) / float64(r.Ops)
	}
	return r
}

func newKindReport(name string, h *hdrhistogram.Histogram) KindReport {
	at := func(percent float64) float64 { return micros(time.Duration(h.ValueAtQuantile(percent))) / 1000 }
	return KindReport{Kind: name, Count: h.TotalCount(), P50: at(50), P99: at(99), P999: at(99.9), Max: at(100)}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
