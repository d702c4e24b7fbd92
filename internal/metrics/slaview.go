package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// SLA is what gets and puts took over the last minute at one node, and how that
// compares with what was promised.
type SLA struct {
	// Get and Put are those that the node coordinated.
	Get Latency `json:"get"`
	Put Latency `json:"put"`
	// Objectives are what requests are held to that clients brought to the node, the
	// cluster's first.
	Objectives []Objective `json:"objectives,omitempty"`
}

// Objective is one objective, and how it was kept.
type Objective struct {
	// Bucket is whose it is, empty for the cluster's.
	Bucket string `json:"bucket,omitempty"`
	Op     string `json:"op"`
	// Text is the objective in words: 99.9% of puts < 300ms.
	Text    string  `json:"objective"`
	BoundMS float64 `json:"bound_ms"`
	// Met tells whether the last minute kept to it; a minute without requests does.
	Met bool `json:"met"`
	// Count is the number of requests of the last minute, Breaches of those that
	// took too long, failed or were refused.
	Count    uint64  `json:"count"`
	Breaches uint64  `json:"breaches"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	P999     float64 `json:"p999_ms"`
	// Stages and Peers are the breaches by the stage that took most of their time,
	// and by the node that was waited for; Stage is the stage of most of them.
	Stage  string            `json:"stage,omitempty"`
	Stages map[string]uint64 `json:"stages,omitempty"`
	Peers  map[string]uint64 `json:"peers,omitempty"`
	// BreachesTotal and MinutesMissed count since the objective was set, or the node
	// started.
	BreachesTotal uint64 `json:"breaches_total"`
	MinutesMissed uint64 `json:"minutes_missed"`
}

// SLA returns the figures of the minute before now, with nodes by name.
func (n *Node) SLA(now time.Time, name func(kv.NodeID) string) SLA {
	s := SLA{Get: n.windows[OpGet].LastMinute(now), Put: n.windows[OpPut].LastMinute(now)}
	for _, p := range n.contract.Load().all() {
		s.Objectives = append(s.Objectives, p.view(now, name))
	}
	return s
}

func (p *pledge) view(now time.Time, name func(kv.NodeID) string) Objective {
	last, why := p.window.lastMinute(now)
	var ever blamed
	p.blame.read(&ever)
	v := Objective{
		Bucket: bucketText(p.bucket), Op: p.op.String(), Text: p.promise(), BoundMS: millis(p.bound),
		Met: p.objective.Allows(last.Failed, last.Count), Count: last.Count, Breaches: last.Failed,
		P50: last.P50, P99: last.P99, P999: last.P999, Stage: why.most(), MinutesMissed: p.minutes.Load(),
	}
	count := func(to *map[string]uint64, what string, n uint64) {
		if *to == nil {
			*to = map[string]uint64{}
		}
		(*to)[what] += n
	}
	for i, n := range why.stages {
		v.BreachesTotal += ever.stages[i]
		if n > 0 {
			count(&v.Stages, Cause(i).String(), n)
		}
	}
	for i, n := range why.peers {
		if n > 0 {
			count(&v.Peers, name(kv.NodeID(p.blame.peers[i].id.Load())), n)
		}
	}
	return v
}

var (
	descBound = newDesc("sla_objective_seconds",
		"What a share of the requests is to take less than; bucket is empty for the cluster's.", "op", "bucket")
	descShare   = newDesc("sla_objective_ratio", "That share, 0 to 1.", "op", "bucket")
	descMet     = newDesc("sla_met", "1 while the last minute kept to the objective, else 0.", "op", "bucket")
	descHeld    = newDesc("sla_requests_total", "Requests that clients brought to this node, and that count for the objective.", "op", "bucket")
	descBreach  = newDesc("sla_breaches_total", "Requests that took too long, failed or were refused, by the stage that took most of the time.", "op", "bucket", "stage")
	descMinutes = newDesc("sla_minutes_missed_total", "Minutes in which the objective was missed.", "op", "bucket")
)

// collectSLA shows the pledges to Prometheus.
func (n *Node) collectSLA(now time.Time, ch chan<- prometheus.Metric) {
	for _, p := range n.contract.Load().all() {
		labels := []string{p.op.String(), bucketText(p.bucket)}
		show := func(d *desc, t prometheus.ValueType, v float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, t, v, append(labels[:2:2], more...)...)
		}
		last, _ := p.window.lastMinute(now)
		met := 0.0
		if p.objective.Allows(last.Failed, last.Count) {
			met = 1
		}
		var all Snapshot
		all.Add(&p.within)
		all.Add(&p.beyond)
		show(descBound, prometheus.GaugeValue, p.bound.Seconds())
		show(descShare, prometheus.GaugeValue, float64(p.objective.Share)/kv.WholeShare)
		show(descMet, prometheus.GaugeValue, met)
		show(descHeld, prometheus.CounterValue, float64(all.Count()))
		show(descMinutes, prometheus.CounterValue, float64(p.minutes.Load()))
		for s := range numCauses {
			show(descBreach, prometheus.CounterValue, float64(p.blame.stages[s].Load()), s.String())
		}
	}
}
