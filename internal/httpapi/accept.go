package httpapi

import (
	"mime"
	"strconv"
	"strings"
)

const (
	typeJSON      = "application/json"
	typeNDJSON    = "application/x-ndjson"
	typeMultipart = "multipart/mixed"
	typeText      = "text/plain"
	// typeUnknown is the content type of a value that was put without one.
	typeUnknown = "application/octet-stream"
)

// wantsJSON tells whether the Accept header asks for JSON rather than for
// multipart, the default: by a higher quality, or by the same one and a closer
// range (RFC 9110, section 12.5.1). Elements that are malformed do not count.
func wantsJSON(accept []string) bool { return prefers(accept, typeJSON) }

// prefers is wantsJSON for any media type.
func prefers(accept []string, mediaType string) bool {
	wanted, multi := weight{closeness: -1}, weight{closeness: -1}
	for _, element := range splitList(strings.Join(accept, ",")) {
		name, params, err := mime.ParseMediaType(element)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		wanted.consider(name, q, mediaType)
		multi.consider(name, q, typeMultipart)
	}
	return wanted.q > multi.q || wanted.q > 0 && wanted.q == multi.q && wanted.closeness > multi.closeness
}

// weight is what an Accept header says of one media type: the quality of the
// range that fits it closest.
type weight struct {
	q float64
	// closeness is 2 for the type itself, 1 for its family, 0 for */*, and -1
	// when no range fits.
	closeness int
}

// consider takes into account that the range name has quality q.
func (w *weight) consider(name string, q float64, mediaType string) {
	family, _, _ := strings.Cut(mediaType, "/")
	closeness := -1
	switch name {
	case mediaType:
		closeness = 2
	case family + "/*":
		closeness = 1
	case "*/*":
		closeness = 0
	}
	if closeness > w.closeness {
		*w = weight{q: q, closeness: closeness}
	} else if closeness >= 0 && closeness == w.closeness {
		w.q = max(w.q, q)
	}
}

// splitList splits a header's list at its commas, but for those in quotes.
func splitList(s string) []string {
	var list []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			list = append(list, s[start:i])
			start = i + 1
		}
	}
	return append(list, s[start:])
}
