package antientropy

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// keysAsk shows the keys of some leaves. Of a left-over copy only what the asker
// has is compared; its objects will follow.
type keysAsk struct {
	head
	leaves []leafKeys
}

// leafKeys are the keys of a leaf, or of a range of it, in the order of
// compareKeys, with their digests under the floor joined.
type leafKeys struct {
	p      kv.Partition
	leaf   merkle.Leaf
	joined vclock.Floor
	// after and until bound the range: keys beyond after, up to until. Either may
	// be missing: from the leaf's beginning, to its end.
	after, until kv.Key
	keys         []keyDigest
}

type keyDigest struct {
	key    kv.Key
	digest uint64
}

const (
	leafKeysSize   = 2 + 2 + 2 + 2 + 2 + 4
	keyDigestSize  = 2 + 8
	leafCopiesSize = 1 + 2 + 4
	keyCopySize    = 2 + 4
	handedSize     = 2 + 2 + 2 + 4
)

// size is what the keys take in a message, without the floor.
func (l *leafKeys) size() int {
	n := leafKeysSize + len(l.after) + len(l.until)
	for _, k := range l.keys {
		n += keyDigestSize + len(k.key)
	}
	return n
}

func (m *keysAsk) encode() []byte {
	var t floorTable
	for i := range m.leaves {
		t.index(m.leaves[i].joined)
	}
	b := t.appendTo(m.begin(kindKeys))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.leaves)))
	for i := range m.leaves {
		l := &m.leaves[i]
		b = binary.BigEndian.AppendUint16(b, uint16(l.p))
		b = binary.BigEndian.AppendUint16(b, uint16(l.leaf))
		b = binary.BigEndian.AppendUint16(b, t.index(l.joined))
		b = appendKey(appendKey(b, l.after), l.until)
		b = binary.BigEndian.AppendUint32(b, uint32(len(l.keys)))
		for _, k := range l.keys {
			b = binary.BigEndian.AppendUint64(appendKey(b, k.key), k.digest)
		}
	}
	return b
}

func parseKeysAsk(r reader, h head) (keysAsk, error) {
	m := keysAsk{head: h}
	r.table()
	for range r.count(leafKeysSize) {
		l := leafKeys{p: r.partition(), leaf: r.leaf(), joined: r.floor(), after: r.keyOrNone(), until: r.keyOrNone()}
		for i := range r.count(keyDigestSize) {
			l.keys = append(l.keys, keyDigest{r.key(), r.U64()})
			if i > 0 && compareKeys(l.keys[i-1].key, l.keys[i].key) >= 0 {
				r.Bad = true
			}
		}
		m.leaves = append(m.leaves, l)
	}
	return m, r.end("keys")
}

// compareKeys is the order in which a partition's keys are stored.
func compareKeys(a, b kv.Key) int {
	if c := cmp.Compare(merkle.Position(a), merkle.Position(b)); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}

// keysAnswer answers for the first leaves of a keysAsk, as many as a message
// holds.
type keysAnswer struct {
	standing
	leaves []leafCopies
	// rest, if not missing, is the key up to which the last of leaves was
	// compared.
	rest kv.Key
}

// leafCopies are the keys of which the answerer holds something else: what it
// holds and, before it looked, its floor. A copy that cannot be compared is
// closed.
type leafCopies struct {
	closed bool
	floor  vclock.Floor
	keys   []keyCopy
}

// keyCopy is one of them. The object is empty when the copy has none or, after a
// push, in any case.
type keyCopy struct {
	key    kv.Key
	object []byte
}

func (m *keysAnswer) encode() []byte {
	var t floorTable
	for i := range m.leaves {
		t.index(m.leaves[i].floor)
	}
	b := t.appendTo(beginAnswer(kindKeys, m.standing))
	b = appendKey(b, m.rest)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.leaves)))
	for i := range m.leaves {
		l := &m.leaves[i]
		b = appendFlag(b, l.closed)
		b = binary.BigEndian.AppendUint16(b, t.index(l.floor))
		b = binary.BigEndian.AppendUint32(b, uint32(len(l.keys)))
		for _, k := range l.keys {
			b = appendBytes32(appendKey(b, k.key), k.object)
		}
	}
	return b
}

func parseKeysAnswer(b []byte) (keysAnswer, error) {
	r, s := answerReader(kindKeys, b)
	m := keysAnswer{standing: s}
	r.table()
	m.rest = r.keyOrNone()
	for range r.count(leafCopiesSize) {
		l := leafCopies{closed: r.Flag(), floor: r.floor()}
		for range r.count(keyCopySize) {
			l.keys = append(l.keys, keyCopy{r.key(), r.Bytes32()})
		}
		m.leaves = append(m.leaves, l)
	}
	if len(m.rest) > 0 && len(m.leaves) == 0 {
		r.Bad = true
	}
	return m, r.end("keys answer")
}

// objectsAsk hands objects over: what the asker holds, and the floor that its
// copy had before it looked.
type objectsAsk struct {
	head
	objects []handed
}

type handed struct {
	p      kv.Partition
	floor  vclock.Floor
	key    kv.Key
	object []byte
}

func (m *objectsAsk) encode() []byte {
	var t floorTable
	for i := range m.objects {
		t.index(m.objects[i].floor)
	}
	b := t.appendTo(m.begin(kindObjects))
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.objects)))
	for i := range m.objects {
		o := &m.objects[i]
		b = binary.BigEndian.AppendUint16(b, uint16(o.p))
		b = binary.BigEndian.AppendUint16(b, t.index(o.floor))
		b = appendBytes32(appendKey(b, o.key), o.object)
	}
	return b
}

func parseObjectsAsk(r reader, h head) (objectsAsk, error) {
	m := objectsAsk{head: h}
	r.table()
	for range r.count(handedSize) {
		m.objects = append(m.objects, handed{r.partition(), r.floor(), r.key(), r.Bytes32()})
	}
	return m, r.end("objects")
}

// objectsAnswer tells that all of them are merged, not that they are durable.
type objectsAnswer struct{ standing }

func (m *objectsAnswer) encode() []byte { return beginAnswer(kindObjects, m.standing) }

func parseObjectsAnswer(b []byte) (objectsAnswer, error) {
	r, s := answerReader(kindObjects, b)
	return objectsAnswer{s}, r.end("objects answer")
}
