package node

import (
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/pace"
)

const (
	// workedLately is how long after it asked for its share work in the background
	// counts as under way.
	workedLately = time.Second
	// forgetShare is how long there is none until the next begins with the least
	// share again.
	forgetShare = 10 * time.Second
)

// yield has the node's own work in the background, hand-off of hints, upkeep with
// its reaping, and scrubs, take its pace from how requests of clients fare (§6.5).
// What moves between nodes in exchanges has governors of its own, which hear both
// ends. Safe for concurrent use.
type yield struct {
	mu       sync.Mutex
	governor pace.Governor
	asked    time.Time
}

// share tells the governor how requests fare, and returns the part of its rate
// that work in the background may use.
func (y *yield) share(now time.Time, load pace.Load) float64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	if now.Sub(y.asked) > forgetShare {
		y.governor = pace.Governor{}
	}
	y.asked = now
	y.governor.Note(now, load)
	return y.governor.Share(now)
}

// active tells whether there is such work.
func (y *yield) active(now time.Time) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return now.Sub(y.asked) < workedLately
}

// share returns the part of its rate that work in the background may use now.
func (n *Node) share() float64 {
	if !n.cfg.Yield {
		return 1
	}
	return n.yield.share(time.Now(), n.load())
}

// shared returns the pause that work in the background makes which would make this
// one if it had the node to itself.
func (n *Node) shared(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) / n.share())
}

// disturbed tells whether there is work in the background that clients may notice.
func (n *Node) disturbed(now time.Time) bool {
	return n.course.view().epoch != 0 || n.yield.active(now) || n.keeper.Busy()
}
