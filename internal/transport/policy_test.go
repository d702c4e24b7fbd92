package transport

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The model of a node by which the rule of late was chosen (docs/adr/0019): one
// processor that serves three connections in turn, a slice each: requests of clients,
// which are let in or refused, the replica messages of other nodes' requests, and the
// answers to its own. All nodes are alike, so that what one sends is what it gets.
// What the socket of the clients has no room for waits with them.
const (
	coordinateCost = 12 * time.Microsecond
	replicaCost    = 8 * time.Microsecond
	answerCost     = 2 * time.Microsecond
	refuseCost     = time.Microsecond
	modelSlice     = 10 * time.Millisecond
	modelTimeout   = 2 * time.Second
	// modelRate is what saturates it, in requests a second.
	modelRate = float64(time.Second) / float64(coordinateCost+2*replicaCost+2*answerCost)
)

// policy lets requests in.
type policy interface {
	admit(m *modelled, waited time.Duration) bool
	done(now, took time.Duration)
}

type modelled struct {
	policy
	rng *rand.Rand
	// stallFor is how long the processor is taken away each stallEvery.
	stallFor, stallEvery time.Duration
	slow                 float64 // factor of all costs
	// socket is how many requests of clients the sockets hold, 0 for all. By stamps
	// the node knows of the wait before them too.
	socket int
	stamps bool

	now, next, stalled time.Duration
	every              time.Duration
	clients            []modelClient
	before             []time.Duration // when those came that wait with the client
	replicas, answers  []modelMessage
	// replicaWait is what the last replica message had waited.
	replicaWait time.Duration
	inFlight    int
	lats        []time.Duration
}

// modelClient is a request that came, and is in the socket since then or later.
type modelClient struct{ came, since time.Duration }

type modelRequest struct {
	came, began time.Duration
	answers     int
}

// modelMessage is one on its way since sent.
type modelMessage struct {
	*modelRequest
	sent time.Duration
}

// run offers a load for a while and forgets the first second's outcome.
func (m *modelled) run(load float64, lasts time.Duration) (goodput float64, p999 time.Duration) {
	m.every = time.Duration(float64(time.Second) / (load * modelRate))
	for counted := false; m.now < lasts; {
		if !counted && m.now > time.Second {
			counted, m.lats = true, nil
		}
		idle := true
		for _, serve := range []func() bool{m.client, m.replica, m.answer} {
			for end := m.now + modelSlice; m.now < end && serve(); {
				idle = false
			}
		}
		if idle {
			m.spend(max(m.next-m.now, 0))
		}
	}
	slices.Sort(m.lats)
	if len(m.lats) == 0 {
		return 0, 0
	}
	return float64(len(m.lats)) / (lasts - time.Second).Seconds() / modelRate, m.lats[len(m.lats)*999/1000]
}

// spend lets time pass, with what comes meanwhile.
func (m *modelled) spend(d time.Duration) {
	m.now += time.Duration(float64(d) * m.slow)
	if m.stallFor > 0 && m.now-m.stalled > m.stallEvery {
		m.now += m.stallFor
		m.stalled = m.now
	}
	for ; m.next <= m.now; m.next += time.Duration(m.rng.ExpFloat64() * float64(m.every)) {
		m.before = append(m.before, m.next)
	}
	for len(m.before) > 0 && (m.socket == 0 || len(m.clients) < m.socket) {
		c := modelClient{m.before[0], m.before[0]}
		if m.socket > 0 && len(m.clients) == m.socket-1 {
			c.since = m.now // there was no room
		}
		m.clients, m.before = append(m.clients, c), m.before[1:]
	}
}

func (m *modelled) client() bool {
	if len(m.clients) == 0 {
		m.spend(0)
		return len(m.clients) > 0
	}
	c := m.clients[0]
	m.clients = m.clients[1:]
	waited := m.now - c.since
	if m.stamps {
		waited = m.now - c.came
	}
	if !m.admit(m, waited) || waited > modelTimeout {
		m.spend(refuseCost)
		return true
	}
	m.inFlight++
	m.spend(coordinateCost)
	r := modelMessage{&modelRequest{came: c.came, began: m.now}, m.now}
	m.replicas = append(m.replicas, r, r)
	return true
}

func (m *modelled) replica() bool {
	if len(m.replicas) == 0 {
		return false
	}
	r := m.replicas[0]
	m.replicas = m.replicas[1:]
	m.replicaWait = m.now - r.sent
	m.spend(replicaCost)
	m.answers = append(m.answers, r)
	return true
}

func (m *modelled) answer() bool {
	if len(m.answers) == 0 {
		return false
	}
	m.spend(answerCost)
	r := m.answers[0]
	m.answers = m.answers[1:]
	if r.answers++; r.answers == 1 {
		m.inFlight--
		m.done(m.now, m.now-r.began)
		if took := m.now - r.came; took < modelTimeout {
			m.lats = append(m.lats, took)
		}
	}
	return true
}

// everything lets everything in.
type everything struct{}

func (everything) admit(*modelled, time.Duration) bool { return true }
func (everything) done(time.Duration, time.Duration)   {}

// byWait is the rule of late. A read of 64 messages that leaves something behind is
// how a queue is known to stand.
type byWait struct {
	most                   time.Duration
	clients, replicas, now time.Duration
	clientsAlone           bool
}

func (p *byWait) admit(m *modelled, waited time.Duration) bool {
	step := min(m.now-p.now, atMost)
	p.now = m.now
	stood(&p.clients, step, len(m.clients))
	stood(&p.replicas, step, len(m.replicas))
	if !p.clientsAlone && m.replicaWait > p.most && p.replicas > standsAfter {
		return false
	}
	return waited <= p.most || p.clients <= standsAfter
}

func stood(d *time.Duration, step time.Duration, queued int) {
	if *d += step; queued <= 64 {
		*d = 0
	}
}

func (*byWait) done(time.Duration, time.Duration) {}

// byWaitAlone refuses what has waited for too long, whether a queue stands or not.
type byWaitAlone struct{ most time.Duration }

func (p byWaitAlone) admit(_ *modelled, waited time.Duration) bool { return waited <= p.most }
func (byWaitAlone) done(time.Duration, time.Duration)              {}

// additive bounds the requests under way: ten more each 100 ms while the 90th
// percentile of their times is within target, a tenth less if not.
type additive struct {
	target time.Duration
	limit  float64
	until  time.Duration
	took   []time.Duration
}

func (p *additive) admit(m *modelled, _ time.Duration) bool { return float64(m.inFlight) < p.limit }

func (p *additive) done(now, took time.Duration) {
	if p.took = append(p.took, took); now < p.until {
		return
	}
	slices.Sort(p.took)
	if p.took[len(p.took)*9/10] > p.target {
		p.limit = max(0.9*p.limit, 4)
	} else {
		p.limit += 10
	}
	p.until, p.took = now+100*time.Millisecond, p.took[:0]
}

// gradient bounds them by the ratio of what they took in the long run to what they
// take now.
type gradient struct {
	long, limit float64
	until       time.Duration
	sum         float64
	n           int
}

func (p *gradient) admit(m *modelled, _ time.Duration) bool { return float64(m.inFlight) < p.limit }

func (p *gradient) done(now, took time.Duration) {
	if p.sum, p.n = p.sum+float64(took), p.n+1; now < p.until {
		return
	}
	mean := p.sum / float64(p.n)
	if p.long == 0 {
		p.long = mean
	}
	p.long += (mean - p.long) / 100
	g := min(max(1.5*p.long/mean, 0.5), 1)
	p.limit = max(0.8*p.limit+0.2*(p.limit*g+math.Sqrt(p.limit)), 4)
	p.until, p.sum, p.n = now+100*time.Millisecond, 0, 0
}

// TestPolicies: by the rule of late goodput holds under any load, with a bounded
// tail; and a node that loses its processor now and then serves what it can. The
// others, with -v, are what it was held against.
func TestPolicies(t *testing.T) {
	const most = DefaultMaxWait
	for _, p := range []struct {
		name   string
		make   func() policy
		socket int
		stamps bool
	}{
		{"late", func() policy { return &byWait{most: most} }, 0, false},
		{"clients", func() policy { return &byWait{most: most, clientsAlone: true} }, 0, false},
		{"wait alone", func() policy { return byWaitAlone{most} }, 0, false},
		{"additive", func() policy { return &additive{target: most / 2, limit: 100} }, 0, false},
		{"gradient", func() policy { return &gradient{limit: 100} }, 0, false},
		{"none", func() policy { return everything{} }, 0, false},
		{"late, sockets of 1,000", func() policy { return &byWait{most: most} }, 1000, false},
		{"late, by stamps", func() policy { return &byWait{most: most} }, 1000, true},
	} {
		chosen := p.name == "late" || p.stamps
		if !chosen && !testing.Verbose() {
			continue
		}
		for _, v := range []struct {
			what  string
			load  float64
			stall time.Duration
			slow  float64
		}{
			{"0.9 times the load", 0.9, 0, 1},
			{"1.5 times", 1.5, 0, 1},
			{"3 times", 3, 0, 1},
			{"10 times", 10, 0, 1},
			{"3 times, all takes thrice as long", 1, 0, 3},
			{"0.4 times, 300 ms of 500 without a processor", 0.3, 300 * time.Millisecond, 1},
		} {
			m := modelled{policy: p.make(), rng: rand.New(rand.NewPCG(1, 1)), stallFor: v.stall, stallEvery: 200 * time.Millisecond, slow: v.slow, socket: p.socket, stamps: p.stamps}
			goodput, p999 := m.run(v.load, 6*time.Second)
			possible := min(v.load, 1/v.slow)
			t.Logf("%-22s %-46s goodput %.2f of %.2f, p99.9 %v", p.name, v.what, goodput, possible, p999.Round(time.Millisecond))
			if !chosen {
				continue
			}
			least := 0.9 * possible
			if v.load == 10 {
				least = 0.5 // refusals take the rest
			}
			if goodput < least || p999 > 5*most/2 && v.stall == 0 {
				t.Errorf("%s, %s: goodput %.2f of %.2f, p99.9 %v", p.name, v.what, goodput, possible, p999)
			}
		}
	}
}
