package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// nowhere is an answer that nobody reads.
type nowhere struct{ h http.Header }

func (n nowhere) Header() http.Header         { return n.h }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkGet measures the handler over the model, whose part is in the figures.
func BenchmarkGet(b *testing.B) {
	d := newServer(b, Default(), io.Discard)
	d.server.ServeHTTP(nowhere{http.Header{}}, httptest.NewRequest("PUT", pathA, strings.NewReader("value")))
	r := httptest.NewRequest("GET", pathA, nil)
	b.ReportAllocs()
	for b.Loop() {
		d.server.ServeHTTP(nowhere{http.Header{}}, r)
	}
}
