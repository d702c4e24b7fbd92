package httpapi

import (
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

const (
	headerContext = "X-Ringtail-Context"
	headerDeleted = "X-Ringtail-Deleted"
	headerExpires = "X-Ringtail-Expires"
)

func (t target) storeKey() kv.Key {
	return kv.AppendKey(make([]byte, 0, 1+len(t.bucket)+len(t.key)), t.bucket, []byte(t.key))
}

func (s *Server) getKey(w http.ResponseWriter, r *http.Request, t target) error {
	o, err := parseOptions(r.URL.RawQuery, s.parts.Buckets.N())
	if err != nil {
		return err
	}
	a, err := s.parts.Store.Get(r.Context(), t.storeKey(), o)
	if err != nil {
		return err
	}
	writeAnswer(w, r, a)
	return nil
}

func (s *Server) putKey(w http.ResponseWriter, r *http.Request, t target) error {
	contentType, err := requestType(r)
	if err != nil {
		return err
	}
	o, life, err := parsePut(r.URL.RawQuery, s.parts.Buckets.N())
	if err != nil {
		return err
	}
	return s.update(w, r, t, o, func() (object.Update, error) {
		value, err := readBody(w, r, kv.MaxValue)
		return object.Update{ContentType: contentType, Value: value, Life: life}, err
	})
}

func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request, t target) error {
	o, err := parseOptions(r.URL.RawQuery, s.parts.Buckets.N())
	if err != nil {
		return err
	}
	return s.update(w, r, t, o, func() (object.Update, error) { return object.Update{Deleted: true}, nil })
}

// update puts what read returns, which is called once all else about the
// request is known to be right.
func (s *Server) update(w http.ResponseWriter, r *http.Request, t target, o kv.Options, read func() (object.Update, error)) error {
	seen, err := requestContext(r)
	if err != nil {
		return err
	}
	u, err := read()
	if err != nil {
		return err
	}
	u.Context = seen
	a, err := s.parts.Store.Put(r.Context(), t.storeKey(), u, o)
	if err != nil {
		return err
	}
	if o.ReturnBody && a.Object.Live() > 0 {
		writeAnswer(w, r, a)
		return nil
	}
	setContext(w, a)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// requestContext returns the sealed context that r carries, empty for none.
func requestContext(r *http.Request) ([]byte, error) {
	switch v := r.Header.Values(headerContext); len(v) {
	case 0:
		return nil, nil
	case 1:
		return object.DecodeContext(v[0])
	default:
		return nil, kv.Errorf(kv.KindBadContext, "read context", "%s is given %d times", headerContext, len(v))
	}
}

// requestType returns the content type that r gives its value, as it was sent.
func requestType(r *http.Request) ([]byte, error) {
	v := r.Header.Get("Content-Type")
	if len(v) > kv.MaxContentType {
		return nil, kv.Errorf(kv.KindTooLarge, "read content type", "it has %d bytes, the limit is %d", len(v), kv.MaxContentType)
	}
	return []byte(v), nil
}
