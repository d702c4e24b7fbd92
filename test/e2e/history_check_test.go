package e2e_test

import (
	"strings"
	"testing"
)

// TestHistory shows that the checks of a history find what they are for: b saw
// a, c saw b, d saw nothing, r was refused, u is unknown.
func TestHistory(t *testing.T) {
	for _, tc := range []struct {
		name  string
		final string
		lost  string // ids of what must be found lost
		wrong string // words of the problem, empty for none
	}{
		{"all superseded but two", "c d", "", ""},
		{"an unknown write may show", "c d u", "", ""},
		{"a value is lost", "c", "d", ""},
		{"a chain is lost", "d", "a b c", ""},
		{"its end is lost", "b d", "c", ""},
		{"an ancestor beside its descendant", "a c d", "", "shows a beside c, which had seen it"},
		{"a refused write shows", "c d r", "", "shows r, which was refused"},
		{"a value out of nowhere", "c d x", "", `shows "x", which nobody wrote`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := &history{writes: map[string]*write{
				"a": {key: "k", outcome: acknowledged},
				"b": {key: "k", saw: []string{"a"}, outcome: acknowledged},
				"c": {key: "k", saw: []string{"b"}, outcome: acknowledged},
				"d": {key: "k", outcome: acknowledged},
				"r": {key: "k", outcome: refused},
				"u": {key: "k"},
			}}
			final := strings.Fields(tc.final)
			h.checkSiblings("k", "n1", final)
			problems := strings.Join(h.problems, "; ")
			if (problems == "") != (tc.wrong == "") || !strings.Contains(problems, tc.wrong) {
				t.Errorf("problems: %q, want %q", problems, tc.wrong)
			}
			lost := h.lost(map[string][]string{"k": final})
			if len(lost) != len(strings.Fields(tc.lost)) {
				t.Errorf("lost: %q, want %s", lost, tc.lost)
			}
			for _, id := range strings.Fields(tc.lost) {
				if !strings.Contains(strings.Join(lost, "\n"), id+" of k was acknowledged") {
					t.Errorf("%s is not among %q", id, lost)
				}
			}
		})
	}
}
