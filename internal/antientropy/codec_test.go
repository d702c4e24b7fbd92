package antientropy

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// samples are one message of each kind, with something in every field.
func samples() map[string][]byte {
	f := vclock.Floor(vclock.AppendFloorEntry(vclock.AppendFloorEntry(nil, 1, 5), 2, 6))
	g := vclock.Floor(vclock.AppendFloorEntry(nil, 9, 1))
	s := standing{1, 2, 3}
	h := head{forCycle, 7}
	hashes := func(n int) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = rand.New(rand.NewPCG(1, uint64(i))).Uint64()
		}
		return out
	}
	two := []kv.Key{key("a"), key("b")}
	if compareKeys(two[0], two[1]) > 0 {
		two[0], two[1] = two[1], two[0]
	}
	ask := sweepAsk{step: stepFloor, round: round{1, 2, 3}, era: 4, members: 5, removed: 6, told: s, parts: []kv.Partition{1, 7}, floor: f}
	answer := sweepAnswer{step: stepLow, standing: s, low: []lowMark{{1, 5}, {2, 6}}, removed: true, parts: []kv.Partition{3}}
	return map[string][]byte{
		"roots":           (&rootsAsk{head: h, parts: []kv.Partition{1, 2, 500}, hash: 9}).encode(),
		"fill":            (&rootsAsk{head: head{forFill, 7}, parts: []kv.Partition{1, 9}, levels: []kv.Level{7, 8}, hash: 9}).encode(),
		"stages":          (&rootsAnswer{standing: s, sums: hashes(2), stages: []stage{{1, 2}, {3, 4}}}).encode(),
		"sizes":           (&rootsAnswer{standing: s, sums: hashes(2), sizes: []uint64{1, 2}}).encode(),
		"roots answer":    (&rootsAnswer{standing: s, sums: hashes(3), closed: []int{0, 2}}).encode(),
		"same":            (&rootsAnswer{standing: s, same: true}).encode(),
		"branches":        (&branchesAsk{head: h, parts: []branches{{1, f, hashes(merkle.Fanout)}, {2, nil, hashes(merkle.Fanout)}}}).encode(),
		"branches answer": (&branchesAnswer{standing: s, parts: []branchLeaves{{floor: g, mask: 5, hashes: hashes(2 * merkle.Fanout)}, {closed: true}}}).encode(),
		"keys": (&keysAsk{head: head{forLeftover, 7}, leaves: []leafKeys{
			{p: 1, leaf: 1023, joined: f, after: key("x"), until: key("y"), keys: []keyDigest{{two[0], 1}, {two[1], 2}}}, {p: 2, joined: g},
		}}).encode(),
		"keys answer": (&keysAnswer{standing: s, rest: key("z"), leaves: []leafCopies{
			{floor: f, keys: []keyCopy{{key("a"), []byte("object")}, {key: key("b")}}}, {closed: true},
		}}).encode(),
		"objects":        (&objectsAsk{head: h, objects: []handed{{1, f, key("a"), []byte("object")}, {2, g, key("b"), nil}}}).encode(),
		"objects answer": (&objectsAnswer{s}).encode(),
		"adopt":          (&adoptAsk{head: h, boot: 1, repairs: 2, parts: []adoption{{1, f}, {2, f}, {3, g}}}).encode(),
		"adopt answer":   (&adoptAnswer{standing: s, taken: []kv.Partition{1, 3}}).encode(),
		"sweep":          ask.encode(),
		"sweep answer":   answer.encode(),
	}
}

// again decodes a message of any kind and encodes it again. An error means that
// it is none.
func again(name string, b []byte) ([]byte, error) {
	r := reader{Reader: parse.Reader{Rest: b}}
	var h head
	if name == "roots" || name == "fill" || name == "branches" || name == "keys" || name == "objects" || name == "adopt" {
		var k kind
		k, h = r.ask()
		if r.Bad || k != map[string]kind{"roots": kindRoots, "fill": kindRoots, "branches": kindBranches, "keys": kindKeys, "objects": kindObjects, "adopt": kindAdopt}[name] {
			return nil, errUnreadable
		}
	}
	switch name {
	case "roots", "fill":
		return encoded(parseRootsAsk(r, h))
	case "roots answer", "same", "stages", "sizes":
		return encoded(parseRootsAnswer(b))
	case "branches":
		return encoded(parseBranchesAsk(r, h))
	case "branches answer":
		return encoded(parseBranchesAnswer(b))
	case "keys":
		return encoded(parseKeysAsk(r, h))
	case "keys answer":
		return encoded(parseKeysAnswer(b))
	case "objects":
		return encoded(parseObjectsAsk(r, h))
	case "objects answer":
		return encoded(parseObjectsAnswer(b))
	case "adopt":
		return encoded(parseAdoptAsk(r, h))
	case "adopt answer":
		return encoded(parseAdoptAnswer(b))
	case "sweep":
		return encoded(parseSweepAsk(b))
	default:
		return encoded(parseSweepAnswer(b))
	}
}

func encoded[M any, P interface {
	*M
	encode() []byte
}](m M, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return P(&m).encode(), nil
}

// TestMessages: every message comes back as it was, and no part of one is a
// message.
func TestMessages(t *testing.T) {
	for name, b := range samples() {
		if got, err := again(name, b); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%s: %x, %v; want %x", name, got, err, b)
		}
		for n := range len(b) {
			if _, err := again(name, b[:n]); err == nil {
				t.Errorf("%s: its first %d of %d bytes are a message", name, n, len(b))
			}
		}
		if _, err := again(name, append(bytes.Clone(b), 0)); err == nil {
			t.Errorf("%s: a byte too many is no error", name)
		}
	}
}

// TestCountsAreBelieved only as far as the bytes go: a message of a few bytes
// that claims four thousand million elements allocates nothing.
func TestCountsAreNotBelieved(t *testing.T) {
	b := append(standing{}.appendTo([]byte{byte(kindRoots), 0}), 0, 0xff, 0xff, 0xff, 0xff)
	if n := testing.AllocsPerRun(10, func() { _, _ = parseRootsAnswer(b) }); n > 10 {
		t.Errorf("%v allocations", n)
	}
	for name := range samples() {
		long := bytes.Repeat([]byte{0xff}, 1000)
		long[0] = samples()[name][0]
		if _, err := again(name, long); err == nil {
			t.Errorf("%s: nonsense is a message", name)
		}
	}
}

// FuzzMessages: no input has a decoder panic or loop, and what is taken for a
// message is one.
func FuzzMessages(f *testing.F) {
	for name, b := range samples() {
		f.Add(name, b)
	}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		first, err := again(name, b)
		if err != nil {
			return
		}
		second, err := again(name, first)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%s: %x, %v; want %x", name, second, err, first)
		}
	})
}

// FuzzServe: whatever a peer sends, a Keeper answers or refuses it.
func FuzzServe(f *testing.F) {
	c := newCluster(f, 3, testRing(f, 7, 4, 1, 2, 3), testConfig())
	k := c.nodes[0].keeper
	for _, b := range samples() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = k.serveExchange(2, b)
		_, _ = k.serveSweep(2, b)
		x := newExchange(&k.local, job{purpose: forCycle, peer: 2}, c.now)
		x.start()
		for pending := kindRoots; pending <= kindAdopt && x.err == nil; pending++ {
			x.pending = pending
			x.step(b)
		}
	})
}
