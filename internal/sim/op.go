package sim

import (
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Op is one request of a client, and what it was told.
type Op struct {
	client *client
	// number counts the client's requests.
	number     int
	key        *Key
	node       *node
	kind       opKind
	options    kv.Options
	start, end time.Duration
	// context is what was sent, held the writes that whoever has it has seen.
	context []byte
	held    set
	// write is nil for a get.
	write *Write
	// calm is the epoch that all nodes knew to be settled when it began, 0 for none;
	// settling, crashes and changed are what the world's were.
	calm              uint64
	settling, crashes int
	changed           time.Duration
	// hurt tells that some copy was damaged when it began: such a one answers no
	// get.
	hurt bool

	// gone are writes that no answer may show: deletes superseded them which the
	// floors of so many owners have let go of that one of these must answer.
	gone set

	done bool
	err  error
	// siblings are the writes that the answer shows, seen what whoever has it
	// has seen, answer its context.
	siblings []*Write
	seen     set
	answer   []byte
	object   object.Object
}

// opKind is what a client does.
type opKind uint8

const (
	// opGet reads.
	opGet opKind = iota
	// opPut writes with the context that the client got last.
	opPut
	// opBlind writes without a context.
	opBlind
	// opOld writes with a context that the client got some time ago.
	opOld
	// opDelete deletes with the context that the client got last.
	opDelete
	// opWipeout deletes without a context: what a quorum read sees.
	opWipeout

	numOpKinds
)

var opNames = [numOpKinds]string{"get", "put", "blind", "old", "delete", "wipeout"}

func (k opKind) String() string { return opNames[k] }

func (o *Op) String() string {
	s := fmt.Sprintf("%s.%d %v %v", o.client.name, o.number, o.kind, o.key)
	if o.write != nil {
		s += fmt.Sprintf(" w%d after %v", o.write.id, o.held)
		if o.write.ttl > 0 {
			s += fmt.Sprintf(" for %v", o.write.ttl)
		}
	}
	s += fmt.Sprintf(" via %v", o.node.machine)
	if o.write != nil {
		s += fmt.Sprintf(" w=%d dw=%d", o.options.W, o.options.DW)
	} else {
		s += fmt.Sprintf(" r=%d", o.options.R)
	}
	if o.options.Strict {
		s += " strict"
	}
	return s
}

// outcome says what came of it.
func (o *Op) outcome() string {
	switch {
	case !o.done:
		return "pending"
	case o.err != nil:
		return fmt.Sprintf("%v, applied %v (%v)", kv.KindOf(o.err), kv.AppliedOf(o.err), o.err)
	case o.write != nil && len(o.siblings) == 0:
		return "done"
	}
	return "shows " + names(o.siblings)
}

func names(writes []*Write) string {
	s := "["
	for i, w := range writes {
		if i > 0 {
			s += " "
		}
		s += fmt.Sprintf("w%d", w.id)
		if w.deleted {
			s += "†"
		}
	}
	return s + "]"
}

// message encodes the request as a client sends it.
func (o *Op) message() (wire.Type, []byte) {
	get := wire.Get{R: o.options.R, W: o.options.W, DW: o.options.DW, Key: o.key.Key}
	if o.options.Strict {
		get.Flags |= wire.FlagStrict
	}
	if o.write == nil {
		return wire.TypeGet, encode(&get)
	}
	m := wire.Put{Get: get, Context: o.context, Value: o.write.value, Life: o.write.life()}
	if o.options.ReturnBody {
		m.Flags |= wire.FlagReturnBody
	}
	if o.write.deleted {
		m.Flags |= wire.FlagDeleted
	}
	return wire.TypePut, encode(&m)
}
