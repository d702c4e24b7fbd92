package httpapi

import (
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
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
	q, err := s.keyQuery(r.URL.RawQuery, t.bucket, false)
	if err != nil {
		return err
	}
	key := t.storeKey()
	a, err := s.parts.Store.Get(r.Context(), key, q.Options)
	if err == nil && a.Object.Live() == 0 {
		a, err = s.lookFurther(r, key, t.bucket, q, a)
	}
	if err != nil {
		return err
	}
	if conditional(r) {
		if status := unmet(r, a); status != 0 {
			setContext(w, a)
			w.Header().Set("ETag", tagOf(a))
			w.WriteHeader(status)
			return nil
		}
	}
	return writeSibling(w, r, a, q.vtag)
}

// lookFurther asks more owners for a key that was not found, where its bucket or
// the request wants that. Where too few answer it is left at what is known.
func (s *Server) lookFurther(r *http.Request, key kv.Key, bucket string, q keyQuery, a object.Answer) (object.Answer, error) {
	b := s.parts.Buckets
	wanted := q.look.Further(q.R, b.Props(bucket).R, b.N())
	if wanted == 0 {
		return a, nil
	}
	q.R = wanted
	more, err := s.parts.Store.Get(r.Context(), key, q.Options)
	if err != nil && kv.KindOf(err) == kv.KindUnavailable {
		return a, nil
	}
	return more, err
}

func (s *Server) putKey(w http.ResponseWriter, r *http.Request, t target) error {
	u := object.Update{}
	var err error
	if u.ContentType, err = requestType(r); err != nil {
		return err
	}
	if u.Meta, err = requestMeta(r); err != nil {
		return err
	}
	q, err := s.keyQuery(r.URL.RawQuery, t.bucket, true)
	if err != nil {
		return err
	}
	u.Life = q.life
	return s.update(w, r, t, q.Options, u, func() (b []byte, err error) { return readBody(w, r, kv.MaxValue) })
}

// postKey puts a value under a key that the server makes.
func (s *Server) postKey(w http.ResponseWriter, r *http.Request, t target) error {
	key, err := content.NewKey()
	if err != nil {
		return kv.Wrap(kv.KindInternal, "make key", err)
	}
	t.key = key
	return s.putKey(&created{ResponseWriter: w, at: location(r, t.bucket, key)}, r, t)
}

// created answers 201, and where, in the place of what tells that a put is done.
type created struct {
	http.ResponseWriter
	at    string
	begun bool
}

// Write implements http.ResponseWriter.
func (c *created) Write(b []byte) (int, error) {
	if !c.begun {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(b)
}

// WriteHeader implements http.ResponseWriter.
func (c *created) WriteHeader(status int) {
	if status == http.StatusNoContent || status == http.StatusOK {
		status = http.StatusCreated
	}
	c.Header().Set("Location", c.at)
	c.begun = true
	c.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find what is beneath.
func (c *created) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request, t target) error {
	q, err := s.keyQuery(r.URL.RawQuery, t.bucket, false)
	if err != nil {
		return err
	}
	return s.update(w, r, t, q.Options, object.Update{Deleted: true}, func() ([]byte, error) { return nil, nil })
}

// update puts u with the value that read returns, which is called once all else
// about the request is known to be right.
func (s *Server) update(w http.ResponseWriter, r *http.Request, t target, o kv.Options, u object.Update, read func() ([]byte, error)) error {
	var err error
	if u.Context, err = requestContext(r); err != nil {
		return err
	}
	if u.Value, err = read(); err != nil {
		return err
	}
	key := t.storeKey()
	if err := s.precondition(r, key, o); err != nil {
		return err
	}
	a, err := s.parts.Store.Put(r.Context(), key, u, o)
	if err != nil {
		return err
	}
	if o.ReturnBody && a.Object.Live() > 0 {
		return writeSibling(w, r, a, "")
	}
	setContext(w, a)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// requestContext returns the sealed context that r carries, under either of its
// names, empty for none.
func requestContext(r *http.Request) ([]byte, error) {
	ours, riaks := r.Header.Values(headerContext), r.Header.Values(headerVClock)
	if len(ours) == 1 && len(riaks) == 1 && ours[0] == riaks[0] {
		riaks = nil
	}
	switch n := len(ours) + len(riaks); n {
	case 0:
		return nil, nil
	case 1:
		return object.DecodeContext(append(ours, riaks...)[0])
	default:
		return nil, kv.Errorf(kv.KindBadContext, "read context", "%s is given %d times", headerContext, n)
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
