package transport

import (
	"io"
	"time"
)

const (
	// atOnce is how long a read may take whose bytes were there already.
	atOnce = time.Millisecond
	// atMost is what the time between two reads counts for at the most.
	atMost = 10 * time.Millisecond
	// pauses is how long nothing has to come until the sender may be one whose clock
	// stood. It is less than Config.ProbeInterval, so an idle connection pauses.
	pauses = 100 * time.Millisecond
)

// arrival reads a source and knows a time at or before which no byte of what it
// read last had arrived. While the reader was busy, requests may have waited in
// the socket: for how long cannot be known, so they count as having come when
// it was last empty. A request's deadline is measured from there. Where the system
// tells how much a socket holds, a socket that is never empty is no obstacle: what
// comes behind what it held at some time came after that time.
type arrival struct {
	src io.Reader
	now func() time.Duration
	// backlog, if not nil, tells how many bytes the socket holds.
	backlog func() int
	// since is that time; ended is when the last read ended; full is set when
	// it filled its buffer, so that the socket may have held more.
	since, ended time.Duration
	full         bool
	// stood is for how long no read has left the socket empty, of which the time
	// between two reads counts for atMost: a process that was stopped does not blame
	// those that wrote to it meanwhile.
	stood time.Duration
	// At mark the socket held bytes, of which left are still to be read; none while
	// there is no mark, and passed when they have been read.
	mark   time.Duration
	left   int
	passed bool
	// paused is set by a read that waited for longer than pauses; who heeds that
	// clears it.
	paused bool
}

// Read implements io.Reader.
func (a *arrival) Read(p []byte) (int, error) {
	began := a.now()
	n, err := a.src.Read(p)
	ended := a.now()
	switch {
	case ended-began > atOnce:
		a.since, a.left, a.passed = ended, 0, false
	case !a.full:
		a.since, a.left, a.passed = a.ended, 0, false
	case a.passed:
		a.since, a.passed = max(a.since, a.mark), false
	}
	a.paused = a.paused || ended-began > pauses
	a.stood += min(ended-a.ended, atMost)
	a.ended, a.full = ended, n == len(p)
	if a.full && a.backlog != nil {
		a.look(n)
	}
	if !a.full {
		a.stood = 0
	}
	return n, err
}

// look takes note of how much there is behind the n bytes that were read.
func (a *arrival) look(n int) {
	switch {
	case a.left > 0:
		a.left -= n
		a.passed = a.left <= 0
	case !a.passed:
		a.mark, a.left = a.ended, a.backlog()
		a.full = a.left > 0
	}
}
