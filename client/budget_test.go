package client

import "testing"

// TestBudget: one attempt for ten answers, beside some that are saved up.
func TestBudget(t *testing.T) {
	var b budget
	attempts := func() (n int) {
		for b.spend() {
			n++
		}
		return n
	}
	if n := attempts(); n != retrySaved {
		t.Errorf("%d attempts at first, want %d", n, retrySaved)
	}
	for range 3 * retryOneIn {
		b.earn()
	}
	if n := attempts(); n != 3 {
		t.Errorf("%d attempts after %d answers, want 3", n, 3*retryOneIn)
	}
	for range 100 * retryOneIn {
		b.earn()
	}
	if n := attempts(); n != retrySaved {
		t.Errorf("%d attempts are saved up, want %d", n, retrySaved)
	}
}
