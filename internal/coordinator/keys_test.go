package coordinator

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestKeysListsEachLiveKeyOnce(t *testing.T) {
	c := newCluster(t, 5)
	wanted := map[string]bool{}
	for i := range 500 {
		key := fmt.Sprintf("key\x00%d", i)
		if i == 7 {
			key = string(bytes.Repeat([]byte{0xff}, kv.MaxKey))
		}
		c.put(i%5, key, "v", nil, kv.Defaults())
		c.run()
		wanted[key] = true
		if i%10 == 0 {
			c.del(i%5, key, nil, kv.Defaults())
			c.run()
			delete(wanted, key)
		}
	}
	b := Blocking{c.nodes[0].coord}
	c.nodes[0].coord.Peers = eager{c.nodes[0]}
	c.nodes[3].down = true
	got := map[string]bool{}
	err := b.Keys(t.Context(), "default", func(key []byte) error {
		if got[string(key)] {
			t.Errorf("%q came twice", key)
		}
		got[string(key)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
	var buckets []string
	err = b.Buckets(t.Context(), func(name []byte) error {
		buckets = append(buckets, string(name))
		return nil
	})
	if diff := cmp.Diff([]string{"default"}, buckets); diff != "" || err != nil {
		t.Errorf("buckets: %v\n%s", err, diff)
	}
	if err := b.Keys(t.Context(), "", nil); kv.KindOf(err) != kv.KindInvalid || err == nil {
		t.Errorf("keys of no bucket: %v", err)
	}
}

// eager is a node whose messages do not wait.
type eager struct{ *node }

func (e eager) Call(to kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	e.node.Call(to, call, m, done, tag)
	e.node.run()
}
