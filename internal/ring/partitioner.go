package ring

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Partitioner says how a key finds its place on the circle. It is chosen when
// a cluster is created. Numbers travel between nodes: append only.
type Partitioner uint8

const (
	// MD5 places a key by the MD5 digest of its bytes (§4.2, §6.2).
	MD5 Partitioner = iota
	// CRC16 places a key by its Redis Cluster hash slot.
	CRC16

	numPartitioners
)

// Slots is the number of hash slots of Redis Cluster.
const Slots = 1 << slotBits

const slotBits = 14

var partitionerNames = [numPartitioners]string{MD5: "md5", CRC16: "crc16"}

// String returns the name that ParsePartitioner reads.
func (f Partitioner) String() string {
	if f < numPartitioners {
		return partitionerNames[f]
	}
	return "unknown"
}

// ParsePartitioner reads "md5" or "crc16"; anything else is an error of
// KindInvalid.
func ParsePartitioner(s string) (Partitioner, error) {
	for f, name := range partitionerNames {
		if s == name {
			return Partitioner(f), nil
		}
	}
	return 0, kv.Errorf(kv.KindInvalid, "parse partitioner", "%q is neither md5 nor crc16", s)
}

// Partition returns the partition, of q equal ones, in which a user's key
// falls. The q is one that Params.Validate accepts for f; user is only read.
func (f Partitioner) Partition(user []byte, q int) kv.Partition {
	width := bits.Len(uint(q)) - 1
	if f == CRC16 {
		return kv.Partition(Slot(user) >> (slotBits - width))
	}
	sum := md5.Sum(user)
	return kv.Partition(binary.BigEndian.Uint32(sum[:4]) >> (32 - width))
}

// Slot returns the Redis Cluster hash slot of a user's key, 0 to Slots-1: the
// CRC16 of the key, or of its hash tag where it has one.
func Slot(user []byte) uint16 { return crc16(hashTag(user)) % Slots }

// hashTag returns what the Redis Cluster specification hashes: the bytes
// between the first '{' and the first '}' after it, or the whole key when
// either is missing or nothing stands between them.
func hashTag(user []byte) []byte {
	open := bytes.IndexByte(user, '{')
	if open < 0 {
		return user
	}
	tag := user[open+1:]
	if end := bytes.IndexByte(tag, '}'); end > 0 {
		return tag[:end]
	}
	return user
}

// crc16 is CRC-16/XMODEM: polynomial 0x1021, initial value 0, no reflection.
// The shifts do by arithmetic what a table of 256 entries would look up.
func crc16(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		x := crc>>8 ^ uint16(c)
		x ^= x >> 4
		crc = crc<<8 ^ x<<12 ^ x<<5 ^ x
	}
	return crc
}
