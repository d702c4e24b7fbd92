package contest

import (
	"fmt"
	"os"
	"strings"
)

// The figures of a document stand between these lines.
const (
	begin = "<!-- figures of bench/peers -->\n"
	end   = "<!-- end of the figures -->\n"
)

// WriteInto puts text in place of the figures in a document.
func WriteInto(file, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	doc, err := replace(string(b), text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(doc), 0o644)
}

func replace(doc, text string) (string, error) {
	before, rest, ok := strings.Cut(doc, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("there is no place for figures, between %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}
