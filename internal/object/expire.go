package object

import "github.com/ringtaildb/ringtail/internal/kv"

// Expiry hides, and changes nothing that is stored: Hide is applied to what a
// request found, before it is shown. What has expired counts as a tombstone once
// a floor says that it is past everywhere (Prune, vclock.Floor.Expiry).

// Hide returns o as it is shown at now: without the siblings that have expired,
// in the place of an lww one its horizon. What it has seen stays what it was, so
// the context of the result is that of o. Where nothing has expired the result is
// o, without allocation; else it is appended to dst.
func Hide(dst []byte, o Object, now kv.Time) (Object, []byte) {
	if !o.extended() || !o.anyExpired(now) {
		return o, dst
	}
	w := begin(dst)
	w.b = append(w.b, o.clock...)
	w.endClock()
	r := o.register()
	if r.fate == live && r.expires.Passed(now) {
		r.fate = dead
	}
	w.horizon(r)
	for rest := o.sibs; len(rest) > 0; {
		s := rest[:encodedSize(rest)]
		if rest = rest[len(s):]; !decodeExpiry(s).Passed(now) {
			w.raw(s)
		}
	}
	return w.end()
}

func (o Object) anyExpired(now kv.Time) bool {
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		if decodeExpiry(rest).Passed(now) {
			return true
		}
	}
	return false
}

// Expiring tells whether a sibling of o expires at some time.
func Expiring(o *Object) bool { return o.extended() && Soonest(*o) != 0 }

// Soonest returns the expiry of the sibling of o that expires first, 0 when none
// does.
func Soonest(o Object) kv.Expiry {
	if !o.extended() {
		return 0
	}
	var soonest kv.Expiry
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		soonest = soonest.Sooner(decodeExpiry(rest))
	}
	return soonest
}

// LiveAt returns the number of siblings that are shown at now: no tombstones, and
// not expired.
func (o Object) LiveAt(now kv.Time) int {
	live := 0
	for c := o.Siblings(); c.Next(); {
		if !c.Deleted && !c.Expires.Passed(now) {
			live++
		}
	}
	return live
}

// expiredBy tells whether the sibling with which b begins has expired by the
// expiry mark of a floor.
func expiredBy(b []byte, mark kv.Expiry) bool {
	e := decodeExpiry(b)
	return e != 0 && e <= mark
}
