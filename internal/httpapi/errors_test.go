package httpapi

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestEveryKindHasAStatus(t *testing.T) {
	for k := range kv.NumKinds {
		if s := statuses[k]; s < 400 || s > 599 {
			t.Errorf("kind %q has status %d", k, s)
		}
	}
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{kv.Errorf(kv.KindInvalid, "a", "b"), 400},
		{kv.Errorf(kv.KindBadContext, "a", "b"), 400},
		{kv.Errorf(kv.KindNotFound, "a", "b"), 404},
		{kv.Errorf(kv.KindTooManySiblings, "a", "b"), 412},
		{kv.Errorf(kv.KindTooLarge, "a", "b"), 413},
		{kv.Errorf(kv.KindCorrupt, "a", "b"), 500},
		{kv.Errorf(kv.KindDiskFull, "a", "b"), 503},
		{kv.Errorf(kv.KindTimeout, "a", "b"), 504},
		{fmt.Errorf("wrapped: %w", kv.Errorf(kv.KindTimeout, "a", "b")), 504},
		{statusError{405, kv.Errorf(kv.KindInvalid, "a", "b")}, 405},
		{kv.Errorf(kv.Kind(200), "a", "of a later release"), 500},
		{errors.New("of no kind"), 500},
	} {
		if got := statusOf(c.err); got != c.status {
			t.Errorf("%v: %d, want %d", c.err, got, c.status)
		}
	}
}
