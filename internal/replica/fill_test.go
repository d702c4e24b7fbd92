package replica

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
)

// wantFill looks at a fill, but for its Losses.
func wantFill(t testing.TB, what string, s *Store, p kv.Partition, want Fill) {
	t.Helper()
	got := s.Fill(p)
	got.Losses, want.Losses = 0, 0
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: the fill (-want +got):\n%s", what, diff)
	}
}

// setFill sets p's fill to what it is now with one more source.
func setFill(s *Store, p kv.Partition, f Fill) error {
	f.Losses = s.Fill(p).Losses
	return s.SetFills(map[kv.Partition]Fill{p: f})
}

// TestFillIsLost: with what it was filled with a copy loses the fill, at once, on
// the disk, and for whoever did not know that yet; the stage stays.
func TestFillIsLost(t *testing.T) {
	half := Fill{Level: 5, Sources: []kv.NodeID{2}}
	full := Fill{Level: 5, Sources: []kv.NodeID{2, 3}, Done: true}
	for _, c := range []struct {
		what string
		lose func(t *testing.T, s *Store, e *badBlocks)
	}{
		{"damaged", func(t *testing.T, s *Store, _ *badBlocks) {
			if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
				t.Fatal(err)
			}
		}},
		{"damage is found", func(t *testing.T, s *Store, e *badBlocks) {
			e.spoil(appendDataKey(nil, 0, fillKey))
			if _, _, err := s.Read(0, fillKey, nil); err == nil {
				t.Fatal("it can be read")
			}
		}},
		{"damage is found while the disk is full", func(t *testing.T, s *Store, e *badBlocks) {
			e.spoil(appendDataKey(nil, 0, fillKey))
			e.full = true
			if _, _, err := s.Read(0, fillKey, nil); err == nil {
				t.Fatal("it can be read")
			}
			e.full = false
			upkeep(t, s)
		}},
		{"dropped", func(t *testing.T, s *Store, _ *badBlocks) {
			_, _, changes := s.Tree(0)
			if dropped, err := s.DropCopy(0, changes); !dropped || err != nil {
				t.Fatal(dropped, err)
			}
		}},
	} {
		s, e := newBadBlocks(t)
		mustPut(t, s, 0, fillKey, object.Write{Value: []byte("v")})
		mustAdvance(t, s, Advance{Partition: 0, Puts: settled, Gets: settled})
		late := half
		late.Losses = s.Fill(0).Losses
		if err := setFill(s, 0, full); err != nil {
			t.Fatal(err)
		}
		wantFill(t, c.what, s, 0, full)
		c.lose(t, s, e)
		wantFill(t, c.what+", then", s, 0, Fill{})
		if _, found, _ := e.Engine.Get(metaKey(0, metaFill), nil); found {
			t.Errorf("%s: the engine has the fill still", c.what)
		}
		other := Fill{Level: 9}
		if err := s.SetFills(map[kv.Partition]Fill{0: late, 1: other}); err == nil || kv.KindOf(err) != kv.KindRefused {
			t.Errorf("%s: what was filled in before counts: %v", c.what, err)
		}
		wantFill(t, c.what+", of before", s, 0, Fill{})
		wantFill(t, c.what+", another partition", s, 1, other)
		upkeep(t, s)
		if err := setFill(s, 0, half); err != nil {
			t.Errorf("%s: what was filled in since: %v", c.what, err)
		}
		again := mustOpen(t, 0, self, e, &counter{}, s.rings, 100)
		for _, s := range []*Store{s, again} {
			wantFill(t, c.what+", filled in since", s, 0, half)
			if puts, gets := s.Stage(0); puts != settled || gets != settled {
				t.Errorf("%s: the stage is %v, %v", c.what, puts, gets)
			}
		}
	}
}

var fillKey = kv.AppendKey(nil, "b", []byte("k"))

// TestFillFromItself: a copy that is damaged is no source of its own fill.
func TestFillFromItself(t *testing.T) {
	s, _ := newBadBlocks(t)
	own := Fill{Level: 5, Sources: []kv.NodeID{self, 2}}
	if err := setFill(s, 0, own); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	if err := setFill(s, 0, own); err == nil || kv.KindOf(err) != kv.KindRefused {
		t.Errorf("it is: %v", err)
	}
	wantFill(t, "refused", s, 0, Fill{})
	upkeep(t, s)
	if err := s.Repaired(0, s.Damages(0)); err != nil {
		t.Fatal(err)
	}
	if err := setFill(s, 0, own); err != nil {
		t.Errorf("it is not, once it is repaired: %v", err)
	}
}

// TestFillIsNotTold before it is durable.
func TestFillIsNotTold(t *testing.T) {
	s, e := newStore(t, nil)
	counting := &countingEngine{Engine: e}
	s.engine = counting
	counting.syncing = func() { wantFill(t, "in the sync", s, 0, Fill{}) }
	if err := setFill(s, 0, Fill{Level: 5}); err != nil {
		t.Fatal(err)
	}
	wantFill(t, "after it", s, 0, Fill{Level: 5})
	counting.fail = "sync"
	if err := setFill(s, 0, Fill{Level: 6}); err == nil {
		t.Error("a failed sync is no error")
	}
	wantFill(t, "after a failure", s, 0, Fill{Level: 5})
	// Damage that is found while the disk is at it comes first.
	counting.fail = ""
	counting.syncing = func() {
		part, err := s.part(0)
		if err == nil {
			err = s.damage(part, errChecksum("test"))
		}
		if err != nil {
			t.Error(err)
		}
	}
	if err := setFill(s, 0, Fill{Level: 7}); err != nil {
		t.Fatal(err)
	}
	wantFill(t, "damaged meanwhile", s, 0, Fill{})
	wantFill(t, "after a restart", mustOpen(t, 0, self, e, &counter{}, rings{}, 100), 0, Fill{})
}

// TestUnreadableStage: a copy whose stage cannot be read is damaged, and takes the
// highest stage that it can have had; the stage is durable before it is told
// again. A fill that cannot be read is none.
func TestUnreadableStage(t *testing.T) {
	c := fromTwoToThree(t)
	loses, keeps, same := partsOf(t, c, self)
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	b := &badBlocks{Engine: e, gets: map[string]bool{}, scans: map[string]bool{}}
	s := mustOpen(t, 0, self, b, &counter{}, changing{c}, 1)
	for _, p := range []kv.Partition{loses, keeps, same} {
		mustAdvance(t, s, Advance{Partition: p, Puts: settled, Gets: 0})
		if err := setFill(s, p, Fill{Level: settled.At(0, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	b.spoil(metaKey(loses, metaStage))
	inject(t, b, metaKey(keeps, metaStage), []byte{stageVersion, 1, 2})
	b.spoil(metaKey(same, metaStage))
	for range 2 {
		s = mustOpen(t, 0, self, b, &counter{}, changing{c}, 100)
		if len(s.Damaged()) != 3 {
			t.Errorf("damaged are %v", s.Damaged())
		}
		for p, want := range map[kv.Partition]stage{
			loses: {puts: settled.At(0, 1), gets: settled.At(0, 2)},
			keeps: {puts: settled.At(0, 1), gets: settled.At(0, 2)},
			same:  {puts: settled, gets: settled},
		} {
			part, err := s.part(p)
			if err != nil {
				t.Fatal(err)
			}
			if part.serves(want.puts-1) == nil || part.serves(want.puts) != nil || part.answers(want.gets-1) == nil || part.answers(want.gets) != nil {
				t.Errorf("partition %d serves from %v, %v, want %v", p, part.stage.Load().puts, part.stage.Load().gets, want)
			}
			wantFill(t, "of an unreadable stage", s, p, Fill{})
		}
	}
	for _, p := range s.Damaged() {
		upkeep(t, s)
		if err := s.Repaired(p, s.Damages(p)); err != nil {
			t.Fatal(err)
		}
		if err := setFill(s, p, Fill{Level: 77}); err != nil {
			t.Fatal(err)
		}
	}
	b.spoil(metaKey(loses, metaFill))
	inject(t, b, metaKey(keeps, metaFill), []byte{fillVersion})
	s = mustOpen(t, 0, self, b, &counter{}, changing{c}, 200)
	if len(s.Damaged()) > 0 {
		t.Errorf("without a fill damaged are %v", s.Damaged())
	}
	wantFill(t, "unreadable", s, loses, Fill{})
	wantFill(t, "malformed", s, keeps, Fill{})
	wantFill(t, "whole", s, same, Fill{Level: 77})
	if puts, gets := s.Stage(loses); puts != settled.At(0, 1) || gets != settled.At(0, 2) {
		t.Errorf("the stage is %v, %v", puts, gets)
	}
}

// TestMarkLost: of an engine that is gone all copies that the node may have had
// are damaged, refuse what they may have refused before, and take what they must
// have taken.
func TestMarkLost(t *testing.T) {
	c := fromTwoToThree(t)
	for node := kv.NodeID(1); node <= 4; node++ {
		d := newLogDisk()
		s := mustOpen(t, 0, node, d.open(t), &counter{}, changing{c}, 1)
		if err := s.MarkLost(errChecksum("test")); err != nil {
			t.Fatal(err)
		}
		again := mustOpen(t, 0, node, d.crashed().open(t), &counter{}, changing{c}, 100)
		for p := range kv.Partition(8) {
			had := c.Ring.Owns(p, node) || c.Latest().Owns(p, node)
			want := stage{puts: settled, gets: settled}
			if steps := c.Progress.Steps(p); len(steps) > 0 {
				want = stage{puts: settled.At(0, 1), gets: settled.At(0, 2)}
			}
			for _, s := range []*Store{s, again} {
				part, err := s.part(p)
				if err != nil {
					t.Fatal(err)
				}
				if st := part.stage.Load(); part.damaged.Load() != had || st.puts != want.puts || st.gets != want.gets {
					t.Errorf("node %d, partition %d: damaged %v, from %v, %v; want %v, from %v, %v", node, p, part.damaged.Load(), st.puts, st.gets, had, want.puts, want.gets)
				}
			}
		}
	}
	s, _ := newStore(t, nil)
	if err := s.MarkLost(errChecksum("test")); err != nil || len(s.Damaged()) > 0 {
		t.Errorf("without a ring: %v, damaged are %v", err, s.Damaged())
	}
}

// TestRefill: a copy that is filled again while it is damaged counts its new
// sources, and more damage takes them away again.
func TestRefill(t *testing.T) {
	s, e := newBadBlocks(t)
	keys := fillKeys(t, s, 20)
	if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	upkeep(t, s)
	if err := setFill(s, 0, Fill{Level: 5, Sources: []kv.NodeID{2}}); err != nil {
		t.Fatal(err)
	}
	e.spoil(appendDataKey(nil, 0, keys[3]))
	if _, err := s.ScrubSlice(0, 0, merkle.Leaves); err != nil {
		t.Fatal(err)
	}
	wantFill(t, "more damage", s, 0, Fill{})
	again := mustOpen(t, 0, self, e, &counter{}, s.rings, 100)
	wantFill(t, "more damage, and a restart", again, 0, Fill{})
}
