package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/ringtaildb/ringtail/internal/beat"
)

const (
	// garbageRoom is how many bytes of garbage a node may gather between two
	// collections, whatever the size of what lives.
	garbageRoom = 128 << 20
	// mostGarbage and leastGarbage bound that as a percentage of what lives: Go's own
	// default, which a small heap keeps, and what keeps a large one from being
	// collected all the time.
	mostGarbage, leastGarbage = 100, 25

	watchGarbageEvery = 10 * time.Second
)

// boundGarbage keeps a node's heap from growing to twice what lives in it, until ctx
// ends. Most of what lives are caches and indexes that hold no pointers and are soon
// collected, and a put makes some 200 B of garbage: so a node with a heap of 400 MiB
// grew for minutes, to 800, before there was a collection. It does nothing if the
// administrator has set GOGC.
func boundGarbage(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	was := mostGarbage
	for {
		if percent := garbagePercent(liveHeap()); percent != was {
			debug.SetGCPercent(percent)
			was = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(beat.Pause(time.Now(), watchGarbageEvery)):
		}
	}
}

// garbagePercent returns how much garbage may gather beside so many bytes that live, in
// percent of them, in steps of 5: setting it stops the program for a moment.
func garbagePercent(live uint64) int {
	if live <= garbageRoom {
		return mostGarbage
	}
	return max(leastGarbage, int(garbageRoom*(100/5)/live)*5)
}

// liveHeap returns the bytes that the last collection found to live, 0 before it.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0 // a Go that does not tell
	}
	return sample[0].Value.Uint64()
}
