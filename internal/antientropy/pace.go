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

// take pays for n bytes, at most kv.MaxMessage or so.
func (p *pace) take(now time.Time, n int) {
	if full := now.Add(-burst); p.next.Before(full) {
		p.next = full
	}
	p.next = p.next.Add(time.Duration((int64(n)*int64(time.Second) + p.rate - 1) / p.rate))
}
