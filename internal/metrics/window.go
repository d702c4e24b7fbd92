package metrics

import (
	"sync"
	"time"
)

const (
	// Minute is how far back a Window looks.
	Minute = time.Minute
	// TickEvery is how often Tick is to be called.
	TickEvery = 5 * time.Second

	snapshots = int(Minute/TickEvery) + 2
)

// Latency is what a kind of request took over the last minute, in
// milliseconds.
type Latency struct {
	// Count is the number of requests that ended, those that failed included;
	// those that were refused for the caller's own mistake are not.
	Count uint64 `json:"count"`
	// Failed is how many of them failed. A failed request's time counts like
	// any other's: one that timed out belongs to the tail.
	Failed uint64 `json:"failed"`
	// P50, P99 and P999 are the 50th, 99th and 99.9th percentile, Max the
	// longest; each is at most a 32nd too long, never too short.
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms"`
}

// Window tells percentiles over the last minute. It keeps a snapshot for each
// Tick and answers with the difference between now and the one whose age is
// nearest to a minute, so with regular ticks it looks back 57.5 to 62.5 s. It
// is safe for concurrent use.
type Window struct {
	ok, failed *Histogram
	// Either is nil, or is read with them: blame counts what failed has.
	blame *blame
	lag   *Lag

	mu struct {
		sync.Mutex
		// past is a ring of snapshots; next is where the next one goes, and
		// used the number of those that were taken.
		past       [snapshots]moment
		next, used int
	}
}

// moment is what had been counted at one time.
type moment struct {
	at         time.Time
	all        Snapshot
	failedOnly uint64
	more       more
}

// NewWindow returns a Window over the requests that ok and failed count from
// now on.
func NewWindow(now time.Time, ok, failed *Histogram) *Window {
	w := &Window{ok: ok, failed: failed}
	w.Tick(now)
	return w
}

// Tick takes a snapshot; call it every TickEvery. One that comes less than half
// of that after the last is ignored, so that the window never shrinks.
func (w *Window) Tick(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.used > 0 {
		last := w.mu.past[(w.mu.next+snapshots-1)%snapshots].at
		if now.Sub(last) < TickEvery/2 {
			return
		}
	}
	w.read(now, &w.mu.past[w.mu.next])
	w.mu.next = (w.mu.next + 1) % snapshots
	w.mu.used = min(w.mu.used+1, snapshots)
}

// read fills m with what has been counted so far.
func (w *Window) read(now time.Time, m *moment) {
	*m = moment{at: now}
	m.all.Add(w.failed)
	m.failedOnly = m.all.Count()
	m.all.Add(w.ok)
	if w.blame != nil {
		w.blame.read(&m.more.blamed)
	}
	if w.lag != nil {
		m.more.puts, m.more.owners, m.more.had = w.lag.puts.Load(), w.lag.owners.Load(), w.lag.had.Load()
	}
}

// more is what a window reads beside its histograms.
type more struct {
	blamed            blamed
	puts, owners, had uint64
}

// LastMinute returns what ended within the minute before now.
func (w *Window) LastMinute(now time.Time) Latency {
	l, _ := w.lastMinute(now)
	return l
}

// lastMinute is LastMinute, with what blame counted.
func (w *Window) lastMinute(now time.Time) (Latency, blamed) {
	m := w.since(now)
	s := &m.all
	return Latency{
		Count: s.Count(), Failed: m.failedOnly,
		P50: millis(s.Percentile(500)), P99: millis(s.Percentile(990)),
		P999: millis(s.Percentile(999)), Max: millis(s.Percentile(1000)),
	}, m.more.blamed
}

// since returns what was counted in the minute before now.
func (w *Window) since(now time.Time) moment {
	var m moment
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read(now, &m)
	base := w.base(now)
	m.all.Sub(&base.all)
	m.failedOnly -= base.failedOnly
	m.more.blamed.sub(&base.more.blamed)
	m.more.puts, m.more.owners, m.more.had = m.more.puts-base.more.puts, m.more.owners-base.more.owners, m.more.had-base.more.had
	return m
}

// base returns the snapshot whose age is nearest to a minute. The caller holds
// the lock.
func (w *Window) base(now time.Time) *moment {
	off := func(m *moment) time.Duration { return (now.Sub(m.at) - Minute).Abs() }
	best := &w.mu.past[0]
	for i := 1; i < w.mu.used; i++ {
		if m := &w.mu.past[i]; off(m) < off(best) {
			best = m
		}
	}
	return best
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
