package props

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

func q(v pb.Quorum) *pb.Quorum { return &v }
func u(v uint32) *uint32       { return &v }

var fresh = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}

func apply(t *testing.T, p kv.Props, c pb.Props) kv.Props {
	t.Helper()
	got, err := Apply(p, c, 3)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestMergeRules(t *testing.T) {
	lww := kv.Props{Quorums: fresh.Quorums, Merge: kv.MergeLWW}
	for _, c := range []struct {
		name   string
		p      kv.Props
		c      pb.Props
		allow  pb.Choice
		last   pb.Choice
		merged kv.Merge
	}{
		{"a bucket that nobody has touched", fresh, pb.Props{}, pb.Yes, pb.No, kv.MergeSiblings},
		{"after a reset", Defaults(), pb.Props{}, pb.No, pb.No, kv.MergeLWW},
		{"allow_mult", lww, pb.Props{AllowMult: pb.Yes}, pb.Yes, pb.No, kv.MergeSiblings},
		{"no allow_mult", fresh, pb.Props{AllowMult: pb.No}, pb.No, pb.No, kv.MergeLWW},
		{"last_write_wins", fresh, pb.Props{LastWriteWins: pb.Yes}, pb.No, pb.Yes, kv.MergeLWW},
		{"no last_write_wins changes no rule", fresh, pb.Props{LastWriteWins: pb.No}, pb.Yes, pb.No, kv.MergeSiblings},
		{"both", fresh, pb.Props{AllowMult: pb.Yes, LastWriteWins: pb.Yes}, pb.No, pb.Yes, kv.MergeLWW},
		{"both, of which one is not new", apply(t, fresh, pb.Props{LastWriteWins: pb.Yes}), pb.Props{AllowMult: pb.Yes, LastWriteWins: pb.Yes}, pb.Yes, pb.No, kv.MergeSiblings},
		{"neither", fresh, pb.Props{AllowMult: pb.No, LastWriteWins: pb.No}, pb.No, pb.No, kv.MergeLWW},
		{"siblings rather than the last", apply(t, fresh, pb.Props{LastWriteWins: pb.Yes}), pb.Props{AllowMult: pb.Yes}, pb.Yes, pb.No, kv.MergeSiblings},
	} {
		p := apply(t, c.p, c.c)
		s := Show(p, 3)
		if p.Merge != c.merged || s.AllowMult != c.allow || s.LastWriteWins != c.last {
			t.Errorf("%s: %v, allow_mult %d, last_write_wins %d", c.name, p.Merge, s.AllowMult, s.LastWriteWins)
		}
	}
}

func TestQuorums(t *testing.T) {
	p := apply(t, fresh, pb.Props{R: q(pb.All), W: q(pb.One), DW: q(0), PR: q(1), PW: q(pb.Majority), RW: q(pb.All)})
	if want := (kv.Quorums{R: 3, W: 1, DW: 0}); p.Quorums != want {
		t.Errorf("%+v, want %+v", p.Quorums, want)
	}
	s := Show(p, 3)
	for name, c := range map[string]struct{ got, want pb.Quorum }{
		"r": {*s.R, pb.All}, "w": {*s.W, pb.One}, "dw": {*s.DW, 0}, "pr": {*s.PR, 1}, "pw": {*s.PW, pb.Majority}, "rw": {*s.RW, pb.All},
	} {
		if c.got != c.want {
			t.Errorf("%s is shown as %d, want %d", name, c.got, c.want)
		}
	}
	p.R = 2 // set through another door
	if s := Show(p, 3); *s.R != 2 {
		t.Errorf("r is shown as %d", *s.R)
	}
	if s := Show(fresh, 3); *s.R != pb.Majority || *s.W != pb.Majority || *s.DW != pb.Majority || *s.PR != 0 {
		t.Errorf("by default: %+v", s)
	}
	one := apply(t, fresh, pb.Props{R: q(2)})
	if s := Show(one, 3); *s.R != 2 {
		t.Errorf("a number is shown as %d", *s.R)
	}
	back := apply(t, p, pb.Props{R: q(pb.Default)})
	if back.R != kv.Unset {
		t.Errorf("default is %d", back.R)
	}
}

func TestFlagsAndTTL(t *testing.T) {
	p := apply(t, fresh, pb.Props{NotFoundOK: pb.No, BasicQuorum: pb.Yes, TTL: u(60), NVal: u(3)})
	s := Show(p, 3)
	if s.NotFoundOK != pb.No || s.BasicQuorum != pb.Yes || *s.TTL != 60 || *s.NVal != 3 || p.TTL != 60_000 {
		t.Errorf("%+v of %+v", s, p)
	}
	p = apply(t, p, pb.Props{NotFoundOK: pb.Yes, BasicQuorum: pb.No, TTL: u(0)})
	if diff := cmp.Diff(fresh, p); diff != "" {
		t.Errorf("what is as by default is not kept (-want +got):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	for text, c := range map[string]pb.Props{
		"n_val=5":               {NVal: u(5)},
		"n_val_violation,3":     {R: q(4)},
		"w=4294967290":          {W: q(4294967290)},
		"datatype: Ringtail do": {Lacking: "datatype"},
	} {
		if _, err := Apply(fresh, c, 3); err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzShow: whatever stands beside the properties, they can be shown, and what is
// shown can be set.
func FuzzShow(f *testing.F) {
	f.Add("\x01\x07\x01\xfe\xfd\xfc\xfb\x00", int8(2), uint8(1))
	f.Fuzz(func(t *testing.T, meta string, r int8, n uint8) {
		owners := int(n)%kv.MaxReplicas + 1
		p := kv.Props{Quorums: kv.Quorums{R: r%kv.MaxReplicas + 1, W: 1, DW: kv.Unset}, Meta: meta}
		s := Show(p, owners)
		if p.R < 1 || int(p.R) > owners {
			return
		}
		if p, err := Apply(p, s, owners); err == nil {
			if again := Show(p, owners); *again.R != *s.R || again.NotFoundOK != s.NotFoundOK {
				t.Fatalf("%+v becomes %+v", s, again)
			}
		} else if kv.KindOf(err) != kv.KindInvalid {
			t.Fatal(err)
		}
	})
}
