package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

var (
	someone = Identity{Node: 0x0102030405060708, Boot: 2, Nonce: 3, Base: 4, Limit: 5}
	someHi  = Hello{Versions: Versions{1, 3}, Role: RoleNode, Cluster: 99, Identity: someone}
	someAck = HelloAck{Version: 1, Cluster: 99, Identity: someone}
)

// reseal sets a frame's checksum right.
func reseal(frame []byte) []byte {
	end := len(frame) - 4
	binary.BigEndian.PutUint32(frame[end:], crc32.Checksum(frame[4:end], castagnoli))
	return frame
}

// open takes what AppendHello or AppendHelloAck wrote apart, as a receiver does.
func open(b []byte) ([]byte, error) {
	n, err := HelloSize(b[:min(len(b), HelloHeader)])
	if err != nil {
		return nil, err
	}
	if len(b) != HelloHeader+n {
		return nil, errors.New("the size is not the handshake's")
	}
	return HelloBody(b[HelloHeader:])
}

// hello frames a body of the given bytes.
func hello(body []byte) []byte {
	b, at := beginHello(nil)
	return endHello(append(b, body...), at)
}

func TestHelloLayout(t *testing.T) {
	got := AppendHello(nil, someHi)
	want := []byte{
		'R', 'T', 'L', 1, 0, 53,
		0, 1, 0, 3, 1,
		0, 0, 0, 0, 0, 0, 0, 99,
		1, 2, 3, 4, 5, 6, 7, 8,
		0, 0, 0, 0, 0, 0, 0, 2,
		0, 0, 0, 0, 0, 0, 0, 3,
		0, 0, 0, 0, 0, 0, 0, 4,
		0, 0, 0, 0, 0, 0, 0, 5,
	}
	if len(got) != len(want)+4 || !bytes.Equal(got[:len(want)], want) {
		t.Errorf("hello\n% x, want\n% x and a checksum", got, want)
	}
}

func TestHellosRoundTrip(t *testing.T) {
	client := Hello{Versions: Versions{1, 1}, Role: RoleClient}
	for _, want := range []Hello{someHi, client} {
		body, err := open(AppendHello([]byte("before"), want)[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseHello(body); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// A later version may say more; this one leaves it alone.
func TestHelloOfALaterVersion(t *testing.T) {
	body, err := open(AppendHello(nil, someHi))
	if err != nil {
		t.Fatal(err)
	}
	longer, err := open(hello(append(bytes.Clone(body), "something new"...)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseHello(longer); err != nil || got != someHi {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestParseHelloRefuses(t *testing.T) {
	change := func(f func(*Hello)) []byte {
		h := someHi
		f(&h)
		body, err := open(AppendHello(nil, h))
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	whole := change(func(*Hello) {})
	tests := map[string][]byte{
		"no versions":                 change(func(h *Hello) { h.Min, h.Max = 0, 0 }),
		"versions in the wrong order": change(func(h *Hello) { h.Min, h.Max = 2, 1 }),
		"no role":                     change(func(h *Hello) { h.Role = 0 }),
		"an unknown role":             change(func(h *Hello) { h.Role = 3 }),
		"a node without an id":        change(func(h *Hello) { h.Node = 0 }),
		"a client with an id":         change(func(h *Hello) { h.Role = RoleClient }),
	}
	for name, body := range tests {
		_, err := ParseHello(body)
		wantKind(t, name, err, kv.KindInvalid)
	}
	for n := range whole {
		_, err := ParseHello(whole[:n])
		wantKind(t, "a cut hello", err, kv.KindInvalid)
	}
}

func TestHelloAcksRoundTrip(t *testing.T) {
	for _, want := range []HelloAck{someAck, {Version: 1}} {
		body, err := open(AppendHelloAck(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseHelloAck(body); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestRefusalsRoundTrip(t *testing.T) {
	refusal := HelloAck{Cluster: 99, Identity: someone, Err: kv.Errorf(kv.KindOldCopy, "admit", "%s", strings.Repeat("long ", 1000))}
	b := AppendHelloAck(nil, refusal)
	if len(b) > MaxHello {
		t.Errorf("a refusal has %d bytes, the limit is %d", len(b), MaxHello)
	}
	body, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseHelloAck(body)
	if err != nil || got.Version != 0 || got.Identity != someone || got.Cluster != 99 {
		t.Errorf("got %+v, %v", got, err)
	}
	wantKind(t, "the refusal", got.Err, kv.KindOldCopy)
	if !strings.HasPrefix(got.Err.Error(), "admit: long long") {
		t.Errorf("the refusal reads %q", got.Err)
	}
}

func TestParseHelloAckRefuses(t *testing.T) {
	body, err := open(AppendHelloAck(nil, someAck))
	if err != nil {
		t.Fatal(err)
	}
	for n := range body {
		_, err := ParseHelloAck(body[:n])
		wantKind(t, "a cut answer", err, kv.KindInvalid)
	}
	other := someAck
	other.Version = MaxVersion + 1
	if body, err = open(AppendHelloAck(nil, other)); err != nil {
		t.Fatal(err)
	}
	_, err = ParseHelloAck(body)
	wantKind(t, "a version that was not offered", err, kv.KindWrongVersion)
	got, err := ParseHelloAck(make([]byte, len(body)))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a refusal without a reason", got.Err, kv.KindInvalid)
}

func TestHelloSizeLimits(t *testing.T) {
	head := func(n int) []byte { return binary.BigEndian.AppendUint16([]byte(Magic), uint16(n)) }
	most := MaxHello - HelloHeader - 4
	if n, err := HelloSize(head(most)); err != nil || HelloHeader+n != MaxHello {
		t.Errorf("at the limit: %d, %v", n, err)
	}
	_, err := HelloSize(head(most + 1))
	wantKind(t, "one past the limit", err, kv.KindInvalid)
	_, err = HelloSize(head(1<<16 - 1))
	wantKind(t, "the largest length", err, kv.KindInvalid)
	for _, b := range [][]byte{nil, head(10)[:HelloHeader-1], []byte("GET / HTTP/1.1"), []byte("RTL\x02\x00\x10")} {
		_, err := HelloSize(b)
		wantKind(t, "another protocol", err, kv.KindInvalid)
	}
}

func TestAnyChangedBitOfAHelloIsRefused(t *testing.T) {
	whole := AppendHello(nil, someHi)
	for i := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := open(bad); err == nil {
			t.Errorf("bit %d of byte %d was changed and not noticed", i%8, i/8)
		}
	}
}

func TestErrorsRoundTrip(t *testing.T) {
	for k := range kv.NumKinds {
		want := &kv.Error{Op: "do it", Kind: k, Applied: kv.AppliedUnknown, Node: 7, Err: errors.New("for a reason")}
		got := ParseError(AppendError(nil, want))
		if got.Error() != want.Error() || kv.KindOf(got) != k || kv.AppliedOf(got) != kv.AppliedUnknown {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	bare := ParseError(AppendError(nil, &kv.Error{Op: "do it", Kind: kv.KindTimeout}))
	if bare.Error() != "do it: timeout" || kv.AppliedOf(bare) != kv.AppliedNo {
		t.Errorf("an error without a cause: %v", bare)
	}
	foreign := ParseError(AppendError(nil, errors.New("who knows")))
	if kv.KindOf(foreign) != kv.KindInternal || kv.AppliedOf(foreign) != kv.AppliedUnknown {
		t.Errorf("an error of another type: %#v", foreign)
	}
}

// What a later release, or an enemy, may send: never less careful than known.
func TestParseErrorOfStrangers(t *testing.T) {
	b := AppendError(nil, &kv.Error{Op: "do it", Kind: kv.KindTimeout})
	b[0], b[1] = byte(kv.NumKinds), 7
	got := ParseError(b)
	if kv.KindOf(got) != kv.KindInternal || kv.AppliedOf(got) != kv.AppliedUnknown {
		t.Errorf("an unknown kind: %#v", got)
	}
	for n := range b {
		cut := ParseError(b[:n])
		wantKind(t, "a cut error", cut, kv.KindInvalid)
		if kv.AppliedOf(cut) != kv.AppliedUnknown {
			t.Errorf("a cut error says that the write was not applied")
		}
	}
}

func TestErrorTextIsCut(t *testing.T) {
	text := strings.Repeat("x", maxErrorText)
	for n, want := range map[int]int{maxErrorText: maxErrorText, maxErrorText + 1: maxErrorText} {
		e := &kv.Error{Op: (text + "x")[:n], Kind: kv.KindTimeout, Err: errors.New((text + "x")[:n])}
		got := ParseError(AppendError(nil, e)).(*kv.Error)
		if len(got.Op) != want || len(got.Err.Error()) != want {
			t.Errorf("texts of %d bytes came as %d and %d, want %d", n, len(got.Op), len(got.Err.Error()), want)
		}
	}
}
