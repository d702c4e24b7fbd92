package bench

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// probeKeys is how many keys of its own each prober writes in turn.
const probeKeys = 64

// numberBytes is what the number takes at the beginning of a prober's value.
const numberBytes = 8

// probed counts what probers found at one delay.
type probed struct {
	// Gets were answered, Misses of them showed an older value than the put before
	// had left, or none.
	Gets, Misses uint64
}

// prober puts numbered values to keys of its own, and gets each of them again some
// time after it was acknowledged, elsewhere.
type prober struct {
	*shared
	to   Store
	opts []client.Option
	wait func(ctx context.Context, until time.Time) time.Time
	rand *rand.Rand
	name string
	seen [probeKeys]client.Context
	last uint64
	// found is by delay; failed counts the gets and puts that failed.
	found  []probed
	failed uint64
}

// probers are those of this process.
type probers []*prober

// probe starts the probers, if the load has any; they end with the span.
func (b *bench) probe(ctx context.Context, running *sync.WaitGroup, s span) probers {
	if len(b.cfg.Delays) == 0 || b.cfg.Process != 0 {
		return nil
	}
	var all probers
	for i := range b.cfg.Probers {
		p := newProber(b.shared, i, uint64(time.Now().UnixNano()))
		p.wait = b.wait
		all = append(all, p)
		running.Go(func() { p.run(ctx, s) })
	}
	return all
}

// newProber returns a prober whose numbers are above first.
func newProber(s *shared, i int, first uint64) *prober {
	p := &prober{
		shared: s, to: s.cfg.Probe, rand: rand.New(rand.NewPCG(s.cfg.Seed, 's'+uint64(i)<<8)), wait: waitUntil,
		name: "probe" + strconv.Itoa(i) + "-", last: first, found: make([]probed, len(s.cfg.Delays)),
	}
	if p.to == nil {
		p.to, p.opts = s.store, []client.Option{client.R(1)}
	}
	return p
}

// run probes until the end of s, from its beginning on. An error, as one of the
// load's, is counted, and waited after.
func (p *prober) run(ctx context.Context, s span) {
	pause(ctx, time.Until(s.from))
	for n := 0; ctx.Err() == nil && time.Now().Before(s.to); n++ {
		if err := p.once(ctx, n); err != nil && ctx.Err() == nil {
			p.failed++
			pause(ctx, afterError)
		}
	}
}

// once puts a number and gets it back after one of the delays.
func (p *prober) once(ctx context.Context, n int) error {
	// Each key meets each delay, however many there are of both.
	i := n / len(p.cfg.Delays) % probeKeys
	key := p.name + strconv.Itoa(i)
	if p.seen[i] == nil {
		now, err := p.store.Get(ctx, key)
		if err != nil {
			return err
		}
		p.seen[i] = now.Context
	}
	p.last++
	value := p.values.draw(p.rand)
	value = append(binary.BigEndian.AppendUint64(make([]byte, 0, max(len(value), numberBytes)), p.last), value[min(len(value), numberBytes):]...)
	put, err := p.store.Put(ctx, key, p.seen[i], value)
	p.seen[i] = nil
	if err != nil {
		return err
	}
	if len(put.Context) > 0 {
		p.seen[i] = append(client.Context(nil), put.Context...)
	}
	return p.get(ctx, key, time.Now(), p.cfg.Delays[(n+i)%len(p.cfg.Delays)])
}

// get gets the key when its last put has been acknowledged for the delay, and
// counts what it sees by the time that has really passed.
func (p *prober) get(ctx context.Context, key string, acked time.Time, delay time.Duration) error {
	asked := p.wait(ctx, acked.Add(delay))
	res, err := p.to.Get(ctx, key, p.opts...)
	if err != nil {
		return err
	}
	at := p.step(asked.Sub(acked))
	p.found[at].Gets++
	if newest(res) < p.last {
		p.found[at].Misses++
	}
	return nil
}

// step returns the greatest of the delays that is not above passed, or the first.
func (p *prober) step(passed time.Duration) int {
	n := sort.Search(len(p.cfg.Delays), func(i int) bool { return p.cfg.Delays[i] > passed })
	return max(n-1, 0)
}

// newest returns the greatest number among the values, 0 if there is none.
func newest(res client.Result) (n uint64) {
	for _, s := range res.Siblings {
		if len(s.Value) >= numberBytes {
			n = max(n, binary.BigEndian.Uint64(s.Value))
		}
	}
	return n
}

// sum adds up what all found at each of the delays.
func (ps probers) sum(delays []time.Duration) stale {
	if len(ps) == 0 {
		return stale{}
	}
	s := stale{Found: make([]probed, len(delays))}
	for _, p := range ps {
		for i, f := range p.found {
			s.Found[i].Gets += f.Gets
			s.Found[i].Misses += f.Misses
		}
		s.Failed += p.failed
	}
	return s
}

// stale is what the probers of a process found, by delay.
type stale struct {
	Found  []probed `json:",omitempty"`
	Failed uint64   `json:",omitempty"`
}

// StalenessReport is how often gets at r=1 missed a put.
type StalenessReport struct {
	// Failed counts the puts and gets of the probers that failed.
	Failed uint64          `json:"failed"`
	Delays []StalenessStep `json:"delays"`
}

// StalenessStep is what was found of gets that began DelayMillis after the put was
// acknowledged, and before the next step's delay.
type StalenessStep struct {
	DelayMillis float64 `json:"delay_ms"`
	Gets        uint64  `json:"gets"`
	Misses      uint64  `json:"misses"`
	// Share is Misses of Gets; the true one is within Low and High with 95 %.
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

func (s stale) report(delays []time.Duration) *StalenessReport {
	if len(s.Found) == 0 {
		return nil
	}
	r := &StalenessReport{Failed: s.Failed}
	for i, f := range s.Found {
		step := StalenessStep{DelayMillis: micros(delays[i]) / 1000, Gets: f.Gets, Misses: f.Misses}
		if f.Gets > 0 {
			step.Share = float64(f.Misses) / float64(f.Gets)
			step.Low, step.High = wilson(f.Misses, f.Gets)
		}
		r.Delays = append(r.Delays, step)
	}
	return r
}

// wilson returns the ends of Wilson's interval of a share, of 95 %.
func wilson(hits, of uint64) (low, high float64) {
	const z = 1.96
	n := float64(of)
	p := float64(hits) / n
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	low, high = middle-half, middle+half
	if hits == 0 {
		low = 0 // as it is but for rounding
	}
	if hits == of {
		high = 1
	}
	return low, high
}
