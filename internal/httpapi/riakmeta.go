package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
)

// What Riak keeps beside a value stands in headers; package content keeps it, for
// both of Riak's doors.
const (
	headerVClock      = "X-Riak-Vclock"
	headerRiakDeleted = "X-Riak-Deleted"
	prefixMeta        = "X-Riak-Meta-"
	prefixIndex       = "X-Riak-Index-"
)

// requestMeta returns what the headers of r ask to be kept beside its value. The
// error is of KindTooLarge.
func requestMeta(r *http.Request) ([]byte, error) {
	m := content.Meta{Encoding: []byte(r.Header.Get("Content-Encoding"))}
	for _, v := range r.Header.Values("Link") {
		for _, element := range splitList(v) {
			if l, ok := parseLink(strings.TrimSpace(element)); ok {
				m.Links = append(m.Links, l)
			}
		}
	}
	for name, values := range r.Header {
		meta, isMeta := strings.CutPrefix(name, prefixMeta)
		index, isIndex := strings.CutPrefix(name, prefixIndex)
		for _, v := range values {
			switch {
			case isMeta:
				m.User = append(m.User, pair(meta, v))
			case isIndex:
				for _, one := range strings.Split(v, ",") {
					m.Indexes = append(m.Indexes, pair(index, strings.TrimSpace(one)))
				}
			}
		}
	}
	sortPairs(m.User)
	sortPairs(m.Indexes)
	b := m.Encode()
	if len(b) > kv.MaxMeta {
		return nil, kv.Errorf(kv.KindTooLarge, "read headers", "what is to be kept beside the value has %d bytes, the limit is %d", len(b), kv.MaxMeta)
	}
	return b, nil
}

// pair returns a header's name, which has no case, and its value.
func pair(name, value string) content.Pair {
	return content.Pair{Key: []byte(strings.ToLower(name)), Value: []byte(value), HasValue: true}
}

// parseLink reads </buckets/B/keys/K>; riaktag="T", or the old form of its path. A
// link that leads to no key is none of ours.
func parseLink(s string) (content.Link, bool) {
	path, params, ok := strings.Cut(strings.TrimPrefix(s, "<"), ">")
	if !ok || !strings.HasPrefix(s, "<") {
		return content.Link{}, false
	}
	if old, ok := strings.CutPrefix(path, "/riak/"); ok {
		bucket, key, _ := strings.Cut(old, "/")
		path = "/buckets/" + bucket + "/keys/" + key
	}
	t, err := parsePath(path)
	_, tag, tagged := strings.Cut(params, "riaktag=")
	if err != nil || t.page != pageKey || !tagged {
		return content.Link{}, false
	}
	tag, err = url.PathUnescape(strings.Trim(strings.TrimSpace(tag), `"`))
	return content.Link{Bucket: []byte(t.bucket), Key: []byte(t.key), Tag: []byte(tag)}, err == nil
}

// setRiak sets the headers of a value that only Riak's clients look for. Names and
// values that cannot stand in a header, which another door has let in, are left out.
func setRiak(h http.Header, s object.Sibling) {
	h.Set("ETag", `"`+content.VTag(s.Dot)+`"`)
	if s.Deleted {
		h.Set(headerRiakDeleted, "true")
	}
	m, err := content.Decode(s.Meta)
	if err != nil || m.Empty() {
		return
	}
	if isHeaderValue(m.Encoding) && len(m.Encoding) > 0 {
		h.Set("Content-Encoding", string(m.Encoding))
	}
	if len(m.Charset) > 0 && isHeaderValue(m.Charset) && !strings.Contains(h.Get("Content-Type"), "charset=") {
		h.Set("Content-Type", h.Get("Content-Type")+"; charset="+string(m.Charset))
	}
	for _, l := range m.Links {
		h.Add("Link", "</buckets/"+url.PathEscape(string(l.Bucket))+"/keys/"+url.PathEscape(string(l.Key))+`>; riaktag="`+url.PathEscape(string(l.Tag))+`"`)
	}
	addPairs(h, prefixMeta, m.User)
	addPairs(h, prefixIndex, m.Indexes)
}

func addPairs(h http.Header, prefix string, pairs []content.Pair) {
	for _, p := range pairs {
		if !isToken(p.Key) || !isHeaderValue(p.Value) {
			continue
		}
		name := http.CanonicalHeaderKey(prefix + string(p.Key))
		if had := h.Get(name); had != "" {
			h.Set(name, had+", "+string(p.Value))
		} else {
			h.Set(name, string(p.Value))
		}
	}
}

// isToken tells whether b may be a part of a header's name.
func isToken(b []byte) bool {
	for _, c := range b {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return len(b) > 0
}

func isHeaderValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
