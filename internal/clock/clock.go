// Package clock is the hybrid logical clock by which writes to lww buckets are
// ordered: the wall clock, pushed ahead of all that the write has seen, and
// refused where the wall clock itself cannot be trusted (DESIGN section 3).
package clock

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// DefaultMaxSkew is how far a node's clock may be from the median of its
// peers' before it stops coordinating lww writes.
const DefaultMaxSkew = time.Second

// Next returns the hybrid time of a write: now, or just past everything that
// the write has seen where that is later.
func Next(now kv.Time, seen ...kv.Time) kv.Time {
	t := now
	for _, s := range seen {
		t = max(t, s+1)
	}
	return t
}

// CheckSkew returns an error of KindSkew when a clock that is ahead of its
// peers by skew (behind, when negative) is too far off to order writes.
func CheckSkew(skew, limit time.Duration) error {
	if skew > limit || skew < -limit {
		return kv.Errorf(kv.KindSkew, "check clock", "this node's clock is %v from the median of its peers', the limit is %v", skew, limit)
	}
	return nil
}

// Trusted returns now, by a clock that is ahead of the median of its peers by
// skew, unless that is more than limit either way: then the time of the median.
func Trusted(now kv.Time, skew, limit time.Duration) kv.Time {
	if skew <= limit && skew >= -limit {
		return now
	}
	us := kv.Time(skew.Abs().Microseconds())
	switch {
	case skew < 0:
		return now + us
	case us > now:
		return 0
	}
	return now - us
}

// CheckSeen returns an error of KindSkew when seen, a hybrid time from outside,
// is further ahead of now than limit: writes after it would be pushed into the
// future.
func CheckSeen(now, seen kv.Time, limit time.Duration) error {
	if seen > now+kv.Time(limit.Microseconds()) {
		return kv.Errorf(kv.KindSkew, "check context", "its time %v is more than %v ahead of this node's clock", seen.Wall(), limit)
	}
	return nil
}
