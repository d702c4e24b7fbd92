//go:build !unix

package metrics

import "time"

// CPUTime returns the processor time that this process has used, user and
// system together, 0 where the operating system does not tell.
func CPUTime() time.Duration { return 0 }
