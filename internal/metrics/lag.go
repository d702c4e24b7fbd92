package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Lag counts, of a sample of the puts, how long after the answer to the client the
// owners acknowledged that had not done so before: the window in which a get that
// asks one of them misses the put. It is safe for concurrent use and lock-free.
type Lag struct {
	// puts were sampled, and had so many owners; had of these had acknowledged
	// before the answer.
	puts, owners, had atomic.Uint64
	after             Histogram
	none              Histogram
	window            *Window
}

// Sampled counts a put that is answered, of which had of its owners have
// acknowledged.
func (l *Lag) Sampled(owners, had int) {
	l.puts.Add(1)
	l.owners.Add(uint64(owners))
	l.had.Add(uint64(had))
}

// Acknowledged counts an owner of such a put that did so only after the answer.
func (l *Lag) Acknowledged(after time.Duration) { l.after.Record(after) }

// Lag is how long owners take to have what was answered.
func (n *Node) Lag() *Lag { return &n.lag }

// staleAfter are the times at which Staleness tells how likely a miss is.
var staleAfter = []time.Duration{0, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// Staleness is how likely it is that an owner, taken by chance, lacks a put some
// time after it was acknowledged to the client: what a get at r=1 would miss.
type Staleness struct {
	// Puts is the number of puts that it was measured with, over the last minute,
	// Owners that of their owners.
	Puts   uint64 `json:"puts"`
	Owners uint64 `json:"owners"`
	// Misses are by time, empty when there was nothing to measure.
	Misses []Miss `json:"misses,omitempty"`
}

// Miss is the part of the owners that lacked a put at a time after its answer.
type Miss struct {
	AfterMS float64 `json:"after_ms"`
	P       float64 `json:"p"`
}

// Staleness returns the figures of the minute before now.
func (n *Node) Staleness(now time.Time) Staleness {
	m := n.lag.window.since(now)
	s, more := &m.all, m.more
	out := Staleness{Puts: more.puts, Owners: more.owners}
	if out.Owners == 0 {
		return out
	}
	for _, t := range staleAfter {
		got := more.had
		if t > 0 {
			got += s.Count() - s.Above(t)
		}
		// What was acknowledged within the minute may be of a put from before it.
		missing := out.Owners - min(got, out.Owners)
		out.Misses = append(out.Misses, Miss{AfterMS: millis(t), P: float64(missing) / float64(out.Owners)})
	}
	return out
}

var (
	descLag = newDesc("replication_lag_seconds",
		"Of sampled puts: time from the answer to the client until each owner acknowledged that had not done so before.")
	descSampled = newDesc("replication_sampled_puts_total", "Puts whose replication was timed.")
	descOwners  = newDesc("replication_sampled_owners_total", "Owners of sampled puts, by whether they had acknowledged when the client was answered.", "had")
)

func (l *Lag) collect(ch chan<- prometheus.Metric) {
	var s Snapshot
	s.Add(&l.after)
	bounds := make(map[float64]uint64, lastBound-firstBound+1)
	for k := firstBound; k <= lastBound; k++ {
		bounds[float64(uint64(1)<<k)/1e6] = s.below(k)
	}
	had := l.had.Load()
	ch <- prometheus.MustNewConstHistogram(descLag, s.Count(), s.Sum.Seconds(), bounds)
	ch <- prometheus.MustNewConstMetric(descSampled, prometheus.CounterValue, float64(l.puts.Load()))
	ch <- prometheus.MustNewConstMetric(descOwners, prometheus.CounterValue, float64(had), "yes")
	ch <- prometheus.MustNewConstMetric(descOwners, prometheus.CounterValue, float64(max(l.owners.Load(), had)-had), "no")
}
