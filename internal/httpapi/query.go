package httpapi

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// optionNames are the parameters of a request for a key, beside those that are
// Riak's. All are taken with every method; a get has no use for w, nor a put for r.
var optionNames = []string{"r", "w", "dw", "strict", "returnbody", "timeout"}

// putNames are the parameters of a put.
var putNames = append(slices.Clip(optionNames), "ttl")

// optionsOf reads the parameters of every request for a key.
func optionsOf(q map[string]string, n int) (kv.Options, error) {
	o := kv.Defaults()
	for name, v := range q {
		var err error
		switch name {
		case "r":
			o.R, err = parseCount(name, v)
		case "w":
			o.W, err = parseCount(name, v)
		case "dw":
			o.DW, err = parseCount(name, v)
		case "strict":
			o.Strict, err = parseBool(name, v)
		case "returnbody":
			o.ReturnBody, err = parseBool(name, v)
		case "timeout":
			o.Timeout, err = parseTimeout(v)
		}
		if err != nil {
			return kv.Defaults(), err
		}
	}
	return o, o.Validate(n)
}

// parseQuery reads a query of known parameters, each at most once.
func parseQuery(rawQuery string, known ...string) (map[string]string, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, badQuery("%v", err)
	}
	q := make(map[string]string, len(values))
	for name, v := range values {
		switch {
		case len(known) == 0:
			return nil, badQuery("there is no parameter %q; this page has none", name)
		case !slices.Contains(known, name):
			return nil, badQuery("there is no parameter %q; there are %s", name, strings.Join(known, ", "))
		case len(v) > 1:
			return nil, badQuery("%s is given %d times", name, len(v))
		}
		q[name] = v[0]
	}
	return q, nil
}

// parseCount reads a number of replicas; digits only, so that no sign turns it
// into kv.Unset.
func parseCount(name, v string) (int8, error) {
	n, err := strconv.ParseUint(v, 10, 7)
	if err != nil {
		return 0, badQuery("%s=%q is no number of replicas, which is at most %d", name, v, kv.MaxReplicas)
	}
	return int8(n), nil
}

func parseBool(name, v string) (bool, error) {
	switch v {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, badQuery("%s=%q is neither true nor false", name, v)
}

func parseTimeout(v string) (time.Duration, error) {
	ms, err := strconv.ParseUint(v, 10, 32)
	d := time.Duration(ms) * time.Millisecond
	if err != nil || d < kv.MinTimeout || d > kv.MaxTimeout {
		return 0, badQuery("timeout=%q is not within %d to %d milliseconds",
			v, kv.MinTimeout.Milliseconds(), kv.MaxTimeout.Milliseconds())
	}
	return d, nil
}

// parseTTL reads a time to live: milliseconds, 0 for the bucket's, or none.
func parseTTL(v string) (kv.TTL, error) {
	if v == "none" {
		return kv.Forever, nil
	}
	ms, err := strconv.ParseUint(v, 10, 63)
	if err != nil || kv.TTL(ms) > kv.MaxTTL {
		return 0, badQuery("ttl=%q is neither none nor within 0 to %d milliseconds", v, kv.MaxTTL)
	}
	return kv.TTL(ms), nil
}

func badQuery(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "read query", format, args...)
}
