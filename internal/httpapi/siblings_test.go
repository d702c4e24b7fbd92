package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

func entry(n uint64) []byte {
	return vclock.AppendEntry(nil, vclock.Entry{Dot: vclock.Dot{Actor: vclock.Actor{Node: 7, Birth: n}, Counter: 1}, Seq: n})
}

// sibling is what an answer shows of one value.
type sibling struct {
	value, contentType string
	deleted            bool
	modified           time.Time
}

// multiparts reads an answer of type multipart/mixed.
func multiparts(t *testing.T, r reply) []sibling {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil || mediaType != typeMultipart {
		t.Fatalf("type %q: %v", r.header.Get("Content-Type"), err)
	}
	var list []sibling
	for m := multipart.NewReader(bytes.NewReader(r.body), params["boundary"]); ; {
		p, err := m.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		modified, err := http.ParseTime(p.Header.Get("Last-Modified"))
		if err != nil {
			t.Error(err)
		}
		list = append(list, sibling{string(b), p.Header.Get("Content-Type"), p.Header.Get(headerDeleted) == "true", modified})
	}
}

// jsonSiblings reads an answer in JSON, and its context.
func jsonSiblings(t *testing.T, r reply) ([]sibling, string) {
	t.Helper()
	var body struct {
		Context  string `json:"context"`
		Siblings []struct {
			Value       *[]byte   `json:"value"`
			ContentType string    `json:"content_type"`
			Deleted     *bool     `json:"deleted"`
			Modified    time.Time `json:"modified"`
		} `json:"siblings"`
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil || r.header.Get("Content-Type") != typeJSON {
		t.Fatalf("%.200s of type %q: %v", r.body, r.header.Get("Content-Type"), err)
	}
	var list []sibling
	for _, s := range body.Siblings {
		if s.Value == nil || s.Deleted == nil {
			t.Fatalf("%.200s: a sibling without value or deleted", r.body)
		}
		list = append(list, sibling{string(*s.Value), s.ContentType, *s.Deleted, s.Modified})
	}
	return list, body.Context
}

// checkSiblings reads pathA in both formats and compares with want.
func checkSiblings(t *testing.T, d *door, want []sibling) {
	t.Helper()
	options := cmp.AllowUnexported(sibling{})
	m := d.want(d.do("GET", pathA, ""), 300)
	if diff := cmp.Diff(want, multiparts(t, m), options); diff != "" {
		t.Errorf("multipart (-want +got):\n%.1000s", diff)
	}
	j := d.want(d.do("GET", pathA, "", "Accept: application/json"), 300)
	got, seen := jsonSiblings(t, j)
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("json (-want +got):\n%.1000s", diff)
	}
	if seen == "" || seen != j.context() || seen != m.context() {
		t.Errorf("contexts: %q in JSON, %q and %q in headers", seen, j.context(), m.context())
	}
	if j.header.Get("Vary") != "Accept" || m.header.Get("Vary") != "Accept" {
		t.Error("the answer does not say that it varies with Accept")
	}
}

func second(n int) time.Time { return time.Date(2026, 3, 1, 12, 0, n, 0, time.UTC) }

func TestSiblings(t *testing.T) {
	d := newDoor(t)
	old := d.want(d.do("PUT", pathA, "one", "Content-Type: text/plain"), 204).context()
	d.want(d.do("PUT", pathA, "two"), 204)
	one := sibling{"one", "text/plain", false, second(1)}
	checkSiblings(t, d, []sibling{one, {"two", typeUnknown, false, second(2)}})

	both := d.do("GET", pathA, "").context()
	d.want(d.do("PUT", pathA, "merged", headerContext+": "+both), 204)
	if got := d.want(d.do("GET", pathA, ""), 200); string(got.body) != "merged" {
		t.Errorf("a put with the context leaves %q", got.body)
	}
	d.want(d.do("PUT", pathA, "late", headerContext+": "+old), 204)
	checkSiblings(t, d, []sibling{{"merged", typeUnknown, false, second(3)}, {"late", typeUnknown, false, second(4)}})
}

func TestATombstoneAmongSiblings(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", pathA, "live", "Content-Type: text/plain"), 204)
	d.want(d.do("DELETE", pathA, ""), 204)
	checkSiblings(t, d, []sibling{{"live", "text/plain", false, second(1)}, {"", typeUnknown, true, second(2)}})
	d.want(d.do("DELETE", pathA+"?returnbody=true", ""), 300)
}

func TestTombstonesAloneAreNotFound(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("DELETE", pathA, ""), 204)
	d.want(d.do("DELETE", pathA, ""), 204)
	got := d.do("GET", pathA, "", "Accept: application/json")
	d.wantError(got, 404, kv.KindNotFound)
	if got.context() == "" {
		t.Error("tombstones without a context")
	}
	d.want(d.do("PUT", pathA, "new", headerContext+": "+got.context()), 204)
	d.want(d.do("GET", pathA, ""), 200)
}

func TestSiblingsOfAnyBytes(t *testing.T) {
	d := newDoor(t)
	values := []string{
		"", "x", "\r\n", "\r\n--", "--\r\n\r\n--x--\r\n", "Content-Type: text/html\r\n\r\n", "\x00\xff",
		string(bytes.Repeat([]byte("\r\n--"), kv.MaxValue/4)),
	}
	var want []sibling
	for i, v := range values {
		d.want(d.do("PUT", pathA, v), 204)
		want = append(want, sibling{v, typeUnknown, false, second(i + 1)})
	}
	checkSiblings(t, d, want)
}

func TestAsManySiblingsAsAPutMayLeave(t *testing.T) {
	d := newDoor(t)
	var want []sibling
	for i := range kv.MaxSiblings {
		d.want(d.do("PUT", pathA, fmt.Sprint(i)), 204)
		want = append(want, sibling{fmt.Sprint(i), typeUnknown, false, second(i + 1)})
	}
	d.wantError(d.do("PUT", pathA, "one more"), 412, kv.KindTooManySiblings)
	checkSiblings(t, d, want)
}

// TestForeignContentType puts types past the door that no header can hold, as
// another door might have.
func TestForeignContentType(t *testing.T) {
	d := newDoor(t)
	key, _ := kv.NewKey("default", "a")
	for _, ct := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7f"} {
		_, err := d.Put(t.Context(), key, object.Update{ContentType: []byte(ct), Value: []byte("v")}, kv.Defaults())
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range multiparts(t, d.want(d.do("GET", pathA, ""), 300)) {
		if s.contentType != typeUnknown || s.value != "v" {
			t.Errorf("got %+v", s)
		}
	}
}
