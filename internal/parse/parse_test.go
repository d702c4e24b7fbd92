package parse

import (
	"math"
	"testing"
)

func TestFields(t *testing.T) {
	b := []byte{
		7, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 1,
		0, 2, 'a', 'b', 0, 0, 0, 1, 'c',
		0, 0, 0, 2, 0, 9, 0, 9,
	}
	r := &Reader{Rest: b}
	if r.U8() != 7 || r.U16() != 0x0102 || r.U32() != 0x01020304 || r.U64() != 0x0102030405060708 || !r.Flag() {
		t.Error("numbers")
	}
	if string(r.Bytes16()) != "ab" || string(r.Bytes32()) != "c" {
		t.Error("bytes")
	}
	if n := r.Count(2, 2); n != 2 || r.U16() != 9 || r.End() || r.U16() != 9 || !r.End() {
		t.Errorf("a count of %d", n)
	}
}

// Past the end all is zero and nothing allocated, and it shows.
func TestBad(t *testing.T) {
	for name, read := range map[string]func(*Reader) bool{
		"u8":         func(r *Reader) bool { r.Take(3); return r.U8() == 0 },
		"u16":        func(r *Reader) bool { r.Take(2); return r.U16() == 0 },
		"u32":        func(r *Reader) bool { return r.U32() == 0 },
		"u64":        func(r *Reader) bool { return r.U64() == 0 },
		"flag":       func(r *Reader) bool { r.Take(2); return !r.Flag() },
		"bytes16":    func(r *Reader) bool { return r.Bytes16() == nil },
		"bytes32":    func(r *Reader) bool { return r.Bytes32() == nil },
		"below zero": func(r *Reader) bool { return r.Take(-1) == nil },
		"need":       func(r *Reader) bool { r.Need(true); r.Need(false); r.Need(true); return true },
	} {
		r := &Reader{Rest: []byte{0, 9, 2}}
		if !read(r) || !r.Bad || r.End() {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, tc := range []struct{ limit, size int }{{2, 1}, {3, 2}, {math.MaxInt, 2}, {math.MaxInt, math.MaxInt}} {
		r := &Reader{Rest: []byte{0, 0, 0, 3, 1, 2, 3}}
		if n := r.Count(tc.limit, tc.size); n != 0 || !r.Bad || r.Rest != nil {
			t.Errorf("%+v: a count of %d, %+v", tc, n, r)
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	b := make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		r := Reader{Rest: b}
		r.U8()
		r.Bytes16()
		r.U64()
		r.Count(10, 1)
		r.Need(r.End())
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
