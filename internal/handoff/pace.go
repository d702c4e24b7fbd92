package handoff

import "time"

// burst is how much of the rate may be used up at once after a pause.
const burst = 100 * time.Millisecond
