package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

const (
	// flushEvery is how often a stream of keys is flushed while lines come.
	flushEvery = 100 * time.Millisecond
	// keyBuffer is how many bytes of lines are collected, at most.
	keyBuffer = 16 << 10
)

// keyLine is one line of a stream of keys: Key for one that is UTF-8, Raw for
// any other.
type keyLine struct {
	Key *string `json:"key,omitempty"`
	Raw []byte  `json:"key_base64,omitempty"`
}

// keyStream writes keys as lines of JSON. It answers 200 with the first of
// them, so that an error before it still has a status of its own.
type keyStream struct {
	w       http.ResponseWriter
	ctl     *http.ResponseController
	buf     *bufio.Writer
	flushed time.Time
	timeout time.Duration
	begun   bool
}

// begin sends the head of the answer.
func (k *keyStream) begin() {
	if !k.begun {
		k.begun = true
		k.w.Header().Set("Content-Type", typeNDJSON)
		k.w.WriteHeader(http.StatusOK)
	}
}

// line writes v as a line. An error means that the client is gone.
func (k *keyStream) line(v any) error {
	k.begin()
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := k.buf.Write(append(b, '\n')); err != nil {
		return err
	}
	if time.Since(k.flushed) < flushEvery {
		return nil
	}
	return k.flush()
}

// flush sends what has been collected and gives the next flush its time.
func (k *keyStream) flush() error {
	k.flushed = time.Now()
	_ = k.ctl.SetWriteDeadline(k.flushed.Add(k.timeout))
	if err := k.buf.Flush(); err != nil {
		return err
	}
	return k.ctl.Flush()
}

func (k *keyStream) key(key []byte) error {
	if !utf8.Valid(key) {
		return k.line(keyLine{Raw: key})
	}
	text := string(key)
	return k.line(keyLine{Key: &text})
}

// listKeys streams the keys of a bucket. An error after the first line is the
// last line.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request, t target) error {
	q, err := parseQuery(r.URL.RawQuery, "keys", "props", "timeout")
	if err != nil {
		return err
	}
	if how, ok := q["keys"]; ok {
		return s.listRiak(w, r, "keys", how, func(ctx context.Context, fn func([]byte) error) error {
			return s.parts.Store.Keys(ctx, t.bucket, fn)
		})
	}
	if len(q) > 0 {
		return badQuery("props and timeout are for Riak's form of a listing: keys=true or keys=stream")
	}
	k := &keyStream{
		w: w, ctl: http.NewResponseController(w), buf: bufio.NewWriterSize(w, keyBuffer),
		timeout: s.cfg.WriteTimeout,
	}
	if r.Method != http.MethodHead {
		err = s.parts.Store.Keys(r.Context(), t.bucket, k.key)
	}
	if err != nil && !k.begun {
		return err
	}
	k.begin()
	if err != nil {
		// It also fails for want of a client; then there is nobody to tell.
		_ = k.line(bodyOf(err, r.Method))
	}
	_ = k.flush()
	return nil
}
