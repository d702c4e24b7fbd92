package transport

import (
	"io"
	"time"
)

// atOnce is how long a read may take whose bytes were there already.
const atOnce = time.Millisecond

// arrival reads a source and knows a time at or before which no byte of what it
// read last had arrived. While the reader was busy, requests may have waited in
// the socket: for how long cannot be known, so they count as having come when
// it was last empty. A request's deadline is measured from there.
type arrival struct {
	src io.Reader
	now func() time.Duration
	// since is that time; ended is when the last read ended; full is set when
	// it filled its buffer, so that the socket may have held more.
	since, ended time.Duration
	full         bool
}

// Read implements io.Reader.
func (a *arrival) Read(p []byte) (int, error) {
	began := a.now()
	n, err := a.src.Read(p)
	ended := a.now()
	switch {
	case ended-began > atOnce:
		a.since = ended
	case !a.full:
		a.since = a.ended
	}
	a.ended, a.full = ended, n == len(p)
	return n, err
}
