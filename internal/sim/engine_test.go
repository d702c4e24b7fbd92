package sim

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// TestEngine: what the simulator's engine does without faults is what every
// engine does.
func TestEngine(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storage.Engine {
		at := func(_ time.Duration, f func()) { f() }
		return openEngine(new(Scenario).newDisk(rand.New(rand.NewPCG(1, 1))), at, nil)
	})
}
