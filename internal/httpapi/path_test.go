package httpapi

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestParsePath(t *testing.T) {
	long := strings.Repeat("k", kv.MaxKey)
	for raw, want := range map[string]target{
		"/":                               {page: pageRoot},
		"/buckets/b/keys/k":               {pageKey, "b", "k"},
		"/buckets/b/keys/a/b":             {pageKey, "b", "a/b"},
		"/buckets/b/keys/a%2Fb":           {pageKey, "b", "a/b"},
		"/buckets/b/keys/a%252Fb":         {pageKey, "b", "a%2Fb"},
		"/buckets/b/keys//":               {pageKey, "b", "/"},
		"/buckets/b/keys//a//b/":          {pageKey, "b", "/a//b/"},
		"/buckets/b/keys/..":              {pageKey, "b", ".."},
		"/buckets/b/keys/.":               {pageKey, "b", "."},
		"/buckets/b/keys/../../c":         {pageKey, "b", "../../c"},
		"/buckets/../keys/%00":            {pageKey, "..", "\x00"},
		"/buckets/b/keys/a+b%2B":          {pageKey, "b", "a+b+"},
		"/buckets/b/keys/%ff%FE":          {pageKey, "b", "\xff\xfe"},
		"/buckets/x%2Fkeys%2Fy/keys/k":    {pageKey, "x/keys/y", "k"},
		"/buckets/keys/keys/keys":         {pageKey, "keys", "keys"},
		"/buckets/b/keys/" + long:         {pageKey, "b", long},
		"/buckets/b/keys":                 {page: pageKeys, bucket: "b"},
		"/buckets/b/props":                {page: pageProps, bucket: "b"},
		"/buckets/b/keys/k/preflist":      {pagePreflist, "b", "k"},
		"/buckets/b/keys/a/b/preflist":    {pagePreflist, "b", "a/b"},
		"/buckets/b/keys/k%2Fpreflist":    {pageKey, "b", "k/preflist"},
		"/buckets/b/keys/k/%70reflist":    {pageKey, "b", "k/preflist"},
		"/buckets/b/keys/preflist":        {pageKey, "b", "preflist"},
		"/buckets/b/keys//preflist":       {pageKey, "b", "/preflist"},
		"/buckets/b/keys/k/preflist/":     {pageKey, "b", "k/preflist/"},
		"/buckets/b/props/":               {},
		"/buckets/b/k%65ys/k":             {},
		"/buckets/b":                      {},
		"/buckets/":                       {},
		"/buckets":                        {},
		"/cluster":                        {page: pageCluster},
		"/cluster/plan":                   {page: pagePlan},
		"/cluster/commit":                 {page: pageCommit},
		"/cluster/join":                   {page: pageJoin},
		"/cluster/leave":                  {page: pageLeave},
		"/cluster/remove":                 {page: pageRemove},
		"/cluster/replace":                {page: pageReplace},
		"/cluster/weight":                 {page: pageWeight},
		"/cluster/clear":                  {page: pageClear},
		"/cluster/pace":                   {page: pagePace},
		"/cluster/":                       {},
		"//cluster":                       {},
		"/buckets/b/keys/k/../../cluster": {pageKey, "b", "k/../../cluster"},
		"/partitions":                     {page: pagePartitions},
		"/repair":                         {page: pageRepair},
		"/repair/":                        {},
		"/scrub":                          {page: pageScrub},
		"/metrics":                        {page: pageMetrics},
		"/healthz":                        {page: pageHealthz},
		"/readyz":                         {page: pageReadyz},
		"/debug/pprof/heap":               {page: pagePprof},
		"/debug/pprof":                    {},
		"*":                               {},
		"":                                {},
	} {
		got, err := parsePath(raw)
		if err != nil || got != want {
			t.Errorf("%.60q is %+v, %v; want %+v", raw, got, err, want)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	for raw, want := range map[string]kv.Kind{
		"/buckets/b/keys/%zz": kv.KindInvalid,
		"/buckets/b/keys/%0":  kv.KindInvalid,
		"/buckets/%/keys/k":   kv.KindInvalid,
		"/buckets/%/keys":     kv.KindInvalid,
		"/buckets//keys/k":    kv.KindInvalid,
		"/buckets//props":     kv.KindInvalid,
		"/buckets/b/keys/":    kv.KindInvalid,
		"/buckets/b/keys/" + strings.Repeat("%6B", kv.MaxKey+1):       kv.KindTooLarge,
		"/buckets/" + strings.Repeat("b", kv.MaxBucket+1) + "/keys/k": kv.KindTooLarge,
		"/buckets/" + strings.Repeat("b", kv.MaxBucket+1) + "/keys":   kv.KindTooLarge,
		"/buckets/" + strings.Repeat("b", kv.MaxBucket+1) + "/props":  kv.KindTooLarge,
	} {
		if got, err := parsePath(raw); err == nil || kv.KindOf(err) != want {
			t.Errorf("%.60q is %+v, %v; want an error of kind %q", raw, got, err, want)
		}
	}
}

func TestRawPathIsAsItWasSent(t *testing.T) {
	for _, raw := range []string{
		"/buckets/b/keys/k", "/buckets/a%2Fb\"/keys/k", "/buckets/%61%2f|/keys/^", "/a%20b", "/buckets/b/keys/%2e%2E",
		"/buckets/ä%2F/keys/k", "/buckets/b/keys/a#b",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		if got := rawPath(r); got != raw {
			t.Errorf("%q arrives as %q", raw, got)
		}
	}
}

// FuzzPath checks that a bucket and a key of any bytes come out of the path
// that a careful client makes of them, and that no path breaks a limit.
func FuzzPath(f *testing.F) {
	f.Add("default", "a/b", "/buckets/b/keys/k")
	f.Add("..", "\x00\xff+ %", "/buckets/%2e/keys/%00/preflist")
	f.Add("b", "a/preflist", "/buckets//keys//")
	f.Fuzz(func(t *testing.T, bucket, key, raw string) {
		if kv.CheckKey(bucket, key) == nil {
			path := "/buckets/" + url.PathEscape(bucket) + "/keys/" + url.PathEscape(key)
			got, err := parsePath(path)
			if want := (target{pageKey, bucket, key}); err != nil || got != want {
				t.Errorf("%q is %+v, %v", path, got, err)
			}
		}
		got, err := parsePath(raw)
		if err != nil {
			return
		}
		switch got.page {
		case pageKey, pagePreflist:
			err = kv.CheckKey(got.bucket, got.key)
		case pageKeys, pageProps:
			err = kv.CheckBucket(got.bucket)
		default:
			if got.bucket+got.key != "" {
				t.Errorf("%q: page %d of %+v", raw, got.page, got)
			}
		}
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	})
}
