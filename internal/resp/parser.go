package resp

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// span is a word of a command, from the command's first byte.
type span struct{ at, size int }

// status is what a parser has found.
type status uint8

const (
	// more: the command is not whole yet.
	more status = iota
	// whole: the command's words are known; there may be none.
	whole
	// excess: the command is past a limit, and was read over.
	excess
	// broken: what comes is no RESP, and nothing after it can be told apart.
	broken
)

// parser takes commands out of a stream, as arrays of bulk strings or as lines.
// It looks at no byte twice, however it comes, and keeps none: what it needs to
// know of a command that is not whole is where its words begin.
type parser struct {
	words []span
	// at is how far it has come in the command, left how many words are to come,
	// bulk the size of the one that is being read, -1 before that is known.
	at, left, bulk int
	begun          bool
	// over is set for a command that is past a limit. Its bytes are dropped.
	over bool
	// text says why the status is excess or broken.
	text string
}

// reset makes the parser ready for the next command.
func (p *parser) reset() {
	*p = parser{words: p.words[:0], bulk: -1}
}

// next goes on with the command that begins at b[0], of which it may have seen a
// part in calls before. It returns how many bytes can be dropped: those of the
// command once that is over, or all that was read over so far.
func (p *parser) next(b []byte) (int, status) {
	for {
		switch {
		case !p.begun:
			if len(b) == 0 {
				return 0, more
			}
			if b[0] != '*' {
				return p.line(b)
			}
			size, ok, st := p.number(b, '*')
			if !ok {
				return 0, st
			}
			if size > MaxArgs {
				return 0, p.breaks("Protocol error: invalid multibulk length: a command has at most 65536 words")
			}
			p.begun, p.left, p.bulk = true, max(size, 0), -1
		case p.left == 0:
			return p.end()
		case p.bulk < 0:
			size, ok, st := p.number(b, '$')
			if !ok {
				return p.dropped(st)
			}
			if size < 0 || size > maxBulk {
				return 0, p.breaks("Protocol error: invalid bulk length")
			}
			p.size(size)
		default:
			if dropped, st := p.word(b); st != whole {
				return dropped, st
			}
		}
	}
}

// end ends a command.
func (p *parser) end() (int, status) {
	if p.over {
		return p.at, excess
	}
	return p.at, whole
}

// dropped returns what can be dropped while more is awaited.
func (p *parser) dropped(st status) (int, status) {
	if !p.over || st != more {
		return 0, st
	}
	n := p.at
	p.at = 0
	return n, st
}

// size takes the size of the next word.
func (p *parser) size(size int) {
	p.bulk = size
	switch {
	case p.over:
	case size > kv.MaxValue:
		p.exceeds("the word of a command is too large, the limit of a value is 1048576 bytes")
	case p.at+size+2 > MaxCommand:
		p.exceeds("the command is too large, the limit is 8388608 bytes")
	}
}

func (p *parser) exceeds(text string) { p.over, p.text = true, text }

func (p *parser) breaks(text string) status {
	p.text = text
	return broken
}

// word takes the bytes of a word and the line's end after it, if they have all
// come. Of a command that is read over, those that have can be dropped.
func (p *parser) word(b []byte) (dropped int, st status) {
	if p.over {
		if have := min(len(b)-p.at, p.bulk); have < p.bulk {
			p.bulk -= have
			p.at = 0
			return len(b), more
		}
	}
	end := p.at + p.bulk
	if len(b) < end+2 {
		return 0, more
	}
	if b[end] != '\r' || b[end+1] != '\n' {
		return 0, p.breaks("Protocol error: expected CRLF after a bulk string")
	}
	if !p.over {
		p.words = append(p.words, span{p.at, p.bulk})
	}
	p.at, p.bulk = end+2, -1
	p.left--
	return 0, whole
}

// maxNumber bounds a line with a length, in bytes.
const maxNumber = 24

// number reads a line with a length, which begins with mark.
func (p *parser) number(b []byte, mark byte) (n int, ok bool, st status) {
	line := b[p.at:]
	if len(line) == 0 {
		return 0, false, more
	}
	if line[0] != mark {
		return 0, false, p.breaks("Protocol error: expected '" + string(mark) + "', got '" + printable(line[0]) + "'")
	}
	end := bytes.IndexByte(line[:min(len(line), maxNumber)], '\n')
	switch {
	case end < 0 && len(line) < maxNumber:
		return 0, false, more
	case end < 2 || line[end-1] != '\r':
		return 0, false, p.breaks("Protocol error: invalid length")
	}
	v, ok := parseInt(line[1 : end-1])
	if !ok || v > 1<<40 || v < -1 {
		return 0, false, p.breaks("Protocol error: invalid length")
	}
	p.at += end + 1
	return int(v), true, whole
}

// printable returns b as text that can stand in an error.
func printable(b byte) string {
	if b < ' ' || b > '~' {
		return "?"
	}
	return string(rune(b))
}

// line reads a command that is written as a line: words with spaces between.
func (p *parser) line(b []byte) (int, status) {
	end := bytes.IndexByte(b[p.at:min(len(b), MaxInline)], '\n')
	if end < 0 {
		if p.at = len(b); p.at >= MaxInline {
			return 0, p.breaks("Protocol error: too big inline request")
		}
		return 0, more
	}
	end += p.at
	line := bytes.TrimSuffix(b[:end], []byte("\r"))
	for i := 0; i < len(line); {
		if isSpace(line[i]) {
			i++
			continue
		}
		from := i
		for i < len(line) && !isSpace(line[i]) {
			i++
		}
		if len(p.words) == MaxArgs {
			return 0, p.breaks("Protocol error: too many words")
		}
		p.words = append(p.words, span{from, i - from})
	}
	p.at = end + 1
	return p.at, whole
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == 0 }

// parseInt reads a whole number in decimal, as Redis does: no plus sign, no
// leading zeros, no spaces.
func parseInt(b []byte) (int64, bool) {
	digits, neg := b, false
	if len(b) > 0 && b[0] == '-' {
		digits, neg = b[1:], true
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && (len(digits) > 1 || neg) {
		return 0, false
	}
	var v uint64
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		v = v*10 + uint64(d-'0')
	}
	switch {
	case neg && v <= 1<<63:
		return -int64(v), true
	case !neg && v < 1<<63:
		return int64(v), true
	}
	return 0, false
}
