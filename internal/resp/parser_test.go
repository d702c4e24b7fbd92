package resp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// parsed is what came of a stream: the words of each command, or a status.
type parsed struct {
	commands []string
	last     status
	text     string
}

// parseAll feeds b to a parser in pieces of the given size, as a connection does.
func parseAll(t testing.TB, b []byte, piece int) parsed {
	t.Helper()
	var p parser
	var out parsed
	p.reset()
	var in []byte
	for {
		n, st := p.next(in)
		if n > len(in) {
			t.Fatalf("%d bytes of %d are dropped", n, len(in))
		}
		switch st {
		case whole:
			var words []string
			for _, w := range p.words {
				words = append(words, string(in[w.at:w.at+w.size]))
			}
			out.commands = append(out.commands, strings.Join(words, " "))
			p.reset()
		case excess:
			out.commands = append(out.commands, "excess: "+p.text)
			p.reset()
		case broken:
			out.last, out.text = broken, p.text
			return out
		case more:
			if len(b) == 0 {
				return out
			}
			next := min(piece, len(b))
			in, b = append(in[n:], b[:next]...), b[next:]
			continue
		}
		in = in[n:]
	}
}

func TestParser(t *testing.T) {
	large := strings.Repeat("v", kv.MaxValue)
	for _, c := range []struct {
		name, in string
		commands []string
		broken   string
	}{
		{"an array", "*2\r\n$3\r\nGET\r\n$1\r\na\r\n", []string{"GET a"}, ""},
		{"two", "*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nQUIT\r\n", []string{"PING", "QUIT"}, ""},
		{"words of any bytes", "*2\r\n$2\r\n\r\n\r\n$0\r\n\r\n", []string{"\r\n "}, ""},
		{"nothing", "*0\r\n*-1\r\n\r\n", []string{"", "", ""}, ""},
		{"a line", "SET  a\tb \r\nPING\n", []string{"SET a b", "PING"}, ""},
		{"a value at the limit", "*1\r\n$1048576\r\n" + large + "\r\n", []string{large}, ""},
		{"one past it", "*2\r\n$1048577\r\n" + large + "v\r\n$1\r\na\r\nPING\r\n", []string{"excess: the word of a command is too large, the limit of a value is 1048576 bytes", "PING"}, ""},
		{"2 GiB", "*2\r\n$3\r\nGET\r\n$2147483648\r\n", nil, "Protocol error: invalid bulk length"},
		{"a negative length", "*1\r\n$-1\r\n", nil, "Protocol error: invalid bulk length"},
		{"no number", "*1\r\n$x\r\n", nil, "Protocol error: invalid length"},
		{"a number without an end", "*" + strings.Repeat("1", 30), nil, "Protocol error: invalid length"},
		{"too many words", "*65537\r\n", nil, "Protocol error: invalid multibulk length: a command has at most 65536 words"},
		{"as many as may be", "*65536\r\n", nil, ""},
		{"a million", "*1000000\r\n", nil, "Protocol error: invalid multibulk length: a command has at most 65536 words"},
		{"no bulk string", "*1\r\n:1\r\n", nil, "Protocol error: expected '$', got ':'"},
		{"a bulk string without its end", "*1\r\n$1\r\nabc", nil, "Protocol error: expected CRLF after a bulk string"},
		{"an endless line", strings.Repeat("a", MaxInline), nil, "Protocol error: too big inline request"},
		{"arrays within arrays", strings.Repeat("*1\r\n", 100), nil, "Protocol error: expected '$', got '*'"},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			if len(c.in) > 1<<19 && piece == 1 {
				piece = 1000
			}
			got := parseAll(t, []byte(c.in), piece)
			if fmt.Sprint(got.commands) != fmt.Sprint(c.commands) || got.text != c.broken {
				t.Errorf("%s, in pieces of %d: %.100q, %q", c.name, piece, got.commands, got.text)
			}
		}
	}
}

// TestParserReadsOver: a command past the limit costs no memory, and the next one
// is found.
func TestParserReadsOver(t *testing.T) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*12\r\n")
	for range 12 {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", kv.MaxValue, strings.Repeat("v", kv.MaxValue))
	}
	b.WriteString("*1\r\n$4\r\nPING\r\n")
	got := parseAll(t, b.Bytes(), 64<<10)
	want := []string{"excess: the command is too large, the limit is 8388608 bytes", "PING"}
	if fmt.Sprint(got.commands) != fmt.Sprint(want) {
		t.Errorf("%.200q", got.commands)
	}
}

// FuzzParser: what is found in a stream does not depend on the pieces in which it
// comes.
func FuzzParser(f *testing.F) {
	for _, s := range []string{"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "PING\r\n", "*1\r\n$1048577\r\nxyz", "*-1\r\n*3\r\n$", "*1\r\n$4\r\nPING\r\n*1"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		all, some := parseAll(t, b, len(b)+1), parseAll(t, b, int(piece)+1)
		if fmt.Sprintf("%q", all) != fmt.Sprintf("%q", some) {
			t.Errorf("whole: %q\nin pieces: %q", all, some)
		}
	})
}

func TestParseInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-1": -1, "9223372036854775807": 9223372036854775807, "-9223372036854775808": -9223372036854775808, "12": 12,
	} {
		if got, ok := parseInt([]byte(text)); !ok || got != want {
			t.Errorf("%s: %d, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "-", "+1", "01", "-0", "1.5", "9223372036854775808", "-9223372036854775809", " 1", "99999999999999999999"} {
		if got, ok := parseInt([]byte(text)); ok {
			t.Errorf("%q is %d", text, got)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abb", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{"[a-c]x", "bx", true}, {"[c-a]x", "bx", true}, {"[^a-c]x", "bx", false}, {"[ab", "a", true}, {"\\*", "*", true}, {"\\*", "a", false},
		{"", "", true}, {"", "a", false}, {"h*llo*", "hello world", true}, {"\\", "\\", true}, {"[\\]]", "]", true}, {"user:*:name", "user:1:2:name", true},
		{strings.Repeat("a*", 60) + "b", strings.Repeat("a", 4000), false},
	} {
		if got := match([]byte(c.pattern), []byte(c.key)); got != c.want {
			t.Errorf("%q, %.20q: %v", c.pattern, c.key, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*[b-", "abc")
	f.Fuzz(func(t *testing.T, pattern, key string) {
		match([]byte(pattern), []byte(key))
		if !match([]byte("*"+pattern), []byte(key)) && match([]byte(pattern), []byte(key)) {
			t.Errorf("%q matches %q, but not with a star before it", pattern, key)
		}
	})
}
