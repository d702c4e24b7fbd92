package sim

import (
	"encoding/binary"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// TestSure: of a cluster of five with the owners 1 and 2, on how many machines a
// write stays.
func TestSure(t *testing.T) {
	prefix := storage.NewPrefix(storage.SpaceHints, 0)
	data := record{key: string([]byte{byte(storage.SpaceData)})}
	hint := func(owner kv.NodeID) record {
		return record{key: string(binary.BigEndian.AppendUint64(prefix[:], uint64(owner)))}
	}
	const gone = 9 // no owner, and no machine
	for _, c := range []struct {
		name string
		of   []keyCopy
		told kv.NodeID
		want int
	}{
		{"nowhere", []keyCopy{{}, {}, {}, {}, {}}, 0, 0},
		{"at both owners", []keyCopy{{data}, {data}, {}, {}, {}}, 0, 2},
		{"at an owner, and a hint for it", []keyCopy{{data}, {}, {hint(1)}, {}, {}}, 0, 1},
		{"at an owner, and a hint for the other", []keyCopy{{data}, {}, {hint(2)}, {}, {}}, 0, 2},
		{"two hints for one owner", []keyCopy{{}, {}, {hint(1)}, {hint(1)}, {}}, 0, 1},
		{"hints for both owners at one stand-in", []keyCopy{{}, {}, {hint(1), hint(2)}, {}, {}}, 0, 1},
		{"hints for both owners at two", []keyCopy{{}, {}, {hint(1), hint(2)}, {hint(1)}, {}}, 0, 2},
		{"at an owner, and a hint for one that left", []keyCopy{{data}, {}, {hint(gone)}, {}, {}}, 0, 2},
		{"at both owners, and a hint for one that left", []keyCopy{{data}, {data}, {hint(gone)}, {}, {}}, 0, 2},
		{"at an owner, and a left-over copy", []keyCopy{{data}, {}, {data}, {}, {}}, 0, 2},
		{"at an owner that has the hint for the other", []keyCopy{{data, hint(2)}, {}, {}, {}, {}}, 0, 1},
		{"a hint that may be deleted", []keyCopy{{data}, {}, {hint(2)}, {}, {}}, 2, 1},
	} {
		all := copies{owners: []kv.NodeID{1, 2}, nodes: []kv.NodeID{1, 2, 3, 4, 5}, of: c.of}
		if got := all.sure(nil, func(record, *Write) bool { return true }, c.told); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
