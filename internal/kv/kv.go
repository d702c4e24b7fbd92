// Package kv holds the nouns that every other package shares: what a key, a
// node, a partition and a quorum are, the limits that bound them, and the one
// error type (Dynamo, SOSP 2007, §2.3 and §4.1).
//
// It imports nothing of Ringtail and knows nothing of disks or networks.
package kv

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
)

// NodeID names one data directory for as long as it lives. It is random, made
// once, and never an address: a wiped or restored directory is a new node.
// Zero is no node.
type NodeID uint64

// NewNodeID returns a fresh random id. Its randomness comes from the operating
// system: two nodes must not draw the same id even when they start from copies
// of one machine image.
func NewNodeID() NodeID {
	var b [8]byte
	for {
		if _, err := rand.Read(b[:]); err != nil {
			panic("kv: the operating system has no randomness: " + err.Error())
		}
		if id := NodeID(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}

// String returns the id as 16 hexadecimal digits.
func (id NodeID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText lets an id stand as a JSON string or object key.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *NodeID) UnmarshalText(b []byte) error {
	v, err := ParseNodeID(string(b))
	*id = v
	return err
}

// ParseNodeID reads what String wrote.
func ParseNodeID(s string) (NodeID, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 || v == 0 {
		return 0, Errorf(KindInvalid, "parse node id", "%q is not 16 hexadecimal digits", s)
	}
	return NodeID(v), nil
}

// ClusterID names a cluster; it is random, drawn when the cluster is created,
// and keeps strangers out. Zero is no cluster.
type ClusterID uint64

// String returns the id as 16 hexadecimal digits.
func (id ClusterID) String() string { return NodeID(id).String() }

// Partition is one of the Q equal parts of the ring (§6.2, strategy 3),
// numbered clockwise from 0.
type Partition uint16

// Time is hybrid time: microseconds since the Unix epoch, pushed ahead of the
// wall clock where causality asks for it. Zero is no time.
type Time uint64

// TimeOf returns t in microseconds; a time before the epoch is 0.
func TimeOf(t time.Time) Time {
	if us := t.UnixMicro(); us > 0 {
		return Time(us)
	}
	return 0
}

// Wall returns t as a time.Time in UTC.
func (t Time) Wall() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Merge says how a bucket reconciles concurrent writes.
type Merge uint8

const (
	// MergeSiblings keeps every value that no other write superseded.
	MergeSiblings Merge = iota
	// MergeLWW keeps the one write with the greatest hybrid time.
	MergeLWW
)

// String returns the name that the bucket property `merge` uses.
func (m Merge) String() string {
	if m == MergeLWW {
		return "lww"
	}
	return "siblings"
}

// ParseMerge reads the bucket property `merge`.
func ParseMerge(s string) (Merge, error) {
	switch s {
	case "siblings":
		return MergeSiblings, nil
	case "lww":
		return MergeLWW, nil
	}
	return 0, Errorf(KindInvalid, "parse merge", "%q is neither siblings nor lww", s)
}

// BucketRedis is where the keys of Redis's clients are. Its merge is lww unless the
// cluster was told otherwise.
const BucketRedis = "redis"

// Limits. Each is tested at its value and one past it.
const (
	// MaxBucket bounds a bucket's name, in bytes.
	MaxBucket = 255
	// MaxKey bounds a key, in bytes.
	MaxKey = 4096
	// MaxValue bounds one value, in bytes.
	MaxValue = 1 << 20
	// MaxContentType bounds a content type, in bytes.
	MaxContentType = 255
	// MaxMeta bounds what a door keeps beside a value, in bytes; it does not
	// count as a part of the value.
	MaxMeta = 64 << 10
	// MaxSiblings bounds the siblings that a put may leave behind. A put that
	// would leave more is refused; a merge never is.
	MaxSiblings = 100
	// MaxObject bounds the encoded object that a put may leave behind, in
	// bytes. A merge may exceed it, up to what MaxMessage carries.
	MaxObject = 16 << 20
	// MaxMessage bounds one message between nodes, in bytes.
	MaxMessage = 64 << 20
	// MaxPropsMeta bounds what doors keep beside a bucket's properties, in bytes.
	MaxPropsMeta = 64
	// MaxMembers bounds the members of a cluster.
	MaxMembers = 4096
	// MaxBuckets bounds the buckets that have properties of their own.
	MaxBuckets = 4096
	// MaxReplicas bounds N.
	MaxReplicas = 16
)

// Key is a bucket and a user's key in one slice: the bucket's length in one
// byte, the bucket, the key. It travels and is stored in this form, so that no
// hop builds it anew. A Key is read-only.
type Key []byte

// AppendKey appends the Key of bucket and key to dst. The caller has checked
// both with CheckKey.
func AppendKey(dst []byte, bucket string, key []byte) Key {
	dst = append(dst, byte(len(bucket)))
	dst = append(dst, bucket...)
	return append(dst, key...)
}

// NewKey checks bucket and key and joins them.
func NewKey(bucket, key string) (Key, error) {
	if err := CheckKey(bucket, key); err != nil {
		return nil, err
	}
	return AppendKey(make([]byte, 0, 1+len(bucket)+len(key)), bucket, []byte(key)), nil
}

// CheckKey returns an error of KindInvalid for an empty bucket or key, and of
// KindTooLarge for one that is past its limit.
func CheckKey(bucket, key string) error {
	if err := CheckBucket(bucket); err != nil {
		return err
	}
	switch {
	case key == "":
		return Errorf(KindInvalid, "check key", "the key is empty")
	case len(key) > MaxKey:
		return Errorf(KindTooLarge, "check key", "the key has %d bytes, the limit is %d", len(key), MaxKey)
	}
	return nil
}

// CheckBucket is CheckKey for a bucket's name alone.
func CheckBucket(bucket string) error {
	switch {
	case bucket == "":
		return Errorf(KindInvalid, "check bucket", "the bucket is empty")
	case len(bucket) > MaxBucket:
		return Errorf(KindTooLarge, "check bucket", "the bucket has %d bytes, the limit is %d", len(bucket), MaxBucket)
	}
	return nil
}

// ParseKey checks bytes from outside and returns them as a Key.
func ParseKey(b []byte) (Key, error) {
	if len(b) < 1 || b[0] == 0 || len(b) < 2+int(b[0]) {
		return nil, Errorf(KindInvalid, "parse key", "%d bytes are no bucket and key", len(b))
	}
	if n := len(b) - 1 - int(b[0]); n > MaxKey {
		return nil, Errorf(KindTooLarge, "parse key", "the key has %d bytes, the limit is %d", n, MaxKey)
	}
	return Key(b), nil
}

// Bucket returns the bucket's name, a part of k.
func (k Key) Bucket() []byte { return k[1 : 1+int(k[0])] }

// User returns the key within its bucket, a part of k.
func (k Key) User() []byte { return k[1+int(k[0]):] }

// String shows bucket and key for logs and errors, quoted and shortened.
func (k Key) String() string {
	u := k.User()
	if len(u) > 64 {
		u = u[:64]
	}
	return fmt.Sprintf("%q/%q", k.Bucket(), u)
}
