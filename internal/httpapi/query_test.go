package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// parseOptions reads a query of numbers alone.
func parseOptions(rawQuery string, n int) (kv.Options, error) {
	q, err := parseQuery(rawQuery, optionNames...)
	if err != nil {
		return kv.Defaults(), err
	}
	return optionsOf(q, n)
}

func TestParseOptions(t *testing.T) {
	const unset = kv.Unset
	for raw, want := range map[string]kv.Options{
		"":                        {R: unset, W: unset, DW: unset},
		"r=1":                     {R: 1, W: unset, DW: unset},
		"w=3&dw=0":                {R: unset, W: 3, DW: 0},
		"dw=3&strict=true":        {R: unset, W: unset, DW: 3, Strict: true},
		"strict=false&r=3":        {R: 3, W: unset, DW: unset},
		"returnbody=true":         {R: unset, W: unset, DW: unset, ReturnBody: true},
		"timeout=1":               {R: unset, W: unset, DW: unset, Timeout: time.Millisecond},
		"timeout=60000":           {R: unset, W: unset, DW: unset, Timeout: time.Minute},
		"r=2&w=2&dw=1&timeout=50": {R: 2, W: 2, DW: 1, Timeout: 50 * time.Millisecond},
		"%72=%32":                 {R: 2, W: unset, DW: unset},
	} {
		if got, err := parseOptions(raw, 3); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

func TestParseOptionsRefuses(t *testing.T) {
	for _, c := range []struct{ raw, names string }{
		{"r=4", "r="}, {"r=0", "r="}, {"r=-1", "r="}, {"r=+1", "r="}, {"r=", "r="}, {"r", "r="}, {"r=1.0", "r="},
		{"w=abc", "w="}, {"w=4", "w="}, {"w=0", "w="}, {"w=128", "w="}, {"w=255", "w="}, {"w=99999999999999999999", "w="},
		{"dw=4", "dw="}, {"dw=-1", "dw="}, {"dw=all", "dw="},
		{"strict=1", "strict="}, {"strict", "strict="}, {"strict=TRUE", "strict="}, {"returnbody=yes", "returnbody="},
		{"timeout=0", "timeout="}, {"timeout=60001", "timeout="}, {"timeout=-5", "timeout="}, {"timeout=2s", "timeout="},
		{"timeout=18446744073709551616", "timeout="},
		{"x=1", `"x"`}, {"R=1", `"R"`}, {"=", `""`}, {"r=1&r=1", "r is given 2 times"}, {"r=1;w=1", "semicolon"}, {"r=%zz", "escape"},
	} {
		_, err := parseOptions(c.raw, 3)
		if err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%q: %v; want an error of kind invalid with %q", c.raw, err, c.names)
		}
	}
}

func FuzzOptions(f *testing.F) {
	for _, seed := range []string{"r=1&w=2&dw=0", "strict=true&returnbody=false&timeout=100", "r=-1", "%72=1", "a;b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		o, err := parseOptions(raw, 3)
		if err == nil {
			err = o.Validate(3)
		} else if kv.KindOf(err) == kv.KindInvalid {
			return
		}
		if err != nil {
			t.Errorf("%q: %+v, %v", raw, o, err)
		}
		for name, isSet := range map[string]bool{
			"r": o.R != kv.Unset, "w": o.W != kv.Unset, "strict": o.Strict, "timeout": o.Timeout != 0,
		} {
			q, _ := parseQuery(raw, optionNames...)
			if _, given := q[name]; isSet && !given {
				t.Errorf("%q sets %s", raw, name)
			}
		}
	})
}
