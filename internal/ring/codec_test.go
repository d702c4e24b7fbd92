package ring

import (
	"bytes"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// The bytes are fixed: rings are stored, and neighbours of one release mix.
func TestEncodingByHand(t *testing.T) {
	r, err := newRing(
		Params{N: 2, R: 1, W: 2, Q: 2, Partitioner: CRC16}, 0x0102,
		[]Node{{0xaa, 1, ""}, {0xbb, 0x0203, "eu"}, {0xcc, 4, "eu"}},
		[]uint16{0, 1, 2, 0})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"01 01 02 01 02 01", "0000000000000102", "0003",
		"00000000000000aa 0001 00",
		"00000000000000bb 0203 02 6575",
		"00000000000000cc 0004 02 6575",
		"0000 0001", "0002 0000",
	}, "")
	want = "ff" + strings.ReplaceAll(want, " ", "")
	if diff := cmp.Diff(want, hex.EncodeToString(r.AppendTo([]byte{0xff}))); diff != "" {
		t.Errorf("encoding (-want +got):\n%s", diff)
	}
}

func TestParseReadsWhatAppendToWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		c.params.Partitioner = rapid.SampledFrom([]Partitioner{MD5, CRC16}).Draw(t, "partitioner")
		r := c.claim(t, nil)
		b := r.AppendTo(nil)
		got, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b) // The ring must not live in the bytes.
		if diff := cmp.Diff(r, got, cmp.AllowUnexported(Ring{})); diff != "" {
			t.Fatalf("parsed ring (-want +got):\n%s", diff)
		}
	})
}

// Each case damages a good encoding of the ring made by hand: header of 16
// bytes, four nodes of 12, four owner lists of 4.
func TestParseRefuses(t *testing.T) {
	good := small(t).AppendTo(nil)
	if len(good) != 16+4*12+4*4 {
		t.Fatalf("the encoding has %d bytes", len(good))
	}
	set := func(at int, to ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], to)
		return b
	}
	for _, tt := range []struct {
		name string
		b    []byte
		kind kv.Kind
		says string
	}{
		{"nothing", nil, kv.KindInvalid, "less than a header"},
		{"half a header", good[:15], kv.KindInvalid, "less than a header"},
		{"a header", good[:16], kv.KindInvalid, "no 4 nodes"},
		{"a node cut", good[:16+4*11], kv.KindInvalid, "node 3 is cut"},
		{"an owner cut", good[:len(good)-1], kv.KindInvalid, "15 bytes of owners, want 16"},
		{"one byte more", append(bytes.Clone(good), 0), kv.KindInvalid, "17 bytes of owners, want 16"},
		{"version 0", set(0, 0), kv.KindWrongVersion, "format 0"},
		{"version 2", set(0, 2), kv.KindWrongVersion, "format 2"},
		{"partitioner", set(1, 2), kv.KindInvalid, "partitioner 2"},
		{"n", set(2, 17), kv.KindInvalid, "n=17"},
		{"q past the limit", set(5, 17), kv.KindInvalid, "q="},
		{"q negative", set(5, 63), kv.KindInvalid, "q="},
		{"q gone", set(5, 255), kv.KindInvalid, "q=0"},
		{"no nodes", set(14, 0, 0), kv.KindInvalid, "bytes of owners"},
		{"more nodes than bytes", set(14, 0, 6), kv.KindInvalid, "no 6 nodes"},
		{"more nodes than members", append(set(14, 0x10, 1), make([]byte, 1<<16)...), kv.KindInvalid, "no 4097 nodes"},
		{"nodes out of order", set(16+7, 9), kv.KindInvalid, "out of order"},
		{"node 0", set(16+7, 0), kv.KindInvalid, "no id"},
		{"weight 0", set(16+8, 0, 0), kv.KindInvalid, "weight 0"},
		{"zone not UTF-8", set(16+11, 0xff), kv.KindInvalid, "UTF-8"},
		{"zone too long for the bytes", set(16+3*12+10, 18), kv.KindInvalid, "node 3 is cut"},
		{"owner unknown", set(16+4*12, 0, 4), kv.KindInvalid, "owner 4 of 4"},
		{"owner twice", set(16+4*12, 0, 2), kv.KindInvalid, "twice"},
		{"zones not spanned", set(16+4*12+2, 0, 1), kv.KindInvalid, "span 1 zones"},
	} {
		r, err := Parse(tt.b)
		if r != nil || err == nil || kv.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error of kind %v with %q", tt.name, err, tt.kind, tt.says)
		}
	}
}

// The largest ring still fits a message.
func TestLargestRingFitsAMessage(t *testing.T) {
	nodes := equals(kv.MaxMembers)
	for i := range nodes {
		nodes[i].Zone = strings.Repeat("z", MaxZone)
	}
	owners := make([]uint16, MaxPartitions*kv.MaxReplicas)
	for i := range owners {
		owners[i] = uint16(i % kv.MaxReplicas)
	}
	for i := range nodes {
		nodes[i].ID = kv.NodeID(i + 1)
	}
	r, err := newRing(Params{N: kv.MaxReplicas, R: 1, W: 1, Q: MaxPartitions}, math.MaxUint64, nodes, owners)
	if err != nil {
		t.Fatal(err)
	}
	b := r.AppendTo(nil)
	if len(b) > kv.MaxMessage {
		t.Errorf("%d bytes, a message has at most %d", len(b), kv.MaxMessage)
	}
	if _, err := Parse(b); err != nil {
		t.Error(err)
	}
}

// Whatever parses is valid, and is the one encoding of its ring.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(small(f).AppendTo(nil))
	for _, n := range []int{1, 2, 5} {
		nodes := equals(n)
		for i := range nodes {
			nodes[i].Zone = "zone"[:i%3]
		}
		f.Add(mustClaim(f, nil, Params{N: 3, R: 2, W: 2, Q: 8}, 1, nodes).AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if err := r.check(); err != nil {
			t.Errorf("parsed a ring that breaks an invariant: %v", err)
		}
		if again := r.AppendTo(nil); !bytes.Equal(b, again) {
			t.Errorf("parsed\n%x, which encodes as\n%x", b, again)
		}
	})
}
