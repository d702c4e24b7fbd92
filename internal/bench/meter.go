package bench

import (
	"context"
	"errors"
	"time"
)

// meterTimeout bounds the question for the cluster's processor time.
const meterTimeout = 5 * time.Second

var (
	errUnmetered = errors.New("nobody was asked for it")
	errRestarted = errors.New("it went back: a node was restarted")
)

// reading is what the clocks show at one moment of a run.
type reading struct {
	at time.Time
	// cluster is the processor time of all nodes.
	cluster time.Duration
	// trouble is why cluster is not known.
	trouble error
}

func (c Config) meter(ctx context.Context) reading {
	r := reading{at: time.Now(), trouble: errUnmetered}
	if c.CPU != nil {
		ctx, cancel := context.WithTimeout(ctx, meterTimeout)
		defer cancel()
		r.cluster, r.trouble = c.CPU.CPU(ctx)
	}
	return r
}

// clusterSince returns the nodes' processor time between two readings.
func (r reading) clusterSince(earlier reading) (time.Duration, error) {
	switch {
	case earlier.trouble != nil:
		return 0, earlier.trouble
	case r.trouble != nil:
		return 0, r.trouble
	case r.cluster < earlier.cluster:
		return 0, errRestarted
	}
	return r.cluster - earlier.cluster, nil
}
