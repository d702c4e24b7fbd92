package kv

import (
	"testing"
	"time"
)

func TestLifetime(t *testing.T) {
	const now = Time(5_000_000_001) // a microsecond past 5,000,000 ms
	for _, c := range []struct {
		name   string
		life   Lifetime
		bucket TTL
		want   Expiry
	}{
		{"none at all", Lifetime{}, 0, 0},
		{"the bucket's", Lifetime{}, 7, 5_000_008},
		{"its own", Lifetime{TTL: 3}, 7, 5_000_004},
		{"none, whatever the bucket says", Lifetime{TTL: Forever}, 7, 0},
		{"a moment, whatever the bucket says", Lifetime{At: 12}, 7, 12},
		{"the longest", Lifetime{TTL: MaxTTL}, 0, 5_000_001 + Expiry(MaxTTL)},
	} {
		if err := c.life.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := c.life.Expiry(now, c.bucket); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := (Lifetime{TTL: 1}).Expiry(^Time(0)/2, 0); got != MaxExpiry {
		t.Errorf("far in the future: %d, want %d", got, MaxExpiry)
	}
}

func TestLifetimeLimits(t *testing.T) {
	for _, c := range []struct {
		life Lifetime
		ok   bool
	}{
		{Lifetime{TTL: Forever}, true}, {Lifetime{TTL: Forever - 1}, false},
		{Lifetime{TTL: MaxTTL}, true}, {Lifetime{TTL: MaxTTL + 1}, false},
		{Lifetime{At: MaxExpiry}, true}, {Lifetime{At: MaxExpiry + 1}, false},
		{Lifetime{TTL: 1, At: 1}, false},
	} {
		if err := c.life.Validate(); (err == nil) != c.ok || err != nil && KindOf(err) != KindInvalid {
			t.Errorf("%+v: %v", c.life, err)
		}
	}
}

func TestExpiryPassed(t *testing.T) {
	e := ExpiryOf(TimeOf(time.UnixMilli(1000)))
	for now, want := range map[Time]bool{0: false, 999_999: false, 1_000_000: true, 2_000_000: true} {
		if got := e.Passed(now); got != want {
			t.Errorf("%d ms, at %d µs: passed is %v", e, now, got)
		}
	}
	if Expiry(0).Passed(^Time(0)) {
		t.Error("never has passed")
	}
	if got := MaxExpiry.Wall().Format(time.RFC3339Nano); got != "9999-12-31T23:59:59.999Z" {
		t.Errorf("the last moment is %s", got)
	}
}
