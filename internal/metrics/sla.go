package metrics

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// MaxHeldBuckets bounds the buckets that are held to an SLA of their own, each of
// which takes some 230 KiB; requests of the others are held to the cluster's.
const MaxHeldBuckets = 16

// pledge is one objective: what is asked of the gets, or the puts, of a bucket or
// of all. What it counts began when it was set, or the node started.
type pledge struct {
	op Op
	// bucket is "" for all without one of their own.
	bucket    string
	objective kv.Objective
	bound     time.Duration

	// beyond has the breaches, within all other requests.
	within, beyond Histogram
	blame          blame
	window         *Window

	// minutes is how many were missed.
	minutes atomic.Uint64
	// Minutes are looked at one by one: minute is when the present one began. Both
	// are guarded by Node.mu.
	minute time.Time
	missed bool
}

// pledges are those of gets and puts.
type pledges [numOps]*pledge

// contract is what requests are held to. It does not change.
type contract struct {
	cluster pledges
	// buckets has those with objectives of their own, and types of buckets; those
	// that do without though their type has some, and those past the limit, are
	// there with the cluster's.
	buckets map[string]pledges
}

// of returns what a request is held to. It allocates nothing.
func (c *contract) of(op Op, bucket []byte) *pledge {
	if len(c.buckets) == 0 {
		return c.cluster[op]
	}
	p, ok := c.buckets[string(bucket)]
	if !ok {
		p, ok = c.buckets[string(kv.TypeOf(bucket))]
	}
	if !ok {
		return c.cluster[op]
	}
	return p[op]
}

// all returns the pledges, the cluster's first, then by bucket.
func (c *contract) all() []*pledge {
	list := slices.Clone(c.cluster[:])
	for _, name := range slices.Sorted(maps.Keys(c.buckets)) {
		for op, p := range c.buckets[name] {
			if p != c.cluster[op] {
				list = append(list, p)
			}
		}
	}
	return list
}

// Agree has requests held to an SLA from now on, of those buckets, and types of
// buckets, to their own: the names are those under which properties stand. The
// cluster's has both objectives; a bucket is held to it where its own has none. What
// is asked as before goes on as it was.
func (n *Node) Agree(now time.Time, cluster kv.SLA, buckets map[string]kv.SLA) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.contract.Load()
	next := &contract{buckets: make(map[string]pledges)}
	next.cluster = pledges{OpGet: was.keep(now, OpGet, "", cluster.Get), OpPut: was.keep(now, OpPut, "", cluster.Put)}
	held := 0
	for _, name := range was.order(buckets) {
		p, sla := next.cluster, buckets[name]
		switch {
		case sla == kv.SLA{}:
		case held == MaxHeldBuckets:
			sla = kv.SLA{}
		default:
			held++
		}
		if sla.Get != (kv.Objective{}) {
			p[OpGet] = was.keep(now, OpGet, name, sla.Get)
		}
		if sla.Put != (kv.Objective{}) {
			p[OpPut] = was.keep(now, OpPut, name, sla.Put)
		}
		next.buckets[name] = p
	}
	n.contract.Store(next)
}

// order returns the names, those first that are held to an SLA of their own already.
func (c *contract) order(buckets map[string]kv.SLA) []string {
	names := slices.Sorted(maps.Keys(buckets))
	slices.SortStableFunc(names, func(a, b string) int { return c.rank(a) - c.rank(b) })
	return names
}

func (c *contract) rank(name string) int {
	if c == nil {
		return 1
	}
	if p, ok := c.buckets[name]; ok && p != c.cluster {
		return 0
	}
	return 1
}

// keep returns the pledge that there is, if it asks the same, else a new one.
func (c *contract) keep(now time.Time, op Op, bucket string, o kv.Objective) *pledge {
	if c != nil {
		p := c.cluster[op]
		if bucket != "" {
			p = c.buckets[bucket][op]
		}
		if p != nil && p.bucket == bucket && p.objective == o {
			return p
		}
	}
	p := &pledge{op: op, bucket: bucket, objective: o, bound: o.Bound(), minute: now}
	p.window = NewWindow(now, &p.within, &p.beyond)
	p.window.blame = &p.blame
	return p
}

// Held counts a request that a client brought to this node, and that ended after
// took, at stage if it took long, where peer was waited for, 0 for nobody. One that
// failed is a breach, and took as long as the bound at least, so that percentiles say
// what the verdict says; one that was refused for a mistake of
// the caller's own does not count.
func (n *Node) Held(op Op, bucket []byte, took time.Duration, err error, stage Cause, peer kv.NodeID) {
	if err != nil {
		if kind := kv.KindOf(err); kind < kv.NumKinds && outcomes[kind] == Rejected {
			return
		}
	}
	p := n.contract.Load().of(op, bucket)
	if err == nil && took < p.bound {
		p.within.Record(took)
		return
	}
	p.beyond.Record(max(took, p.bound))
	p.blame.record(stage, peer)
}

// Verdict is that an objective came to be missed over the last minute, or to be met
// again.
type Verdict struct {
	Met bool
	// Promise is the objective in words, "99.9% of puts < 300ms", Bucket whose it is,
	// "" for the cluster's.
	Promise, Bucket string
	Last            Latency
	// Stage is where most of the breaches spent their time.
	Stage string
}

// Judge looks at the last minute, and returns what has changed since it last did.
// Call it after Tick.
func (n *Node) Judge(now time.Time) []Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	var list []Verdict
	for _, p := range n.contract.Load().all() {
		last, why := p.window.lastMinute(now)
		missed := !p.objective.Allows(last.Failed, last.Count)
		if missed != p.missed {
			list = append(list, Verdict{Met: !missed, Promise: p.promise(), Bucket: bucketText(p.bucket), Last: last, Stage: why.most()})
		}
		p.missed = missed
		if now.Sub(p.minute) >= Minute {
			p.minute = now
			if missed {
				p.minutes.Add(1)
			}
		}
	}
	return list
}

// promise is the objective in words.
func (p *pledge) promise() string {
	s := kv.SLA{Put: p.objective}
	if p.op == OpGet {
		s = kv.SLA{Get: p.objective}
	}
	return s.String()
}

func bucketText(name string) string {
	if name == "" {
		return ""
	}
	return kv.BucketText(name)
}
