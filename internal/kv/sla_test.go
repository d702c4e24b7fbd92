package kv

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSLA(t *testing.T) {
	ms := func(n uint32) uint32 { return n * 1000 }
	for _, c := range []struct {
		text, canon string
		want        SLA
	}{
		{"99.9% of puts < 300ms", "99.9% of puts < 300ms", SLA{Put: Objective{99_900, ms(300)}}},
		{"99.9% of gets<300ms", "99.9% of gets < 300ms", SLA{Get: Objective{99_900, ms(300)}}},
		{" 50 %  of  get < 1.5 ms ", "50% of gets < 1.5ms", SLA{Get: Objective{50_000, 1500}}},
		{"99.999% < 1s", "99.999% of gets and puts < 1s", SLA{Get: Objective{99_999, ms(1000)}, Put: Objective{99_999, ms(1000)}}},
		{"100% of puts and gets < 60s", "100% of gets and puts < 1m0s", SLA{Get: Objective{100_000, ms(60_000)}, Put: Objective{100_000, ms(60_000)}}},
		{"0.001% of put < 1us, 99% of gets < 5ms", "99% of gets < 5ms, 0.001% of puts < 1µs", SLA{Get: Objective{99_000, ms(5)}, Put: Objective{1, 1}}},
	} {
		got, err := ParseSLA(c.text)
		if err != nil || got != c.want || got.String() != c.canon {
			t.Errorf("%q: got %+v (%s), %v", c.text, got, got, err)
		}
	}
	for _, bad := range []string{
		"", "99.9%", "99.9% of puts", "99.9% of puts < 0s", "99.9% of puts < 61s", "99.9% of puts < 1ns", "99.9% of puts < 1.0005ms",
		"0% < 1s", "100.001% < 1s", "99.9999% < 1s", "99.% < 1s", ".9% < 1s", "-1% < 1s", "99.9 < 1s", "+5% < 1s", "99.9% of deletes < 1s",
		"99.9% of puts < 1s, 99% of puts < 1s", "99.9% < 1s, 99% of gets < 1s", "99.9% of puts > 1s", "99.9% of puts < 1s,",
	} {
		if got, err := ParseSLA(bad); KindOf(err) != KindInvalid || err == nil {
			t.Errorf("%q: got %+v, %v", bad, got, err)
		}
	}
}

func TestSLARoundTrip(t *testing.T) {
	some := rapid.Custom(func(t *rapid.T) Objective {
		return Objective{rapid.Uint32Range(1, WholeShare).Draw(t, "share"), rapid.Uint32Range(1, uint32(MaxBound/time.Microsecond)).Draw(t, "bound")}
	})
	rapid.Check(t, func(t *rapid.T) {
		s := SLA{Get: some.Draw(t, "get")}
		if rapid.Bool().Draw(t, "both") {
			s.Put = some.Draw(t, "put")
		}
		if got, err := ParseSLA(s.String()); err != nil || got != s {
			t.Fatalf("%v is read back as %v, %v", s, got, err)
		}
		if got, err := ParseObjective(s.Get.String()); err != nil || got != s.Get {
			t.Fatalf("%v is read back as %v, %v", s.Get, got, err)
		}
	})
}

func FuzzParseSLA(f *testing.F) {
	f.Add("99.9% of puts < 300ms, 99% of gets < 5ms")
	f.Add("99.9%<1s")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSLA(text)
		if err != nil {
			return
		}
		if again, err := ParseSLA(s.String()); err != nil || again != s || s.Validate() != nil {
			t.Errorf("%q is %v, read back %v, %v", text, s, again, err)
		}
	})
}

func TestObjectiveAllows(t *testing.T) {
	o := Objective{Share: 99_900, Micros: 1}
	for _, c := range []struct {
		breaches, requests uint64
		want               bool
	}{{0, 0, true}, {0, 5, true}, {1, 999, false}, {1, 1000, true}, {2, 1999, false}, {1000, 1_000_000, true}, {1001, 1_000_000, false}} {
		if got := o.Allows(c.breaches, c.requests); got != c.want {
			t.Errorf("%d of %d: %v", c.breaches, c.requests, got)
		}
	}
	if (Objective{Share: WholeShare}).Allows(1, 1<<40) {
		t.Error("100 % allows a breach")
	}
}
