package transport

import "time"

const (
	// crowdFrom is how many calls of a client may always wait on a connection.
	crowdFrom = 512
	// crowdFor is how long more of them have to wait, at every look at them, to be a
	// crowd, which has to stand for as long again before anything is refused. A crowd
	// is cut down to what the peer answers in that time.
	crowdFor = 200 * time.Millisecond
)

// crowd tells whether a client sends more than its peer can do. What the peer has
// not read waits in this process and in both sockets, where the peer cannot see for
// how long: late is its part of the same rule. What one side holds back the other
// need not refuse, and none waits for long. A pause of the peer, in which it answers
// nothing, says nothing of what it can do, and only makes the crowd begin anew.
//
// Guarded by callTable.mu; the zero value is none.
type crowd struct {
	stands bool
	turns  int           // for how many crowdFor it has stood and was answered
	since  time.Duration // since when the present one counts
	past   uint64        // what had been answered then
}

// judge has the table take as many calls as it should from now on, of a peer whose
// round trip takes trip at least. To be called every Config.Tick while calls wait.
func (t *callTable) judge(now, trip time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.mu.crowd
	took, answered := now-c.since, t.mu.answered-c.past
	switch waiting := len(t.mu.slots) - len(t.mu.free); {
	case waiting < crowdFrom:
		*c, t.mu.limit = crowd{}, t.max
		return
	case !c.stands:
		c.stands = true
	case took < crowdFor:
		return
	case answered == 0:
		c.turns = 0
	default:
		if c.turns++; c.turns > 1 {
			many := float64(answered) * float64(crowdFor+2*trip) / float64(took)
			t.mu.limit = min(max(int(many), crowdFrom), t.max)
		}
	}
	c.since, c.past = now, t.mu.answered
}
