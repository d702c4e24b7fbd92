package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A record is what stands under a key in the engine: the format's version, the
// Own of this copy, and the object. The Own never leaves the node.
//
//	offset  size
//	     0     1  format version
//	     1    24  own: node, birth, counter; zero when this copy has none
//	    25        the object (package object)
const (
	recordVersion = 1
	recordHeader  = 1 + vclock.OwnSize
)

// record is a parsed record; its object refers to the bytes that were parsed.
type record struct {
	own vclock.Own
	obj object.Object
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
	return record{own: vclock.DecodeOwn(b[1:]), obj: o}, nil
}

// appendRecordHeader appends what precedes the object.
func appendRecordHeader(dst []byte, own vclock.Own) []byte {
	dst = append(dst, recordVersion)
	return vclock.AppendOwn(dst, own)
}

// appendDataKey appends the engine's key of k's data record in partition p.
func appendDataKey(dst []byte, p kv.Partition, k kv.Key) []byte {
	prefix := storage.NewPrefix(storage.SpaceData, p)
	return append(append(dst, prefix[:]...), k...)
}

// userKey is the inverse of appendDataKey.
func userKey(engineKey []byte) kv.Key { return kv.Key(engineKey[storage.PrefixLen:]) }
