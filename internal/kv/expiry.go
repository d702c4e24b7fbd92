package kv

import "time"

// Expiry is a moment after which a value is not shown any more, in milliseconds
// since the Unix epoch. Zero is never. It is fixed once, by the coordinator of
// the put, and travels with the value.
type Expiry uint64

// MaxExpiry is the last moment that can be told in RFC 3339: the end of the year
// 9999.
const MaxExpiry Expiry = 253402300799999

// Passed tells whether the moment has come by now.
func (e Expiry) Passed(now Time) bool { return e != 0 && uint64(now)/1000 >= uint64(e) }

// Sooner returns the earlier of two moments.
func (e Expiry) Sooner(o Expiry) Expiry {
	if e == 0 || o != 0 && o < e {
		return o
	}
	return e
}

// Wall returns e as a time.Time in UTC.
func (e Expiry) Wall() time.Time { return time.UnixMilli(int64(e)).UTC() }

// ExpiryOf returns the moment t, the next whole millisecond, within 1 and
// MaxExpiry.
func ExpiryOf(t Time) Expiry {
	if uint64(t) >= uint64(MaxExpiry)*1000 {
		return MaxExpiry
	}
	return max(1, Expiry((t+999)/1000))
}

// TTL is a time to live in milliseconds: Forever, or 0 to MaxTTL. What 0 means
// depends on whose it is: a request's leaves the choice to its bucket, a bucket's
// is none.
type TTL int64

const (
	// Forever asks for a value that does not expire, whatever the bucket says.
	Forever TTL = -1
	// MaxTTL bounds a TTL: a hundred years of 365 days.
	MaxTTL TTL = 100 * 365 * 24 * 60 * 60 * 1000
)

// Lifetime says until when a value is to be shown, as its writer asks for it.
// The zero Lifetime leaves it to the bucket.
type Lifetime struct {
	TTL TTL
	// At, unless 0, is the moment itself; then TTL is 0. One that is past is
	// allowed: the value is never shown.
	At Expiry
}

// Validate returns an error of KindInvalid for a Lifetime outside its range.
func (l Lifetime) Validate() error {
	switch {
	case l.TTL < Forever || l.TTL > MaxTTL:
		return Errorf(KindInvalid, "check lifetime", "ttl=%d is not within 1 to %d milliseconds", l.TTL, MaxTTL)
	case l.At > MaxExpiry:
		return Errorf(KindInvalid, "check lifetime", "the expiry %d is past the year 9999", l.At)
	case l.At != 0 && l.TTL != 0:
		return Errorf(KindInvalid, "check lifetime", "both a ttl and an expiry")
	}
	return nil
}

// Expiry returns when a value expires that is written at now, in a bucket whose
// TTL is bucket.
func (l Lifetime) Expiry(now Time, bucket TTL) Expiry {
	ttl := l.TTL
	if ttl == 0 {
		ttl = bucket
	}
	switch {
	case l.At != 0:
		return l.At
	case ttl <= 0:
		return 0
	}
	return ExpiryOf(now + Time(ttl)*1000)
}
