package pace

import "time"

// Load is how requests of clients fare while there is work in the background; the
// greater the worse.
type Load uint8

const (
	// Idle: there are none.
	Idle Load = iota
	// Calm: they are served about as fast as without that work.
	Calm
	// Strained: they take longer, or queue.
	Strained
)

const (
	// window is how long a Governor gathers what it is told before it acts on it:
	// long enough to show what its last act has led to.
	window = 500 * time.Millisecond
	// least is the smallest share, with which it begins: work in the background
	// never stops.
	least = 1.0 / 16
	// rise is the part of itself by which a share grows with each window once there
	// was strain, fall what strain leaves of it: one window in five is strained where
	// it has settled.
	rise = 0.1
	fall = 0.7
)

// Governor finds the share of a rate that work in the background may use without
// requests of clients being slower for it. It cuts the share when they are, and
// raises it a little for each half second in which they are not; it doubles it as
// long as there was no strain yet, and while no requests are served. The zero value
// is ready. It has no clock.
type Governor struct {
	share float64 // 0 for least
	// strained tells that there was strain once.
	strained bool
	// until is when the present window ends, worst what it has seen, if told.
	until time.Time
	worst Load
	told  bool
}

// Eager returns a Governor that begins with the whole rate, for work that is
// mostly little.
func Eager() Governor { return Governor{share: 1} }

// Note tells how requests fare at one of the nodes that the work burdens.
func (g *Governor) Note(now time.Time, l Load) {
	g.turn(now)
	g.worst, g.told = max(g.worst, l), true
}

// Share returns the part of the rate that may be used now, above 0 and at most 1.
func (g *Governor) Share(now time.Time) float64 {
	g.turn(now)
	return g.share
}

// turn acts on the window that is over, if one is. Without news nothing changes.
func (g *Governor) turn(now time.Time) {
	if g.share == 0 {
		g.share, g.until = least, now.Add(window)
	}
	if now.Before(g.until) {
		return
	}
	switch {
	case !g.told:
	case g.worst == Strained:
		g.share, g.strained = max(fall*g.share, least), true
	case g.worst == Idle || !g.strained:
		g.share = min(2*g.share, 1)
	default:
		g.share = min((1+rise)*g.share, 1)
	}
	g.worst, g.told, g.until = Idle, false, now.Add(window)
}
