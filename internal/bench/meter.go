package bench

import (
	"context"
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
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
	// own and cluster are processor times, of this process and of all nodes.
	own, cluster time.Duration
	// trouble is why cluster is not known.
	trouble error
}

func (b *bench) meter(ctx context.Context) reading {
	r := reading{at: time.Now(), own: metrics.CPUTime(), trouble: errUnmetered}
	if b.cfg.CPU != nil {
		ctx, cancel := context.WithTimeout(ctx, meterTimeout)
		defer cancel()
		r.cluster, r.trouble = b.cfg.CPU.CPU(ctx)
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
