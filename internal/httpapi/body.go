package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// firstRead is how much room a body gets before any of it has arrived.
	firstRead = 64 << 10
	// maxAdminBody bounds a body that is no value, in bytes.
	maxAdminBody = 64 << 10
)

// readBody reads the body of r, whose deadline serve has set. It reads no more
// than one byte past limit, and nothing when the announced length exceeds it.
// The error is of KindTooLarge, KindTimeout for a body that came too slowly, or
// KindInvalid for one that was cut.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	const op = "read body"
	if r.ContentLength > limit {
		return nil, kv.Errorf(kv.KindTooLarge, op, "it has %d bytes, the limit is %d", r.ContentLength, limit)
	}
	room := min(max(r.ContentLength, 0), firstRead) + bytes.MinRead
	b := bytes.NewBuffer(make([]byte, 0, room))
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, kv.Errorf(kv.KindTooLarge, op, "it has more than %d bytes, the limit", limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, kv.Errorf(kv.KindTimeout, op, "it came too slowly")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, kv.Errorf(kv.KindInvalid, op, "it was cut after %d bytes", b.Len())
	case err != nil:
		return nil, kv.Wrap(kv.KindInvalid, op, err)
	}
	// What follows may take longer than a body, and the connection is watched
	// for the client's going away while it does.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return b.Bytes(), nil
}

// readJSON reads the body of r, one JSON value without unknown fields, into v.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	b, err := readBody(w, r, maxAdminBody)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return kv.Errorf(kv.KindInvalid, "read body", "it is not the JSON that this page takes: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return kv.Errorf(kv.KindInvalid, "read body", "something follows its JSON")
	}
	return nil
}
