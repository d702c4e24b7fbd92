package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// listBuckets lists the buckets of a type, which t names, in Riak's form. Without a
// parameter there is no such page: it reads all that the cluster holds, and is not
// to be come upon by chance.
func (s *Server) listBuckets(w http.ResponseWriter, r *http.Request, t target) error {
	q, err := parseQuery(r.URL.RawQuery, "buckets", "timeout")
	if err != nil {
		return err
	}
	how, ok := q["buckets"]
	if !ok {
		return kv.Errorf(kv.KindNotFound, "find page", "there is no page %.100q without buckets=true or buckets=stream", r.URL.Path)
	}
	typ := t.bucket
	if typ == "" {
		typ = kv.DefaultType
	}
	return s.listRiak(w, r, "buckets", how, func(ctx context.Context, fn func([]byte) error) error {
		return s.parts.Store.Buckets(ctx, func(name []byte) error {
			if of, bucket := kv.SplitBucket(string(name)); of == typ {
				return fn([]byte(bucket))
			}
			return nil
		})
	})
}

// riakBatch is how many names one object of a stream has.
const riakBatch = 1000

// listRiak answers with what run calls its argument with: {"keys":[…]}, once for
// keys=true, and again and again for keys=stream. JSON has no bytes: a name that is
// no UTF-8 ends the listing with an error, where our own form has room for it. What
// fails half-way is cut off, or ends the stream with an error of its own.
func (s *Server) listRiak(w http.ResponseWriter, r *http.Request, what, how string, run func(context.Context, func([]byte) error) error) error {
	if how != "true" && how != "stream" && how != "false" {
		return badQuery("%s=%q is neither true, stream nor false", what, how)
	}
	k := &keyStream{w: w, ctl: http.NewResponseController(w), buf: bufio.NewWriterSize(w, keyBuffer), timeout: s.cfg.WriteTimeout}
	names, err := []string{}, error(nil)
	tell := func() error {
		b, err := json.Marshal(map[string][]string{what: names})
		if err != nil {
			return err
		}
		names = names[:0]
		w.Header().Set("Content-Type", typeJSON)
		k.begun = true
		if _, err := k.buf.Write(b); err != nil {
			return err
		}
		return k.flush()
	}
	size := 0
	if r.Method != http.MethodHead && how != "false" {
		err = run(r.Context(), func(name []byte) error {
			if !utf8.Valid(name) {
				return kv.Errorf(kv.KindInvalid, "list", "%q is no UTF-8, which JSON needs: list the keys without keys=%s", name, how)
			}
			names, size = append(names, string(name)), size+len(name)
			switch {
			case how == "stream" && len(names) == riakBatch:
				return tell()
			case how == "true" && size > kv.MaxObject:
				return kv.Errorf(kv.KindTooLarge, "list", "more than %d bytes: ask for %s=stream", kv.MaxObject, what)
			}
			return nil
		})
	}
	if err != nil && !k.begun {
		return err
	}
	if err != nil {
		b, _ := json.Marshal(bodyOf(err, r.Method))
		_, _ = k.buf.Write(b)
		_ = k.flush()
		return nil
	}
	_ = tell()
	return nil
}
