package pb

import "github.com/ringtaildb/ringtail/internal/riak/field"

// Choice is a flag that a request may leave to the bucket.
type Choice uint8

// Choices.
const (
	Unset Choice = iota
	No
	Yes
)

// ChoiceOf returns the choice that b is.
func ChoiceOf(b bool) Choice {
	if b {
		return Yes
	}
	return No
}

func choice(f *field.Message) Choice { return ChoiceOf(f.Bool()) }

// Quorum is a number of replicas as Riak's messages have it, or one of four that
// stand for one. What a message leaves out is Default.
type Quorum uint32

// Quorums that go by name.
const (
	One      Quorum = 4294967294
	Majority Quorum = 4294967293
	All      Quorum = 4294967292
	Default  Quorum = 4294967291
)
