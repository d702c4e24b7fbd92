package replica

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// FuzzMeta: what a partition has beside its records is read from whatever the disk
// has made of it, and is written again as it was read.
func FuzzMeta(f *testing.F) {
	f.Add((&stage{puts: 1, gets: 2}).appendTo(nil))
	f.Add((&stage{puts: 1, gets: 2, guessed: true}).appendTo(nil))
	f.Add((&Fill{Level: 3, Sources: []kv.NodeID{4, 5}, Done: true}).appendTo(nil))
	m := redo{from: metaKey(0, ""), to: metaKey(3, "x")}
	m.keep(metaKey(1, metaFloor), []byte("floor"))
	m.keep(metaKey(2, metaStage), nil)
	f.Add(m.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := parseStage(b); err == nil && !bytes.Equal(st.appendTo(nil), b) {
			t.Errorf("stage %+v of %x", st, b)
		}
		if fill, err := parseFill(b); err == nil && !bytes.Equal(fill.appendTo(nil), b) {
			t.Errorf("fill %+v of %x", fill, b)
		}
		m, err := parseRedo(b)
		if err != nil {
			return
		}
		again, err := parseRedo(m.appendTo(nil))
		if err != nil || !bytes.Equal(again.appendTo(nil), m.appendTo(nil)) {
			t.Errorf("note %+v of %x: %v", m, b, err)
		}
	})
}
