package httpapi

import (
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
)

// writeAnswer answers with what a get found: 200 with the only value, 300 with
// the siblings, tombstones among them, or 404 when no value is live. A failed
// write means that the client is gone, and is dropped.
func writeAnswer(w http.ResponseWriter, r *http.Request, a object.Answer) {
	setContext(w, a)
	switch o := a.Object; {
	case o.Live() == 0:
		if len(a.Context) > 0 {
			w.Header().Set(headerRiakDeleted, "true")
		}
		writeError(w, r, kv.Errorf(kv.KindNotFound, "get", "the key has no value"))
	case o.Len() == 1:
		c := o.Siblings()
		c.Next()
		writeValue(w, c.Sibling)
	default:
		writeSiblings(w, r, a)
	}
}

// writeSiblings answers 300 in the form that r accepts.
func writeSiblings(w http.ResponseWriter, r *http.Request, a object.Answer) {
	h, accept := w.Header(), r.Header.Values("Accept")
	h.Set("Vary", "Accept")
	h.Set("ETag", tagOf(a))
	switch {
	case wantsJSON(accept):
		h.Set("Content-Type", typeJSON)
		w.WriteHeader(http.StatusMultipleChoices)
		_ = writeSiblingsJSON(w, a)
	case prefers(accept, typeText):
		h.Set("Content-Type", typeText)
		w.WriteHeader(http.StatusMultipleChoices)
		_ = writeSiblingsText(w, a.Object)
	default:
		m := multipart.NewWriter(w)
		h.Set("Content-Type", typeMultipart+"; boundary="+m.Boundary())
		w.WriteHeader(http.StatusMultipleChoices)
		_ = writeSiblingsMultipart(m, a.Object)
	}
}

// writeSibling is writeAnswer, but for the sibling that vtag names, unless that is
// empty: Riak's list of siblings leads to each of them so.
func writeSibling(w http.ResponseWriter, r *http.Request, a object.Answer, vtag string) error {
	if vtag == "" {
		writeAnswer(w, r, a)
		return nil
	}
	for c := a.Object.Siblings(); c.Next(); {
		if !c.Deleted && content.VTag(c.Dot) == vtag {
			setContext(w, a)
			writeValue(w, c.Sibling)
			return nil
		}
	}
	return kv.Errorf(kv.KindNotFound, "get", "the key has no sibling with the vtag %.100q", vtag)
}

// writeSiblingsText writes Riak's list of siblings, by their vtags.
func writeSiblingsText(w io.Writer, o object.Object) error {
	_, err := io.WriteString(w, "Siblings:\n")
	for c := o.Siblings(); c.Next() && err == nil; {
		_, err = io.WriteString(w, content.VTag(c.Dot)+"\n")
	}
	return err
}

func setContext(w http.ResponseWriter, a object.Answer) {
	if len(a.Context) > 0 {
		text := object.EncodeContext(a.Context)
		w.Header().Set(headerContext, text)
		w.Header().Set(headerVClock, text)
	}
}

func writeValue(w http.ResponseWriter, s object.Sibling) {
	h := w.Header()
	h.Set("Content-Type", contentType(s))
	h.Set("Content-Length", strconv.Itoa(len(s.Value)))
	h.Set("Last-Modified", lastModified(s))
	if s.Expires != 0 {
		h.Set(headerExpires, expires(s))
	}
	setRiak(h, s)
	// A value is the users' own; no browser shall guess that it is a page.
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(s.Value)
}

// siblingBody is a sibling as JSON shows it.
type siblingBody struct {
	Value       []byte `json:"value"`
	ContentType string `json:"content_type"`
	Deleted     bool   `json:"deleted"`
	Modified    string `json:"modified"`
	Expires     string `json:"expires,omitempty"`
}

// writeSiblingsJSON writes one sibling at a time: all of them may be many times
// kv.MaxValue.
func writeSiblingsJSON(w io.Writer, a object.Answer) error {
	sealed := object.EncodeContext(a.Context)
	if _, err := io.WriteString(w, `{"context":"`+sealed+`","siblings":[`); err != nil {
		return err
	}
	comma := ""
	for c := a.Object.Siblings(); c.Next(); comma = "," {
		b, err := json.Marshal(siblingBody{
			Value: c.Value, ContentType: contentType(c.Sibling), Deleted: c.Deleted,
			Modified: c.Time.Wall().Format("2006-01-02T15:04:05.000000Z"), Expires: expires(c.Sibling),
		})
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(comma), b...)); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "]}\n")
	return err
}

func writeSiblingsMultipart(m *multipart.Writer, o object.Object) error {
	for c := o.Siblings(); c.Next(); {
		h := textproto.MIMEHeader{}
		h.Set("Content-Type", contentType(c.Sibling))
		h.Set("Last-Modified", lastModified(c.Sibling))
		if c.Deleted {
			h.Set(headerDeleted, "true")
		}
		if c.Expires != 0 {
			h.Set(headerExpires, expires(c.Sibling))
		}
		setRiak(http.Header(h), c.Sibling)
		part, err := m.CreatePart(h)
		if err != nil {
			return err
		}
		if _, err := part.Write(c.Value); err != nil {
			return err
		}
	}
	return m.Close()
}

// contentType returns the type that s was put with. One that cannot stand in a
// header, which another door may have let in, would end it and begin another:
// it becomes typeUnknown, as does none.
func contentType(s object.Sibling) string {
	for _, c := range s.ContentType {
		if c < ' ' && c != '\t' || c == 0x7f {
			return typeUnknown
		}
	}
	if len(s.ContentType) == 0 {
		return typeUnknown
	}
	return string(s.ContentType)
}

// expires tells when s is not shown any more, empty for never.
func expires(s object.Sibling) string {
	if s.Expires == 0 {
		return ""
	}
	return s.Expires.Wall().Format("2006-01-02T15:04:05.000Z")
}

func lastModified(s object.Sibling) string { return s.Time.Wall().Format(http.TimeFormat) }
