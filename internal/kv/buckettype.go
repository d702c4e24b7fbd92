package kv

import "strconv"

// Buckets may belong to a type, whose properties they have unless they have their
// own. A bucket of a type is one whose name is a zero byte, the length of the
// type's name in one byte, that name, and then its own; nothing else in Ringtail
// knows of types, and a name like any other can be written so. The type's
// properties stand under the same name without a bucket.

// DefaultType is the type of buckets without one.
const DefaultType = "default"

// TypedBucket returns the name of a bucket of a type, which may be too long (see
// CheckBucket); of the type itself, for an empty bucket. The type has at most
// MaxBucket bytes.
func TypedBucket(typ, bucket string) string {
	if typ == "" || typ == DefaultType {
		return bucket
	}
	return "\x00" + string([]byte{byte(len(typ))}) + typ + bucket
}

// TypeOf returns the part of a bucket's name under which the properties of its
// type stand, nil for a bucket of none.
func TypeOf(name []byte) []byte {
	if len(name) < 2 || name[0] != 0 || name[1] == 0 || len(name) < 2+int(name[1]) {
		return nil
	}
	return name[:2+int(name[1])]
}

// SplitBucket is the inverse of TypedBucket.
func SplitBucket(name string) (typ, bucket string) {
	t := len(TypeOf([]byte(name)))
	if t == 0 {
		return DefaultType, name
	}
	return name[2:t], name[t:]
}

// BucketText shows a bucket's name to people and in metrics: with its type, and
// escaped where it is not plain.
func BucketText(name string) string {
	typ, bucket := SplitBucket(name)
	if typ == DefaultType {
		return escapeName(bucket)
	}
	return "type:" + escapeName(typ) + "/" + escapeName(bucket)
}

// escapeName escapes all but printable ASCII.
func escapeName(name string) string {
	q := strconv.QuoteToASCII(name)
	return q[1 : len(q)-1]
}
