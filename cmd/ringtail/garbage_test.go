package main

import (
	"runtime"
	"testing"
)

// TestGarbagePercent: a small heap keeps Go's default; of a larger one no more than
// garbageRoom is garbage, until that would be too little.
func TestGarbagePercent(t *testing.T) {
	for _, tc := range []struct {
		live uint64
		want int
	}{
		{0, 100},
		{1, 100},
		{garbageRoom, 100},
		{garbageRoom + 1, 95},
		{2 * garbageRoom, 50},
		{3 * garbageRoom, 30},
		{4 * garbageRoom, 25},
		{1 << 50, 25},
	} {
		if got := garbagePercent(tc.live); got != tc.want {
			t.Errorf("%d B live: %d %%, want %d", tc.live, got, tc.want)
		}
	}
}

// TestLiveHeap: this Go tells what lives.
func TestLiveHeap(t *testing.T) {
	kept := make([]byte, 16<<20)
	runtime.GC()
	if got := liveHeap(); got < uint64(len(kept)) {
		t.Errorf("%d B live, beside %d that are kept", got, len(kept))
	}
	runtime.KeepAlive(kept)
}
