package httpapi

import (
	"strings"
	"testing"
)

func TestWantsJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"":                                  false,
		"*/*":                               false,
		"application/json":                  true,
		"Application/JSON":                  true,
		"application/json; charset=utf-8":   true,
		"application/json, text/plain, */*": true,
		"application/*":                     true,
		"multipart/mixed":                   false,
		"multipart/*":                       false,
		"text/plain":                        false,
		"text/html":                         false,
		"application/json, multipart/mixed": false,
		"application/json;q=0.9, multipart/mixed":             false,
		"multipart/mixed;q=0.9, application/json":             true,
		"multipart/*;q=0.1, */*;q=0.2, application/json;q=.5": true,
		"application/json;q=0":                                false,
		"application/json;q=0, application/*":                 false,
		"application/json;q=0.0, */*":                         false,
		"*/*;q=0.5, application/json;q=0.4":                   false,
		"application/json;q=2":                                false,
		"application/json;q=NaN":                              false,
		"application/json;q=x, application/json;q=0.1":        true,
		`application/json;v="a,b\",c";q=0.3`:                  true,
		`text/plain;v=", application/json, "`:                 false,
		"*/*, multipart/mixed;q=0.1":                          true,
		"json":                                                false,
		",,;;,":                                               false,
		`"`:                                                   false,
	} {
		if got := wantsJSON([]string{accept}); got != want {
			t.Errorf("%q: %v, want %v", accept, got, want)
		}
	}
	if !wantsJSON([]string{"text/html", "application/json"}) {
		t.Error("the second of two headers does not count")
	}
	if wantsJSON(nil) {
		t.Error("no header asks for JSON")
	}
}

// FuzzAccept checks that no header makes the parser fail, that splitting loses
// nothing, and that a last element that rules JSON out is obeyed.
func FuzzAccept(f *testing.F) {
	f.Add(`application/json;q=0.5, multipart/*;v="a,\"b"`)
	f.Add(`*/*, "`)
	f.Fuzz(func(t *testing.T, accept string) {
		if got := strings.Join(splitList(accept), ","); got != accept {
			t.Errorf("%q is split into %q", accept, got)
		}
		lower := strings.ToLower(accept)
		if wantsJSON([]string{accept}) && !strings.Contains(lower, "application/") && !strings.Contains(lower, "multipart/") {
			t.Errorf("%q tells neither for JSON nor against multipart", accept)
		}
		if !strings.Contains(accept, `"`) && wantsJSON([]string{accept, "multipart/mixed;q=1"}) {
			t.Errorf("%q beats multipart at the best quality", accept)
		}
	})
}
