package kv

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

// WholeShare is the share of all requests, in Objective's unit: a thousandth of
// a percent.
const WholeShare = 100_000

// Bounds of Objective.Bound.
const (
	MinBound = time.Microsecond
	MaxBound = MaxTimeout
)

// Objective is a bound that a share of requests is to stay below (§2.2). The zero
// Objective is none.
type Objective struct {
	// Share is how many of WholeShare requests it is: 99,900 are 99.9 %.
	Share uint32
	// Micros is the bound in microseconds.
	Micros uint32
}

// Bound is the time that a request is to take less than.
func (o Objective) Bound() time.Duration { return time.Duration(o.Micros) * time.Microsecond }

// Percent is the share as a percentage.
func (o Objective) Percent() string {
	text := strconv.FormatFloat(float64(o.Share)/(WholeShare/100), 'f', 3, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "%"
}

// String reads "99.9% < 300ms", and "" for none.
func (o Objective) String() string {
	if o == (Objective{}) {
		return ""
	}
	return o.Percent() + " < " + o.Bound().String()
}

// Allows tells whether so many breaches among so many requests are within the
// share.
func (o Objective) Allows(breaches, requests uint64) bool {
	return breaches*WholeShare <= requests*uint64(WholeShare-o.Share)
}

// Validate returns an error of KindInvalid for an objective that is neither none
// nor within its bounds.
func (o Objective) Validate() error {
	const op = "check objective"
	switch {
	case o == Objective{}:
	case o.Share < 1 || o.Share > WholeShare:
		return Errorf(KindInvalid, op, "a share of %d is not within 1 to %d", o.Share, WholeShare)
	case o.Bound() < MinBound || o.Bound() > MaxBound:
		return Errorf(KindInvalid, op, "a bound of %v is not within %v to %v", o.Bound(), MinBound, MaxBound)
	}
	return nil
}

// ParseObjective reads "99.9% < 300ms": up to three decimals, and a duration in
// whole microseconds. Its errors are of KindInvalid.
func ParseObjective(text string) (Objective, error) {
	percent, bound, ok := strings.Cut(text, "<")
	if !ok {
		return Objective{}, notObjective(text)
	}
	percent, ok = strings.CutSuffix(strings.TrimSpace(percent), "%")
	share, fine := parseShare(strings.TrimSpace(percent))
	d, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSpace(bound), " ", ""))
	if !ok || !fine || err != nil || d < MinBound || d > MaxBound || d%time.Microsecond != 0 {
		return Objective{}, notObjective(text)
	}
	o := Objective{Share: share, Micros: uint32(d / time.Microsecond)}
	return o, o.Validate()
}

func notObjective(text string) error {
	return Errorf(KindInvalid, "read objective", `%q is no objective such as "99.9%% < 300ms": a percentage of up to three decimals, and a bound of %v to %v`, text, MinBound, MaxBound)
}

// parseShare reads a percentage such as 99.9.
func parseShare(text string) (uint32, bool) {
	whole, part, dot := strings.Cut(text, ".")
	if len(part) > 3 || dot && part == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(whole+part+strings.Repeat("0", 3-len(part)), 10, 32)
	return uint32(n), err == nil && len(whole) > 0 && n <= WholeShare
}

// SLA is the service level agreement of a bucket, or of the cluster (§2.2).
type SLA struct{ Get, Put Objective }

// DefaultSLA is the cluster's until it is set: the paper's own.
var DefaultSLA = SLA{Get: Objective{99_900, 300_000}, Put: Objective{99_900, 300_000}}

// Or returns s with other's objectives in place of those that it lacks.
func (s SLA) Or(other SLA) SLA {
	return SLA{Get: cmp.Or(s.Get, other.Get), Put: cmp.Or(s.Put, other.Put)}
}

// Validate returns an error of KindInvalid for the first objective that is not
// within its bounds.
func (s SLA) Validate() error {
	if err := s.Get.Validate(); err != nil {
		return err
	}
	return s.Put.Validate()
}

// String reads "99.9% of puts < 300ms", the form that ParseSLA takes.
func (s SLA) String() string {
	clause := func(o Objective, what string) string { return o.Percent() + " of " + what + " < " + o.Bound().String() }
	switch {
	case s == SLA{}:
		return ""
	case s.Get == s.Put:
		return clause(s.Get, "gets and puts")
	case s.Put == Objective{}:
		return clause(s.Get, "gets")
	case s.Get == Objective{}:
		return clause(s.Put, "puts")
	}
	return clause(s.Get, "gets") + ", " + clause(s.Put, "puts")
}

// ParseSLA reads objectives in words, divided by commas: "99.9% of puts < 300ms".
// What they are of is gets, puts, or "gets and puts", which is also what one says
// that names neither. No objective may be named twice. Its errors are of
// KindInvalid.
func ParseSLA(text string) (SLA, error) {
	var s SLA
	for clause := range strings.SplitSeq(text, ",") {
		left, bound, _ := strings.Cut(clause, "<")
		percent, what, of := strings.Cut(left, " of ")
		if what = strings.Join(strings.Fields(what), " "); !of {
			what = "gets and puts"
		}
		o, err := ParseObjective(percent + "<" + bound)
		if err != nil {
			return SLA{}, notObjective(strings.TrimSpace(clause))
		}
		var add SLA
		switch what {
		case "get", "gets":
			add.Get = o
		case "put", "puts":
			add.Put = o
		case "gets and puts", "puts and gets":
			add = SLA{Get: o, Put: o}
		default:
			return SLA{}, Errorf(KindInvalid, "read objective", "%q: objectives are of gets, puts, or gets and puts", strings.TrimSpace(clause))
		}
		if s.Get != (Objective{}) && add.Get != (Objective{}) || s.Put != (Objective{}) && add.Put != (Objective{}) {
			return SLA{}, Errorf(KindInvalid, "read objective", "%q: there are two objectives for the same", text)
		}
		s = add.Or(s)
	}
	return s, nil
}
