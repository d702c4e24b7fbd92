package antientropy

import "time"

// burst is how much of the rate may be used up at once after a pause.
const burst = 250 * time.Millisecond

// pace lets bytes through at a rate: in any stretch of time t no more than
// rate·(t+burst), and one message with its answer. It is a token bucket, kept as
// the time at which it is full enough for the next message.
type pace struct {
	// rate is in bytes a second.
	rate int64
	next time.Time
}

// ready tells whether a message of any size may go.
func (p *pace) ready(now time.Time) bool { return !p.next.After(now) }

// yield is how much slower than its rate a fill goes on while requests of clients
// wait, at the least; it waits for maxYield at the most.
const (
	yield    = 16
	maxYield = 5 * time.Second
)

// fillPace is a pace that makes room for requests of clients.
type fillPace struct {
	pace
	// last is how long the last message took of the rate.
	last time.Duration
}

// ready tells whether a message may go; busy tells that requests of clients wait.
func (f *fillPace) ready(now time.Time, busy bool) bool {
	if busy {
		return !f.next.Add(min(yield*f.last, maxYield)).After(now)
	}
	return f.pace.ready(now)
}

func (f *fillPace) take(now time.Time, n int) {
	f.last = f.cost(n)
	f.pace.take(now, n)
}

// cost is the time that n bytes take at the rate.
func (p *pace) cost(n int) time.Duration {
	return time.Duration((int64(n)*int64(time.Second) + p.rate - 1) / p.rate)
}

// span is the number of seconds over which a meter takes the mean.
const span = 5

// meter measures a rate, in bytes a second, over the last span seconds that are
// over, and counts all bytes. Its zero value has seen nothing.
type meter struct {
	total uint64
	// second is the present one, since the Unix epoch; bytes are those of each of
	// the last seconds, the present one's at second modulo their number.
	second int64
	bytes  [span + 1]uint64
}

func (m *meter) add(now time.Time, n uint64) {
	m.turn(now)
	m.total += n
	m.bytes[m.second%(span+1)] += n
}

func (m *meter) rate(now time.Time) uint64 {
	m.turn(now)
	sum := uint64(0)
	for i, n := range m.bytes {
		if int64(i) != m.second%(span+1) {
			sum += n
		}
	}
	return sum / span
}

// turn forgets what is too long ago.
func (m *meter) turn(now time.Time) {
	second := now.Unix()
	if second-m.second > span {
		clear(m.bytes[:])
		m.second = second
	}
	for m.second < second {
		m.second++
		m.bytes[m.second%(span+1)] = 0
	}
}

// take pays for n bytes, at most kv.MaxMessage or so.
func (p *pace) take(now time.Time, n int) {
	if full := now.Add(-burst); p.next.Before(full) {
		p.next = full
	}
	p.next = p.next.Add(p.cost(n))
}
