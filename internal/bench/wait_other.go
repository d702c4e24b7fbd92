//go:build !linux

package bench

import "time"

// finely waits for d, as finely as the runtime's timers are.
func finely(d time.Duration) { time.Sleep(d) }
