package ring

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The check value is the published one of CRC-16/XMODEM, which the Redis
// Cluster specification repeats.
func TestCRC16CheckValue(t *testing.T) {
	if got := crc16([]byte("123456789")); got != 0x31C3 {
		t.Errorf("crc16(123456789) = %#x, want 0x31c3", got)
	}
	if got := crc16(nil); got != 0 {
		t.Errorf("crc16 of nothing = %#x, want 0", got)
	}
}

// The slots are what CLUSTER KEYSLOT answers.
func TestSlot(t *testing.T) {
	for key, want := range map[string]uint16{
		"":              0,
		"123456789":     0x31C3,
		"foo":           12182,
		"bar":           5061,
		"hello":         866,
		"somekey":       11058,
		"foo{hash_tag}": 2515,
		"bar{hash_tag}": 2515,
	} {
		if got := Slot([]byte(key)); got != want {
			t.Errorf("Slot(%q) = %d, want %d", key, got, want)
		}
	}
}

// The first five are the examples of the Redis Cluster specification.
func TestHashTag(t *testing.T) {
	for _, tt := range []struct{ key, tag string }{
		{"{user1000}.following", "user1000"},
		{"{user1000}.followers", "user1000"},
		{"foo{}{bar}", "foo{}{bar}"},
		{"foo{{bar}}zap", "{bar"},
		{"foo{bar}{zap}", "bar"},
		{"", ""},
		{"plain", "plain"},
		{"{", "{"},
		{"}{", "}{"},
		{"{}", "{}"},
		{"a}b{c}", "c"},
		{"open{end", "open{end"},
		{"{x}", "x"},
		{"\x00{\xff}\x00", "\xff"},
	} {
		if got := string(hashTag([]byte(tt.key))); got != tt.tag {
			t.Errorf("hashTag(%q) = %q, want %q", tt.key, got, tt.tag)
		}
	}
}

// MD5("") begins with d41d8cd9, MD5("a") with 0cc175b9, MD5("abc") with
// 90015098 (RFC 1321, A.5).
func TestPartition(t *testing.T) {
	for _, tt := range []struct {
		by   Partitioner
		key  string
		q    int
		want kv.Partition
	}{
		{MD5, "", 1, 0},
		{MD5, "", 2, 1},
		{MD5, "", 1024, 0xd41d >> 6},
		{MD5, "", 65536, 0xd41d},
		{MD5, "a", 16, 0},
		{MD5, "a", 256, 0x0c},
		{MD5, "abc", 1024, 0x9001 >> 6},
		{MD5, "abc", 65536, 0x9001},
		{CRC16, "foo", 1, 0},
		{CRC16, "foo", 2, 1},
		{CRC16, "foo", 1024, 12182 / 16},
		{CRC16, "foo", 16384, 12182},
		{CRC16, "bar{foo}", 16384, 12182},
	} {
		if got := tt.by.Partition([]byte(tt.key), tt.q); got != tt.want {
			t.Errorf("%v of %q among %d = %d, want %d", tt.by, tt.key, tt.q, got, tt.want)
		}
	}
}

func TestPartitionerNames(t *testing.T) {
	for _, f := range []Partitioner{MD5, CRC16} {
		if got, err := ParsePartitioner(f.String()); err != nil || got != f {
			t.Errorf("ParsePartitioner(%q) = %v, %v", f.String(), got, err)
		}
	}
	for _, s := range []string{"", "MD5", "sha1", "unknown"} {
		if _, err := ParsePartitioner(s); kv.KindOf(err) != kv.KindInvalid || err == nil {
			t.Errorf("ParsePartitioner(%q) gives %v, want an error of KindInvalid", s, err)
		}
	}
	if got := Partitioner(9).String(); got != "unknown" {
		t.Errorf("Partitioner(9) = %q", got)
	}
}
