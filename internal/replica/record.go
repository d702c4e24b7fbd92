package replica

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A record is what stands under a key in the engine: the format's version, the
// Own of this copy, the digest that the partition's tree holds of it, and the
// object. Own and digest never leave the node.
//
//	offset  size
//	     0     1  format version
//	     1    24  own: node, birth, counter; zero when this copy has none
//	    25     8  digest of the object under the floor it was written under;
//	              0 in a hint
//	    33        the object (package object)
const (
	recordVersion = 2
	digestAt      = 1 + vclock.OwnSize
	recordHeader  = digestAt + 8
)

// record is a parsed record; its object refers to the bytes that were parsed.
type record struct {
	own    vclock.Own
	digest uint64
	obj    object.Object
	// bare tells that obj is the object's head.
	bare bool
}

// parseRecord reads a record. The error is of KindCorrupt, or KindWrongVersion:
// what is in the engine was written by this package.
func parseRecord(b []byte) (record, error) {
	if len(b) < recordHeader {
		return record{}, kv.Errorf(kv.KindCorrupt, "read record", "%d bytes are too few", len(b))
	}
	if b[0] != recordVersion {
		return record{}, kv.Errorf(kv.KindWrongVersion, "read record", "format version %d, this node knows %d", b[0], recordVersion)
	}
	o, err := object.Parse(b[recordHeader:])
	if err != nil {
		kind := kv.KindCorrupt
		if kv.KindOf(err) == kv.KindWrongVersion {
			kind = kv.KindWrongVersion
		}
		return record{}, kv.Wrap(kind, "read record", err)
	}
	return record{own: vclock.DecodeOwn(b[1:]), digest: binary.BigEndian.Uint64(b[digestAt:]), obj: o}, nil
}

// appendRecordHeader appends what precedes the object.
func appendRecordHeader(dst []byte, own vclock.Own, digest uint64) []byte {
	dst = append(dst, recordVersion)
	dst = vclock.AppendOwn(dst, own)
	return binary.BigEndian.AppendUint64(dst, digest)
}

// setDigest sets the digest of an encoded record.
func setDigest(rec []byte, digest uint64) { binary.BigEndian.PutUint64(rec[digestAt:], digest) }

// positionLen is the length of a data key's position: the upper half of the
// hash that its leaf is taken from, so that a leaf's records stand together.
const positionLen = 4

// appendDataKey appends the engine's key of k's data record in partition p.
func appendDataKey(dst []byte, p kv.Partition, k kv.Key) []byte {
	prefix := storage.NewPrefix(storage.SpaceData, p)
	dst = append(dst, prefix[:]...)
	dst = binary.BigEndian.AppendUint32(dst, merkle.Position(k))
	return append(dst, k...)
}

// sizeOf returns the size of k's record with its engine key.
func sizeOf(k kv.Key, rec []byte) uint64 {
	return uint64(storage.PrefixLen + positionLen + len(k) + len(rec))
}

// dataKey is the inverse of appendDataKey. It is not ok for a key that
// appendDataKey did not make.
func dataKey(engineKey []byte) (k kv.Key, ok bool) {
	if len(engineKey) < storage.PrefixLen+positionLen {
		return nil, false
	}
	at := binary.BigEndian.Uint32(engineKey[storage.PrefixLen:])
	k, err := kv.ParseKey(engineKey[storage.PrefixLen+positionLen:])
	return k, err == nil && merkle.Position(k) == at
}
