package kv

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTypedBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := string(rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "type"))
		bucket := string(rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bucket"))
		name := TypedBucket(typ, bucket)
		if typ == DefaultType {
			return
		}
		if gotType, gotBucket := SplitBucket(name); gotType != typ || gotBucket != bucket {
			t.Fatalf("%q/%q comes back as %q/%q", typ, bucket, gotType, gotBucket)
		}
		if of := TypeOf([]byte(name)); string(of) != TypedBucket(typ, "") {
			t.Fatalf("the type of %q is %q", name, of)
		}
	})
	for _, name := range []string{"", "b", "\x00", "\x00\x00b", "\x00\x02t", "t\x00"} {
		if typ, bucket := SplitBucket(name); typ != DefaultType || bucket != name {
			t.Errorf("%q is %q of the type %q", name, bucket, typ)
		}
	}
	if a, b := TypedBucket("", "b"), TypedBucket(DefaultType, "b"); a != "b" || b != "b" {
		t.Errorf("buckets without a type: %q, %q", a, b)
	}
}
