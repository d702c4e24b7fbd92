package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
)

// Conditions are those of RFC 9110, section 13. A get is answered under them for
// nothing; a put or delete reads first, and another write may come between.
var conditionHeaders = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

func conditional(r *http.Request) bool {
	return slices.ContainsFunc(conditionHeaders, func(name string) bool { return r.Header.Get(name) != "" })
}

// tagOf returns the entity tag of what a answers: of a value alone its vtag.
func tagOf(a object.Answer) string {
	if a.Object.Len() == 1 {
		c := a.Object.Siblings()
		c.Next()
		return `"` + content.VTag(c.Dot) + `"`
	}
	return fmt.Sprintf(`"%016x"`, object.VersionHash(a.Object))
}

// modifiedAt returns when the newest sibling was written, to the second.
func modifiedAt(a object.Answer) time.Time {
	var last kv.Time
	for c := a.Object.Siblings(); c.Next(); {
		last = max(last, c.Time)
	}
	return last.Wall().Truncate(time.Second)
}

// unmet returns the status that the conditions of r call for in place of the
// answer a, 0 for none.
func unmet(r *http.Request, a object.Answer) int {
	exists, tag, at := a.Object.Live() > 0, tagOf(a), modifiedAt(a)
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if v := r.Header.Get("If-Match"); v != "" {
		if !exists || !matches(v, tag) {
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(r.Header.Get("If-Unmodified-Since")); err == nil && exists && at.After(t) {
		return http.StatusPreconditionFailed
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		switch {
		case !exists || !matches(v, tag):
		case read:
			return http.StatusNotModified
		default:
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && read && exists && !at.After(t) {
		return http.StatusNotModified
	}
	return 0
}

// matches tells whether a list of entity tags, or *, has tag.
func matches(list, tag string) bool {
	for _, v := range splitList(list) {
		v = strings.TrimPrefix(strings.TrimSpace(v), "W/")
		if v == "*" || v == tag {
			return true
		}
	}
	return false
}

// precondition checks the conditions of a put or delete.
func (s *Server) precondition(r *http.Request, key kv.Key, o kv.Options) error {
	if !conditional(r) {
		return nil
	}
	read := kv.Defaults()
	read.Strict, read.Timeout = o.Strict, o.Timeout
	a, err := s.parts.Store.Get(r.Context(), key, read)
	if err != nil {
		// Nothing was written.
		return &kv.Error{Op: "read before write", Kind: kv.KindOf(err), Err: err}
	}
	if status := unmet(r, a); status != 0 {
		return statusError{status, kv.Errorf(kv.KindRefused, "check conditions", "the key is not as the request wants it to be")}
	}
	return nil
}
