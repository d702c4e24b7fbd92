package store

import (
	"testing"

	"github.com/ringtaildb/ringtail/client"
)

func TestContexts(t *testing.T) {
	c := newContexts()
	want := func(what, seen string) {
		t.Helper()
		if got := string(c.of("k")); got != seen {
			t.Errorf("%s: got %q, want %q", what, got, seen)
		}
	}
	want("nothing", "")
	first := client.Context("first")
	c.put("k", first)
	first[0] = 'x' // it shares memory with an answer
	want("a put", "first")
	c.got("k", client.Context("older, perhaps"))
	want("a get where something is known", "first")
	c.put("k", nil)
	want("a put that failed or left siblings", "")
	c.got("k", nil)
	want("a get of a key that is not there", "")
	c.got("k", client.Context("all"))
	want("a get", "all")
	if got := c.of("other"); got != nil {
		t.Errorf("another key: got %q", got)
	}
}
