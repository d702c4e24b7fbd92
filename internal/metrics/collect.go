package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Sample is a number that a part of the node knows when it is asked.
type Sample struct {
	// Name follows Prometheus's conventions: ringtail_storage_disk_bytes. The
	// same Name always comes with the same Help, Counter and names of Labels.
	Name, Help string
	// Counter marks a number that only grows while the process lives; any other
	// is a gauge.
	Counter bool
	Labels  []Label
	Value   float64
}

// Label tells samples of one name apart.
type Label struct{ Name, Value string }

// Source emits the samples of one part of the node. It is called for each
// scrape, perhaps concurrently, and does not block.
type Source func(emit func(Sample))

// AddSource lets s take part in every scrape from now on.
func (n *Node) AddSource(s Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.sources = append(n.mu.sources, s)
}

// Handler returns the page /metrics: all that n counts, its sources, and what
// the Go runtime and the operating system tell of the process.
func (n *Node) Handler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{n}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// The exported latency bounds are 16 µs to 67 s, each twice the one before.
const (
	firstBound = 4
	lastBound  = doublings
)

// sizeBounds are the exported bounds of Sizes.
var sizeBounds = []int{0, 1, 2, 3, 4, 5, 6, 8, 10, 16, 32, 64, 100}

type desc = prometheus.Desc

func newDesc(name, help string, labels ...string) *desc {
	return prometheus.NewDesc("ringtail_"+name, help, labels, nil)
}

var (
	descLatency = newDesc("request_duration_seconds",
		"Time that gets and puts took at this node, as their coordinator or forwarder, by outcome.", "op", "outcome")
	descErrors = newDesc("request_errors_total", "Gets and puts that ended in an error, by kind.", "op", "kind")
	descAsked  = newDesc("quorum_replicas_asked", "Replicas that a request was sent to.", "op")
	descAnswer = newDesc("quorum_replicas_answered", "Replicas that had answered when the request ended.", "op")
	descSibs   = newDesc("get_siblings", "Live values that a get found.")
	descDoor   = newDesc("door_requests_total", "Requests for keys, by where they came in.", "door")
	descFwd    = newDesc("requests_forwarded_total", "Requests passed on to an owner of the key.")
	descStale  = newDesc("stale_ring_retries_total", "Requests that began again under a newer ring.")
	descStand  = newDesc("standins_total", "Writes that a stand-in took for an owner.")
	descHedge  = newDesc("hedges_total", "Gets that took too long: a second node was asked (sent), answered first (won), or was not asked as 5 % of the requests had been hedged (refused).", "event")
	descTrunc  = newDesc("clock_entries_truncated_total", "Entries that the hard cap took off clocks.")
	descCapped = newDesc("puts_capped_total", "Puts refused because the key had too many siblings.")
	descCPU    = newDesc("cpu_seconds_total", "Processor time that the process used, user and system.")
)

// collector shows a Node to Prometheus. It is of the unchecked sort: its
// sources say what they have only when they are asked.
type collector struct{ n *Node }

// Describe implements prometheus.Collector.
func (c collector) Describe(chan<- *desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	n := c.n
	counter := func(d *desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for op := range numOps {
		for o := range numOutcomes {
			ch <- histogramMetric(descLatency, &n.latency[op][o], op.String(), o.String())
		}
		for k := range kv.NumKinds {
			counter(descErrors, n.errors[op][k].Load(), op.String(), k.String())
		}
		ch <- sizesMetric(descAsked, &n.QuorumAsked[op], op.String())
		ch <- sizesMetric(descAnswer, &n.QuorumAnswered[op], op.String())
	}
	ch <- sizesMetric(descSibs, &n.GetSiblings)
	n.collectStages(ch)
	for d := range numDoors {
		counter(descDoor, n.Requests[d].Load(), d.String())
	}
	counter(descFwd, n.Forwarded.Load())
	counter(descStale, n.StaleRing.Load())
	counter(descStand, n.StandIns.Load())
	counter(descHedge, n.HedgesSent.Load(), "sent")
	counter(descHedge, n.HedgesWon.Load(), "won")
	counter(descHedge, n.HedgesRefused.Load(), "refused")
	counter(descTrunc, n.ClockTruncated.Load())
	counter(descCapped, n.PutsCapped.Load())
	ch <- prometheus.MustNewConstMetric(descCPU, prometheus.CounterValue, CPUTime().Seconds())
	for i := range lastVersions + 1 {
		counter(descVers, n.GetSiblings.versions(i), versionsText(i))
	}
	n.collectSLA(time.Now(), ch)
	n.lag.collect(ch)
	n.mu.Lock()
	sources := n.mu.sources
	n.mu.Unlock()
	for _, s := range sources {
		s(func(v Sample) { ch <- v.metric() })
	}
}

func histogramMetric(d *desc, h *Histogram, labels ...string) prometheus.Metric {
	var s Snapshot
	s.Add(h)
	return snapshotMetric(d, &s, labels...)
}

func snapshotMetric(d *desc, s *Snapshot, labels ...string) prometheus.Metric {
	bounds := make(map[float64]uint64, lastBound-firstBound+1)
	for k := firstBound; k <= lastBound; k++ {
		bounds[float64(uint64(1)<<k)/1e6] = s.below(k)
	}
	return prometheus.MustNewConstHistogram(d, s.Count(), s.Sum.Seconds(), bounds, labels...)
}

// sizesMetric reads the count last, so that no bound exceeds it while others
// record.
func sizesMetric(d *desc, s *Sizes, labels ...string) prometheus.Metric {
	bounds := make(map[float64]uint64, len(sizeBounds))
	for _, b := range sizeBounds {
		bounds[float64(b)] = s.below(b)
	}
	sum := float64(s.sum.Load())
	return prometheus.MustNewConstHistogram(d, s.count(), sum, bounds, labels...)
}

// metric returns v in Prometheus's form; one that breaks its rules shows as an
// error of the scrape, which the other samples survive.
func (v Sample) metric() prometheus.Metric {
	names, values := make([]string, len(v.Labels)), make([]string, len(v.Labels))
	for i, l := range v.Labels {
		names[i], values[i] = l.Name, l.Value
	}
	kind := prometheus.GaugeValue
	if v.Counter {
		kind = prometheus.CounterValue
	}
	d := prometheus.NewDesc(v.Name, v.Help, names, nil)
	m, err := prometheus.NewConstMetric(d, kind, v.Value, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}
