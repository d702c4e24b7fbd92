package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// statuses gives the HTTP status of each kind of error.
var statuses = [kv.NumKinds]int{
	kv.KindInternal:        http.StatusInternalServerError,
	kv.KindInvalid:         http.StatusBadRequest,
	kv.KindBadContext:      http.StatusBadRequest,
	kv.KindTooLarge:        http.StatusRequestEntityTooLarge,
	kv.KindTooManySiblings: http.StatusPreconditionFailed,
	kv.KindUnavailable:     http.StatusServiceUnavailable,
	kv.KindTimeout:         http.StatusGatewayTimeout,
	kv.KindOverloaded:      http.StatusServiceUnavailable,
	kv.KindDiskFull:        http.StatusServiceUnavailable,
	kv.KindStorage:         http.StatusInternalServerError,
	kv.KindCorrupt:         http.StatusInternalServerError,
	kv.KindStaleRing:       http.StatusServiceUnavailable,
	kv.KindSkew:            http.StatusServiceUnavailable,
	kv.KindWrongCluster:    http.StatusServiceUnavailable,
	kv.KindWrongVersion:    http.StatusServiceUnavailable,
	kv.KindOldCopy:         http.StatusServiceUnavailable,
	kv.KindRefused:         http.StatusServiceUnavailable,
	kv.KindNotFound:        http.StatusNotFound,
	kv.KindClosed:          http.StatusServiceUnavailable,
	kv.KindHintsFull:       http.StatusServiceUnavailable,
}

// statusError is an error with a status of its own rather than its kind's.
type statusError struct {
	status int
	error
}

// Unwrap returns the error without its status.
func (e statusError) Unwrap() error { return e.error }

func statusOf(err error) int {
	var s statusError
	if errors.As(err, &s) {
		return s.status
	}
	if k := kv.KindOf(err); k < kv.NumKinds {
		return statuses[k]
	}
	return http.StatusInternalServerError
}

// errorBody is an error as answers show it.
type errorBody struct {
	Error struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
		Applied string `json:"applied"`
	} `json:"error"`
}

// bodyOf returns err as the answer to a request of the given method; a read
// never applies anything.
func bodyOf(err error, method string) errorBody {
	var b errorBody
	b.Error.Kind = kv.KindOf(err).String()
	b.Error.Message = err.Error()
	b.Error.Applied = kv.AppliedOf(err).String()
	if method == http.MethodGet || method == http.MethodHead {
		b.Error.Applied = kv.AppliedNo.String()
	}
	return b
}

// writeError answers r with err.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	writeJSON(w, statusOf(err), bodyOf(err, r.Method))
}

// writeJSON answers with v. That the client may be gone is no concern of the
// handler's, so a failed write is dropped.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // nobody takes it for HTML, and an SLA is to be read
	if err := e.Encode(v); err != nil {
		panic("httpapi: an answer that is no JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
