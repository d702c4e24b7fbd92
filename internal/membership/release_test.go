package membership

import (
	"encoding/binary"
	"testing"

	"github.com/ringtaildb/ringtail/internal/parse"
)

// The first release knew four sections. Its messages, digests and files are
// written here as it wrote them.

func firstSectionsOf(s *State) []part { return s.encoded.parts()[:4] }

func firstMessage(s *State, sections []part) []byte {
	b := []byte{1, byte(verbExchange)}
	b = binary.BigEndian.AppendUint64(b, uint64(s.cluster))
	b = append(b, make([]byte, 16)...)
	for _, h := range s.hashes[:4] {
		b = append(b, h[:]...)
	}
	return appendParts(b, sections)
}

// parseFirst reads a message as the first release did.
func parseFirst(b []byte) (hashes [4]hash, sections map[uint8][]byte, ok bool) {
	c := cursor{parse.Reader{Rest: b}}
	version, v := c.U8(), verb(c.U8())
	c.Take(24)
	for i := range hashes {
		copy(hashes[i][:], c.Take(16))
	}
	sections = make(map[uint8][]byte)
	c.parts(func(number uint8, b []byte) {
		if number < 4 {
			sections[number] = b
		}
	})
	return hashes, sections, version == 1 && v == verbExchange && !c.Bad && len(c.Rest) == 0
}

func changingState(t *testing.T) *State {
	st, err := stageCluster().Stage(1, Change{Action: Leave, Node: "n2"}, someUp(1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	st, _ = chosen(t, st)
	st, err = st.Stage(1, Change{Action: Weight, Node: "n1", Weight: 4}, someUp(1, 2, 3))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestFirstReleaseReadsMessages(t *testing.T) {
	st := changingState(t)
	m := &message{verb: verbExchange, cluster: st.cluster, hashes: st.hashes, knows: numSections, sections: st.encoded, way: way{epoch: 5}, marks: []byte{1, 1}}
	hashes, sections, ok := parseFirst(m.AppendTo(nil))
	if !ok || [4]hash(st.hashes[:4]) != hashes || len(sections) != 4 {
		t.Errorf("it reads %d sections, %v", len(sections), ok)
	}
}

func TestFirstReleaseIsUnderstood(t *testing.T) {
	st := changingState(t)
	m, err := parseMessage(firstMessage(st, firstSectionsOf(st)))
	if err != nil {
		t.Fatal(err)
	}
	// It knows nothing of changes, which is no reason to exchange for ever.
	if st.hashes.differ(m.hashes, m.knows) || m.knows != firstSections || !st.differing(m.hashes, m.knows).none() {
		t.Errorf("its state differs: %+v", m.hashes)
	}
	other, err := parseSections(m.cluster, m.sections)
	if err != nil {
		t.Fatal(err)
	}
	if !same(mustMerge(t, st, other), st) {
		t.Error("its state takes something away")
	}
	// Nor is it sent what it would not keep.
	older := &message{knows: firstSections}
	if got := st.differing(older.hashes, older.knows); got[sectionTransition] != nil || got[sectionRing] == nil {
		t.Error("it is sent a transition")
	}

	d := []byte{1}
	d = binary.BigEndian.AppendUint64(d, 7)
	d = appendText(d, "h:1")
	d = st.hashes.append(d, 0, 4)
	got, ok := parseDigest(d)
	if !ok || got.node != 7 || st.hashes.differ(got.hashes, got.knows) {
		t.Errorf("its digest is read as %+v, %v", got, ok)
	}
	got.hashes[0][0]++
	if !st.hashes.differ(got.hashes, got.knows) {
		t.Error("a difference is not seen")
	}
}

// A directory of the first release has no such sections, and one of this release
// is read by the first as if it had not.
func TestFirstReleaseFiles(t *testing.T) {
	st := stageCluster()
	old := binary.BigEndian.AppendUint64(nil, uint64(st.cluster))
	old = appendParts(old, firstSectionsOf(st))
	again, err := ParseState(old)
	if err != nil || !same(again, st) {
		t.Errorf("an old file: %v", err)
	}
	c := cursor{parse.Reader{Rest: changingState(t).AppendTo(nil)[8:]}}
	var numbers []uint8
	c.parts(func(number uint8, _ []byte) { numbers = append(numbers, number) })
	if c.Bad || len(c.Rest) != 0 || len(numbers) != int(numSections) || string(numbers[:4]) != "\x00\x01\x02\x03" {
		t.Errorf("a new file has sections %v", numbers)
	}
}

// What a later release says beyond this one's knowledge is left alone.
func TestLaterReleaseIsUnderstood(t *testing.T) {
	st := changingState(t)
	m := &message{verb: verbExchange, cluster: st.cluster, hashes: st.hashes, knows: numSections, sections: st.encoded, way: way{epoch: 5}, marks: []byte{1, 1}}
	b := m.AppendTo(nil)
	at := 2 + 8 + 8 + 8 + 4*16
	c := cursor{parse.Reader{Rest: b[at:]}}
	var parts []part
	c.parts(func(number uint8, b []byte) {
		if number == partHashes {
			parts = append(parts, part{uint8(numSections), []byte("a section")})
			b = append(append([]byte{}, b...), make([]byte, 16)...)
		}
		parts = append(parts, part{number, b})
	})
	parts = append(parts, part{0xff, []byte("a part")})
	got, err := parseMessage(appendParts(append([]byte{}, b[:at]...), parts))
	if err != nil || st.hashes.differ(got.hashes, got.knows) || got.knows != numSections || string(got.marks) != string(m.marks) || got.way != m.way {
		t.Errorf("got %+v, %v", got, err)
	}
	d := digest{node: 7, peer: "h:1", hashes: st.hashes, knows: numSections}.append(nil)
	d[1+8+2+3]++
	read, ok := parseDigest(append(d, make([]byte, 16)...))
	if !ok || read.knows != numSections || st.hashes.differ(read.hashes, read.knows) {
		t.Errorf("its digest is read as %+v, %v", read, ok)
	}
}
