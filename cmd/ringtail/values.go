package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// values are what a key holds: none, one, or siblings. As JSON they have the
// shape in which a node shows siblings.
type values struct {
	Context  string    `json:"context"`
	Siblings []sibling `json:"siblings"`
}

// sibling is one of a key's values, or a deletion among them.
type sibling struct {
	Value       []byte    `json:"value"`
	ContentType string    `json:"content_type"`
	Deleted     bool      `json:"deleted"`
	Modified    time.Time `json:"modified"`
	// Expires is nil for a value that does not expire.
	Expires *time.Time `json:"expires,omitempty"`
}

// values reads an answer about a key.
func (a answer) values() (values, error) {
	v := values{Context: a.header.Get(headerContext), Siblings: []sibling{}}
	switch a.status {
	case http.StatusOK:
		one := sibling{Value: a.body, ContentType: a.header.Get("Content-Type")}
		if t, err := http.ParseTime(a.header.Get("Last-Modified")); err == nil {
			one.Modified = t
		}
		if t, err := time.Parse(time.RFC3339Nano, a.header.Get(headerExpires)); err == nil {
			one.Expires = &t
		}
		v.Siblings = append(v.Siblings, one)
	case http.StatusMultipleChoices:
		if err := json.Unmarshal(a.body, &v); err != nil {
			return values{}, fmt.Errorf("read siblings: %w", err)
		}
	case http.StatusNoContent, http.StatusNotFound:
	default:
		return values{}, fmt.Errorf("read the answer: HTTP status %d is not one that a key has", a.status)
	}
	return v, nil
}

// printJSON prints v for programs. Siblings end the process with exitSiblings.
func (v values) printJSON(s streams, key string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := s.out.Write(append(b, '\n')); err != nil {
		return err
	}
	return v.conflict(key)
}

// print prints the value as it is, or each sibling below a line that says what
// it is.
func (v values) print(s streams, key string) error {
	if len(v.Siblings) == 1 {
		return printValue(s.out, v.Siblings[0].Value)
	}
	for i, sib := range v.Siblings {
		fmt.Fprintf(s.out, "--- %d of %d: %s\n", i+1, len(v.Siblings), sib.describe())
		if sib.Deleted {
			continue
		}
		if _, err := fmt.Fprintf(s.out, "%s\n", sib.Value); err != nil {
			return err
		}
	}
	return v.conflict(key)
}

// printValue writes a value byte for byte. A person at a terminal gets the end
// of the line that the value may lack.
func printValue(w io.Writer, value []byte) error {
	if _, err := w.Write(value); err != nil {
		return err
	}
	if isTerminal(w) && (len(value) == 0 || value[len(value)-1] != '\n') {
		_, err := io.WriteString(w, "\n")
		return err
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (b sibling) describe() string {
	when := b.Modified.Format(time.RFC3339Nano)
	if b.Deleted {
		return "deleted, " + when
	}
	if b.Expires != nil {
		when += ", until " + b.Expires.Format(time.RFC3339Nano)
	}
	return fmt.Sprintf("%d bytes, %s, %s", len(b.Value), b.ContentType, when)
}

// conflict returns an error with exitSiblings when there are siblings, which
// have been shown.
func (v values) conflict(key string) error {
	if len(v.Siblings) < 2 {
		return nil
	}
	return statusError{exitSiblings, fmt.Errorf("%q has %d siblings; put what they come to with this context:\n%s",
		key, len(v.Siblings), v.Context)}
}

// admission is how long a request may wait while a queue stands; off is 0.
type admission time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *admission) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*a = 0
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither a duration above 0, such as 50ms, nor off", text)
	}
	*a = admission(d)
	return nil
}
