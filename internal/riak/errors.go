package riak

import (
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// Codes of errors: whether the request was certainly not applied. Riak's own is
// always 0.
const (
	codeNotApplied = 0
	codeUnknown    = 1
)

// words is an error that Riak's clients know by its text.
type words string

// Error implements error.
func (w words) Error() string { return string(w) }

// Texts that clients compare with.
const (
	wordsMatchFound  words = "match_found"
	wordsModified    words = "modified"
	wordsNotFound    words = "notfound"
	wordsTimeout     words = "timeout"
	wordsNoTLS       words = "Security not enabled; STARTTLS not allowed"
	wordsNoAuth      words = "Security not enabled; authentication not allowed"
	wordsNotActive   words = "Invalid bucket properties: not_active"
	wordsEmptyBucket words = "Bucket cannot be zero-length"
	wordsEmptyKey    words = "Key cannot be zero-length"
)

// appendError appends the answer to a request that failed with err.
func appendError(b []byte, err error) []byte {
	var w words
	var e *kv.Error
	switch {
	case errors.As(err, &w):
		return pb.AppendError(b, string(w), codeNotApplied)
	case kv.KindOf(err) == kv.KindTimeout:
		return pb.AppendError(b, string(wordsTimeout), codeOf(err))
	case errors.As(err, &e):
		return pb.AppendError(b, e.Kind.String()+": "+err.Error(), codeOf(err))
	}
	return pb.AppendError(b, err.Error(), codeOf(err))
}

func codeOf(err error) uint32 {
	if kv.AppliedOf(err) == kv.AppliedUnknown {
		return codeUnknown
	}
	return codeNotApplied
}
