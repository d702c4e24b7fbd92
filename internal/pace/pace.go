// Package pace bounds and measures rates of bytes for work in the background. It
// has no clock: whoever uses it tells the time.
package pace

import "time"

// Pace lets bytes through at a rate: in any stretch of time t no more than
// Rate·(t+Burst), and the rest of one message. It is a token bucket, kept as the
// time at which it is full enough for the next message.
type Pace struct {
	// Rate is in bytes a second, above 0. Burst is how much of it may be used up
	// at once after a pause.
	Rate  int64
	Burst time.Duration
	next  time.Time
}

// Ready tells whether a message of any size may go.
func (p *Pace) Ready(now time.Time) bool { return p.ReadyWith(now, 0) }

// ReadyWith tells whether one may go that is to wait for longer than its turn.
func (p *Pace) ReadyWith(now time.Time, longer time.Duration) bool {
	return !p.next.Add(longer).After(now)
}

// Take pays for n bytes, at most kv.MaxMessage or so.
func (p *Pace) Take(now time.Time, n int) {
	if full := now.Add(-p.Burst); p.next.Before(full) {
		p.next = full
	}
	p.next = p.next.Add(p.Cost(n))
}

// Cost is the time that n bytes take at the rate.
func (p *Pace) Cost(n int) time.Duration {
	return time.Duration((int64(n)*int64(time.Second) + p.Rate - 1) / p.Rate)
}

// span is the number of seconds over which a Meter takes the mean.
const span = 5

// Meter measures a rate, in bytes a second, over the last seconds that are over,
// or those since the first byte if they are fewer, and counts all bytes. Its zero value has seen nothing.
type Meter struct {
	total uint64
	// second is the present one, since the Unix epoch; bytes are those of each of
	// the last seconds, the present one's at second modulo their number.
	second int64
	// began is the second of the first byte, 0 before that.
	began int64
	bytes [span + 1]uint64
}

// Add counts n bytes.
func (m *Meter) Add(now time.Time, n uint64) {
	m.turn(now)
	if m.began == 0 && n > 0 {
		m.began = m.second
	}
	m.total += n
	m.bytes[m.second%(span+1)] += n
}

// Total returns all bytes that were counted.
func (m *Meter) Total() uint64 { return m.total }

// Rate returns the mean of the last seconds, in bytes a second.
func (m *Meter) Rate(now time.Time) uint64 {
	m.turn(now)
	sum := uint64(0)
	for i, n := range m.bytes {
		if int64(i) != m.second%(span+1) {
			sum += n
		}
	}
	return sum / uint64(min(max(m.second-m.began, 1), span))
}

// turn forgets what is too long ago.
func (m *Meter) turn(now time.Time) {
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
