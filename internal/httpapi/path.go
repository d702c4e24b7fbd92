package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// page is a kind of thing that a path can name.
type page uint8

const (
	pageNone page = iota
	pageRoot
	pageKey
	pageKeys
	pageProps
	pagePreflist
	pageCluster
	pagePlan
	pageCommit
	pageJoin
	pageLeave
	pageRemove
	pageReplace
	pageWeight
	pageClear
	pagePace
	pageSLA
	pagePartitions
	pageRepair
	pageScrub
	pageMetrics
	pageHealthz
	pageReadyz
	pagePprof
	pageBuckets
	pageType
	pageTypes
	pagePing
	pageStats
)

// target is what a request's path names. Bucket and key are as the user means
// them, unescaped and within their limits; only pages that have them set them.
type target struct {
	page        page
	bucket, key string
}

// rawPath returns the path of r as it came over the wire. URL.EscapedPath alone
// would not do: where a client left a byte unescaped that it should not have,
// it escapes the path anew, and an escaped slash becomes a plain one.
func rawPath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.EscapedPath()
}

// parsePath finds what the raw, still escaped path names; one that names
// nothing is pageNone. The error is of KindInvalid for a bad escape or an empty
// name, or of KindTooLarge.
//
// All that follows /keys/ is the key, slashes included, and is unescaped once:
// a/b and a%2Fb are the same key, and a plus is a plus. Only the literal end
// /preflist is set apart, for every method; a key that ends so is reached by
// escaping that slash.
func parsePath(raw string) (target, error) {
	rest, ok := strings.CutPrefix(raw, "/buckets/")
	if !ok {
		return target{page: fixedPage(raw)}, nil
	}
	bucket, rest, _ := strings.Cut(rest, "/")
	kind, key, slash := strings.Cut(rest, "/")
	t := target{}
	switch {
	case kind == "props" && !slash:
		t.page = pageProps
	case kind == "keys" && !slash:
		t.page = pageKeys
	case kind == "keys":
		t.page = pageKey
		if k, ok := strings.CutSuffix(key, "/preflist"); ok && k != "" {
			t.page, key = pagePreflist, k
		}
	default:
		return t, nil
	}
	return t, t.setNames(bucket, key)
}

// setNames unescapes and checks the bucket and, where the page has one, the
// key.
func (t *target) setNames(bucket, key string) error {
	var err error
	if t.bucket, err = url.PathUnescape(bucket); err != nil {
		return kv.Wrap(kv.KindInvalid, "read path", err)
	}
	if t.page != pageKey && t.page != pagePreflist {
		return kv.CheckBucket(t.bucket)
	}
	if t.key, err = url.PathUnescape(key); err != nil {
		return kv.Wrap(kv.KindInvalid, "read path", err)
	}
	return kv.CheckKey(t.bucket, t.key)
}

// fixedPages are those of paths outside /buckets/.
var fixedPages = map[string]page{
	"/":                pageRoot,
	"/cluster":         pageCluster,
	"/cluster/plan":    pagePlan,
	"/cluster/commit":  pageCommit,
	"/cluster/join":    pageJoin,
	"/cluster/leave":   pageLeave,
	"/cluster/remove":  pageRemove,
	"/cluster/replace": pageReplace,
	"/cluster/weight":  pageWeight,
	"/cluster/clear":   pageClear,
	"/cluster/pace":    pagePace,
	"/cluster/sla":     pageSLA,
	"/partitions":      pagePartitions,
	"/repair":          pageRepair,
	"/scrub":           pageScrub,
	"/metrics":         pageMetrics,
	"/healthz":         pageHealthz,
	"/readyz":          pageReadyz,
	"/types":           pageTypes,
	"/ping":            pagePing,
	"/stats":           pageStats,
}

// fixedPage returns the page of a path outside /buckets/.
func fixedPage(raw string) page {
	if strings.HasPrefix(raw, "/debug/pprof/") {
		return pagePprof
	}
	return fixedPages[raw]
}
