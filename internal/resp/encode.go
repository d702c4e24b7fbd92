package resp

import (
	"strconv"
	"strings"
)

// protocol is the version of RESP that a connection speaks.
type protocol uint8

const (
	resp2 protocol = 2
	resp3 protocol = 3
)

func appendLength(dst []byte, mark byte, n int) []byte {
	dst = append(dst, mark)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '\r', '\n')
}

func appendInt(dst []byte, n int64) []byte {
	dst = append(dst, ':')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func appendBulk[T string | []byte](dst []byte, b T) []byte {
	dst = appendLength(dst, '$', len(b))
	dst = append(dst, b...)
	return append(dst, '\r', '\n')
}

func appendArray(dst []byte, n int) []byte { return appendLength(dst, '*', n) }

// appendMap begins a map of n pairs, which RESP2 has as an array.
func appendMap(dst []byte, p protocol, n int) []byte {
	if p == resp3 {
		return appendLength(dst, '%', n)
	}
	return appendArray(dst, 2*n)
}

// appendSet begins a set of n, which RESP2 has as an array.
func appendSet(dst []byte, p protocol, n int) []byte {
	if p == resp3 {
		return appendLength(dst, '~', n)
	}
	return appendArray(dst, n)
}

func appendNull(dst []byte, p protocol) []byte {
	if p == resp3 {
		return append(dst, "_\r\n"...)
	}
	return append(dst, "$-1\r\n"...)
}

func appendStatus(dst []byte, s string) []byte {
	dst = append(dst, '+')
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

// appendVerbatim appends plain text, which RESP2 has as a bulk string.
func appendVerbatim(dst []byte, p protocol, s string) []byte {
	if p != resp3 {
		return appendBulk(dst, s)
	}
	dst = appendLength(dst, '=', 4+len(s))
	dst = append(dst, "txt:"...)
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

// maxError bounds the text of an error, in bytes.
const maxError = 1024

// appendError appends an error, whose text begins with its code. What would end
// the line is made a space.
func appendError(dst []byte, text string) []byte {
	if len(text) > maxError {
		text = text[:maxError]
	}
	dst = append(dst, '-')
	if strings.ContainsAny(text, "\r\n") {
		text = strings.NewReplacer("\r", " ", "\n", " ").Replace(text)
	}
	dst = append(dst, text...)
	return append(dst, '\r', '\n')
}
