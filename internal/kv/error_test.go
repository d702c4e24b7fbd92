package kv

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

// TestEveryKindHasAName, and no two have one.
func TestEveryKindHasAName(t *testing.T) {
	seen := map[string]Kind{}
	for k := range NumKinds {
		name := k.String()
		if other, ok := seen[name]; name == "" || ok {
			t.Errorf("kind %d is named %q, as is kind %d", k, name, other)
		}
		seen[name] = k
	}
	if got := NumKinds.String(); got != "internal" {
		t.Errorf("an unknown kind is named %q", got)
	}
	if AppliedNo.String() != "no" || AppliedUnknown.String() != "unknown" || Applied(9).String() != "unknown" {
		t.Error("what is not certainly unapplied is unknown")
	}
}

// TestKindsKeepTheirNumbers: they travel between nodes of different releases.
func TestKindsKeepTheirNumbers(t *testing.T) {
	for i, k := range []Kind{
		KindInternal, KindInvalid, KindBadContext, KindTooLarge, KindTooManySiblings, KindUnavailable, KindTimeout,
		KindOverloaded, KindDiskFull, KindStorage, KindCorrupt, KindStaleRing, KindSkew, KindWrongCluster,
		KindWrongVersion, KindOldCopy, KindRefused, KindNotFound, KindClosed,
	} {
		if int(k) != i {
			t.Errorf("%v is number %d, want %d", k, k, i)
		}
	}
}

func TestErrors(t *testing.T) {
	applied := &Error{Op: "put", Kind: KindTimeout, Applied: AppliedUnknown, Node: 7}
	for _, c := range []struct {
		name    string
		err     error
		text    string
		kind    Kind
		applied Applied
		is      error
	}{
		{"an operation and its cause", Errorf(KindInvalid, "read", "byte %d", 3), "read: byte 3", KindInvalid, AppliedNo, nil},
		{"with a node", applied, "put at 0000000000000007: timeout", KindTimeout, AppliedUnknown, nil},
		{"a wrapped foreign error", Wrap(KindStorage, "open log", io.EOF), "open log: EOF", KindStorage, AppliedNo, io.EOF},
		{"the outermost kind counts", Wrap(KindUnavailable, "ask", Errorf(KindCorrupt, "read", "bad")), "ask: read: bad", KindUnavailable, AppliedNo, nil},
		{"wrapping does not make the unknown certain", Wrap(KindUnavailable, "ask", applied), "ask: put at 0000000000000007: timeout", KindUnavailable, AppliedUnknown, applied},
		{"but an Error may say so", &Error{Op: "ask", Err: applied}, "ask: put at 0000000000000007: timeout", KindInternal, AppliedNo, applied},
		{"through others' wrapping", fmt.Errorf("while serving: %w", applied), "while serving: put at 0000000000000007: timeout", KindTimeout, AppliedUnknown, applied},
		{"an Errorf that wraps", Errorf(KindCorrupt, "read", "at %d: %w", 9, io.EOF), "read: at 9: EOF", KindCorrupt, AppliedNo, io.EOF},
		{"a foreign error says nothing of the write", io.EOF, "EOF", KindInternal, AppliedUnknown, io.EOF},
	} {
		if got := c.err.Error(); got != c.text {
			t.Errorf("%s: %q, want %q", c.name, got, c.text)
		}
		if KindOf(c.err) != c.kind || AppliedOf(c.err) != c.applied {
			t.Errorf("%s: %v, %v; want %v, %v", c.name, KindOf(c.err), AppliedOf(c.err), c.kind, c.applied)
		}
		if c.is != nil && !errors.Is(c.err, c.is) {
			t.Errorf("%s: the cause is lost", c.name)
		}
	}
	if err := Wrap(KindStorage, "open", nil); err != nil {
		t.Errorf("nothing, wrapped, is %v", err)
	}
}
