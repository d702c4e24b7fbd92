package node

import (
	"sync/atomic"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// TestLeftKeepsNothing: a node that is about to end, because it has left and holds
// nothing, makes no hint of its own either, and says so in a way that has another
// node asked.
func TestLeftKeepsNothing(t *testing.T) {
	var closed atomic.Bool
	closed.Store(true)
	h := hints{nil, &closed}
	_, _, _, err := h.PutHint(1, 2, 0, nil, object.Write{}, nil, nil)
	for _, err := range []error{err, h.MergeHint(2, 0, nil, object.Object{}, nil)} {
		if err == nil || kv.KindOf(err) != kv.KindHintsFull || kv.AppliedOf(err) != kv.AppliedNo {
			t.Errorf("it keeps a hint: %v", err)
		}
	}
}
