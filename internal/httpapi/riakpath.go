package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Riak's clients have three forms of a path: ours, that with a bucket type before
// it, and an old one. find brings all to ours.

// riakVersion is the release of Riak whose HTTP shape this is.
const riakVersion = "2.2.3"

// find finds what a request's raw path names, of any form. A bucket with a type has
// the name that kv.TypedBucket gives it; so has a type alone, on its own page.
func (s *Server) find(raw string) (target, error) {
	switch {
	case raw == "/buckets" || raw == "/riak":
		return target{page: pageBuckets}, nil
	case strings.HasPrefix(raw, "/types/"):
		return s.findTyped(strings.TrimPrefix(raw, "/types/"))
	case strings.HasPrefix(raw, "/riak/"):
		bucket, key, slash := strings.Cut(strings.TrimPrefix(raw, "/riak/"), "/")
		if slash && key != "" {
			return parsePath("/buckets/" + bucket + "/keys/" + strings.ReplaceAll(key, "/", "%2F"))
		}
		return parsePath("/buckets/" + bucket + "/keys")
	}
	return parsePath(raw)
}

// findTyped finds what follows /types/.
func (s *Server) findTyped(rest string) (target, error) {
	escaped, rest, _ := strings.Cut(rest, "/")
	typ, err := url.PathUnescape(escaped)
	if err != nil {
		return target{}, kv.Wrap(kv.KindInvalid, "read path", err)
	}
	if typ == "" || len(typ) > kv.MaxBucket-3 {
		return target{}, kv.Errorf(kv.KindInvalid, "read path", "the bucket type has %d bytes, the limit is %d", len(typ), kv.MaxBucket-3)
	}
	if rest == "props" {
		return target{page: pageType, bucket: typ}, nil
	}
	if typ != kv.DefaultType && !s.parts.Buckets.Known(kv.TypedBucket(typ, "")) {
		return target{}, unknownType(typ)
	}
	if rest == "buckets" {
		return target{page: pageBuckets, bucket: typ}, nil
	}
	t, err := parsePath("/" + rest)
	if err != nil {
		return t, err
	}
	if t.bucket == "" {
		return target{}, nil
	}
	t.bucket = kv.TypedBucket(typ, t.bucket)
	return t, kv.CheckBucket(t.bucket)
}

func unknownType(typ string) error {
	return kv.Errorf(kv.KindNotFound, "find page", "Unknown bucket type: %.100q", typ)
}

// typed tells whether r asks with a bucket type, and so for Riak's own form.
func typed(r *http.Request) bool { return strings.HasPrefix(rawPath(r), "/types/") }

// location returns the path of a key that the server has made.
func location(r *http.Request, bucket, key string) string {
	typ, bucket := kv.SplitBucket(bucket)
	path := "/buckets/" + url.PathEscape(bucket) + "/keys/" + key
	if typed(r) {
		path = "/types/" + url.PathEscape(typ) + path
	}
	return path
}
