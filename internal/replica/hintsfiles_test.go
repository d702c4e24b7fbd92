package replica

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// TestHintsInDamagedFiles flips single bits in the files of a real engine:
// nothing damaged is served, and what can be read is delivered.
func TestHintsInDamagedFiles(t *testing.T) { onRealDisks(t, testHintsInDamagedFiles) }

func testHintsInDamagedFiles(t *testing.T, whole realDisk) {
	e := whole.open(t)
	s := openDamaged(t, e)
	objects := map[string]object.Object{}
	for i := range damagedKeys {
		k := damagedKey(i)
		objects[string(k)] = mustHint(t, s, 2, 0, k, object.Write{Value: fmt.Appendf(nil, "%0*d", 100+7*i, i)})
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	damaged, kept := 0, 0
	for range 12 {
		d := whole.crashed().(realDisk)
		flipBit(t, d.fs, rng)
		e, err := d.opener(d.fs)
		if err != nil {
			continue // the directory is set aside then
		}
		s := openDamaged(t, e)
		for k, want := range objects {
			o, _, err := s.ReadHints(0, kv.Key(k), nil)
			if err == nil && o.Bytes() != nil && !bytes.Equal(o.Bytes(), want.Bytes()) || err != nil && kv.KindOf(err) != kv.KindCorrupt {
				t.Errorf("%v is read as %d bytes, %v", kv.Key(k), len(o.Bytes()), err)
			}
		}
		page := mustPage(t, s, 2, 0, 40)
		for _, h := range page {
			if !bytes.Equal(h.Object.Bytes(), objects[string(h.Key)].Bytes()) {
				t.Errorf("%v is handed out as %d bytes", h.Key, len(h.Object.Bytes()))
			}
			if ok, err := s.DeleteHint(2, 0, h.Key, h.Version); err != nil || !ok {
				t.Errorf("%v: deleted %v, %v", h.Key, ok, err)
			}
		}
		mustPage(t, s, 2, 0, 40)
		if s.HoldsHints(0) || len(s.Hints()) != 0 {
			t.Errorf("after the delivery %+v are counted", s.Hints())
		}
		if len(page) < damagedKeys {
			damaged++
			kept = max(kept, len(page))
			if s.DamagedHints() == 0 {
				t.Error("nobody was told")
			}
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if damaged < 3 || kept < damagedKeys/2 {
		t.Errorf("damage was found in %d of 12 directories, at best %d of %d hints were left", damaged, kept, damagedKeys)
	}
}
