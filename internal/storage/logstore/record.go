package logstore

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// A record is a header, a key and a value:
//
//	0   u32  checksum of bytes 4 to 24 and the key, begun with the segment's salt
//	4   u32  checksum of the value
//	8   u64  sequence number
//	16  u32  length of the value
//	20  u16  length of the key
//	22  u8   kind
//	23  u8   flags
//
// Numbers are little-endian, checksums CRC-32C. Key and value have checksums of
// their own so that a damaged value costs its key and no more. The salt tells a
// record of the segment from what an earlier one has left in the same file.
const headerLen = 24

// maxBound is the length of the longest bound of a range, in bytes: keys are
// shorter, so what follows in a longer one makes no difference.
const maxBound = storage.MaxKey + 1

// kind is what a record says. The values are stored: they never change.
type kind byte

const (
	kindSet    kind = 1 // key has value
	kindDelete kind = 2 // key has none
	// kindDrop: the keys from key to value have none, those to the end with
	// flagOpen.
	kindDrop kind = 3
	// kindMark: what stands before the offset that is its sequence number was
	// fsynced before this was written.
	kindMark kind = 4
	// kindFooter is the last one of a segment; nothing follows.
	kindFooter kind = 5
)

const (
	flagMore byte = 1 << iota // the next record belongs to the same batch
	flagOpen
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is a record's, without its checksum.
type header struct {
	valueSum uint32
	seq      uint64
	valueLen uint32
	keyLen   uint16
	kind     kind
	flags    byte
}

// size returns the length of the record in bytes.
func (h *header) size() int64 { return headerLen + int64(h.keyLen) + int64(h.valueLen) }

// put writes the header of a record with key to dst.
func (h *header) put(dst, key []byte, salt uint32) {
	_ = dst[headerLen-1]
	binary.LittleEndian.PutUint32(dst[4:], h.valueSum)
	binary.LittleEndian.PutUint64(dst[8:], h.seq)
	binary.LittleEndian.PutUint32(dst[16:], h.valueLen)
	binary.LittleEndian.PutUint16(dst[20:], h.keyLen)
	dst[22], dst[23] = byte(h.kind), h.flags
	binary.LittleEndian.PutUint32(dst, crc32.Update(crc32.Update(salt, castagnoli, dst[4:headerLen]), castagnoli, key))
}

// appendRecord appends a whole record.
func appendRecord(dst []byte, h header, key, value []byte, salt uint32) []byte {
	h.keyLen, h.valueLen = uint16(len(key)), uint32(len(value))
	at := len(dst)
	dst = append(dst, make([]byte, headerLen)...)
	h.put(dst[at:], key, salt)
	dst = append(dst, key...)
	return append(dst, value...)
}

// getHeader reads a header, whose checksum is yet to be looked at, and says
// whether it can be one.
func getHeader(b []byte) (h header, ok bool) {
	h.valueSum = binary.LittleEndian.Uint32(b[4:])
	h.seq = binary.LittleEndian.Uint64(b[8:])
	h.valueLen = binary.LittleEndian.Uint32(b[16:])
	h.keyLen = binary.LittleEndian.Uint16(b[20:])
	h.kind, h.flags = kind(b[22]), b[23]
	return h, h.kind >= kindSet && h.kind <= kindFooter && h.keyLen <= maxBound && h.valueLen <= storage.MaxBatch
}

// keyIsWhole checks header and key, which b begins with.
func keyIsWhole(b []byte, h *header, salt uint32) bool {
	return crc32.Update(salt, castagnoli, b[4:headerLen+int(h.keyLen)]) == binary.LittleEndian.Uint32(b)
}

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }
