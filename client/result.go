package client

import (
	"encoding/base64"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Context is what its holder has seen of a key: it comes with a get and goes
// back with the put or delete that replaces what was seen. It is opaque, and
// bound to the cluster. Empty, it has seen nothing.
type Context []byte

// String returns the context in base64url, as the HTTP door carries it.
func (c Context) String() string { return base64.RawURLEncoding.EncodeToString(c) }

// MarshalText lets a context stand as a JSON string.
func (c Context) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (c *Context) UnmarshalText(text []byte) error {
	parsed, err := ParseContext(string(text))
	if err == nil {
		*c = parsed
	}
	return err
}

// ParseContext reads what String wrote. Whether the context is whole and of this
// cluster is for the node to tell. The error is an [*Error] of KindBadContext.
func ParseContext(text string) (Context, error) {
	b, err := object.DecodeContext(text)
	if err != nil {
		return nil, failed(opParse, err)
	}
	return b, nil
}

// Sibling is one value of a key.
type Sibling struct {
	// Value belongs to whoever received the Result; it shares memory with the
	// Result's context and other siblings, without overlap.
	Value []byte
	// ContentType is the one that the value was put with, "" for none.
	ContentType string
	// Modified is when the value was put, by the clock of the node that
	// coordinated it, in UTC.
	Modified time.Time
}

// Result is what a request returns.
type Result struct {
	// Siblings are the values of the key that no other write replaced: none
	// when it has no value, one as a rule, several after writes that did not
	// know of each other. A put or delete fills them only with [ReturnBody].
	Siblings []Sibling
	// Deleted tells that a delete is among what no other write replaced: alone
	// when there are no siblings, else concurrent to them.
	Deleted bool
	// Context covers all that the result shows. It is empty when the key was
	// never put; and after a put that left other siblings beside its own, unless
	// [ReturnBody] shows them: then only a get can tell what to replace.
	Context Context
}

// Found tells whether the key has a value.
func (r Result) Found() bool { return len(r.Siblings) > 0 }

// parseResult reads an answer; the Result refers to its bytes. An error is of
// KindWrongVersion, for a format that this client is too old for, or
// KindInternal.
func parseResult(answer []byte) (Result, error) {
	if len(answer) == 0 {
		return Result{}, nil
	}
	a, err := wire.ParseAnswer(answer)
	var o object.Object
	if err == nil && len(a.Object) > 0 {
		o, err = object.Parse(a.Object)
	}
	if err == nil {
		return newResult(a.Context, o), nil
	}
	kind := kv.KindInternal
	if kv.KindOf(err) == kv.KindWrongVersion {
		kind = kv.KindWrongVersion
	}
	return Result{}, &kv.Error{Op: "read answer", Kind: kind, Applied: kv.AppliedUnknown, Err: err}
}

func newResult(seen []byte, o object.Object) Result {
	r := Result{Context: slices.Clip(Context(seen))}
	if live := o.Live(); live > 0 {
		r.Siblings = make([]Sibling, 0, live)
	}
	for c := o.Siblings(); c.Next(); {
		if c.Deleted {
			r.Deleted = true
			continue
		}
		r.Siblings = append(r.Siblings, Sibling{
			Value:       slices.Clip(c.Value),
			ContentType: string(c.ContentType),
			Modified:    c.Time.Wall(),
		})
	}
	return r
}
