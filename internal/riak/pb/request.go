package pb

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/content"
	"github.com/ringtaildb/ringtail/internal/riak/field"
)

// The slices of requests are parts of the bytes that they were read from. A type
// that is left out is empty, as is the type default.

// Place is where a request leads.
type Place struct{ Type, Bucket, Key []byte }

// Get asks for the values of a key.
type Get struct {
	Place
	R, PR                   Quorum
	BasicQuorum, NotFoundOK Choice
	// IfModified is the context that the client has; nil for none.
	IfModified []byte
	// Head leaves the values out.
	Head bool
	// DeletedVClock asks for the context of a key that was deleted.
	DeletedVClock bool
	// Timeout is in milliseconds, 0 for none.
	Timeout uint32
	Sloppy  Choice
	// NVal is 0 for the bucket's.
	NVal uint32
}

// ParseGet reads a Get.
func ParseGet(b []byte) (Get, error) {
	m := Get{R: Default, PR: Default}
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Key = f.Bytes()
		case 3:
			m.R = Quorum(f.Uint32())
		case 4:
			m.PR = Quorum(f.Uint32())
		case 5:
			m.BasicQuorum = choice(&f)
		case 6:
			m.NotFoundOK = choice(&f)
		case 7:
			m.IfModified = f.Bytes()
		case 8:
			m.Head = f.Bool()
		case 9:
			m.DeletedVClock = f.Bool()
		case 10:
			m.Timeout = f.Uint32()
		case 11:
			m.Sloppy = choice(&f)
		case 12:
			m.NVal = f.Uint32()
		case 13:
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}

// Content is a value with what stands beside it, as a put has it.
type Content struct {
	Value, ContentType []byte
	Meta               content.Meta
	// TTL is in seconds, 0 for the bucket's.
	TTL uint32
}

func parseContent(b []byte) (Content, error) {
	var c Content
	f := field.Read(b)
	for f.Next() {
		switch {
		case f.Num == 1:
			c.Value = f.Bytes()
		case f.Num == 2:
			c.ContentType = f.Bytes()
		case f.Num == 12:
			c.TTL = f.Uint32()
		default:
			c.Meta.Take(&f)
		}
	}
	return c, f.Err()
}

// Put stores a value. Its key is empty where the server is to make one.
type Put struct {
	Place
	// VClock is the context that the value builds on.
	VClock                     []byte
	Content                    Content
	W, DW, PW                  Quorum
	ReturnBody, ReturnHead     bool
	IfNotModified, IfNoneMatch bool
	Timeout                    uint32
	// AsIs asks to store without a new version, which only Riak's own nodes do.
	AsIs   bool
	Sloppy Choice
	NVal   uint32
}

// ParsePut reads a Put.
func ParsePut(b []byte) (Put, error) {
	m := Put{W: Default, DW: Default, PW: Default}
	has := false
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Key = f.Bytes()
		case 3:
			m.VClock = f.Bytes()
		case 4:
			c, err := parseContent(f.Bytes())
			f.Fault(err)
			m.Content, has = c, true
		case 16:
			m.Type = f.Bytes()
		default:
			m.option(&f)
		}
	}
	if f.Err() == nil && !has {
		return m, lacks("put", "content")
	}
	return m, f.Err()
}

func (m *Put) option(f *field.Message) {
	switch f.Num {
	case 5:
		m.W = Quorum(f.Uint32())
	case 6:
		m.DW = Quorum(f.Uint32())
	case 7:
		m.ReturnBody = f.Bool()
	case 8:
		m.PW = Quorum(f.Uint32())
	case 9:
		m.IfNotModified = f.Bool()
	case 10:
		m.IfNoneMatch = f.Bool()
	case 11:
		m.ReturnHead = f.Bool()
	case 12:
		m.Timeout = f.Uint32()
	case 13:
		m.AsIs = f.Bool()
	case 14:
		m.Sloppy = choice(f)
	case 15:
		m.NVal = f.Uint32()
	}
}

// Del deletes a key. R and PR are those of the read of a delete without a context.
type Del struct {
	Place
	VClock               []byte
	RW, R, W, PR, PW, DW Quorum
	Timeout              uint32
	Sloppy               Choice
	NVal                 uint32
}

// ParseDel reads a Del.
func ParseDel(b []byte) (Del, error) {
	m := Del{RW: Default, R: Default, W: Default, PR: Default, PW: Default, DW: Default}
	quorums := [...]*Quorum{3: &m.RW, 5: &m.R, 6: &m.W, 7: &m.PR, 8: &m.PW, 9: &m.DW}
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Key = f.Bytes()
		case 4:
			m.VClock = f.Bytes()
		case 10:
			m.Timeout = f.Uint32()
		case 11:
			m.Sloppy = choice(&f)
		case 12:
			m.NVal = f.Uint32()
		case 13:
			m.Type = f.Bytes()
		default:
			if int(f.Num) < len(quorums) && quorums[f.Num] != nil {
				*quorums[f.Num] = Quorum(f.Uint32())
			}
		}
	}
	return m, f.Err()
}

// ListBuckets asks for the names of the buckets of a type.
type ListBuckets struct {
	Timeout uint32
	// Stream asks for several answers rather than one.
	Stream bool
	Type   []byte
}

// ParseListBuckets reads a ListBuckets.
func ParseListBuckets(b []byte) (ListBuckets, error) {
	var m ListBuckets
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Timeout = f.Uint32()
		case 2:
			m.Stream = f.Bool()
		case 3:
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}

// ListKeys asks for the keys of a bucket.
type ListKeys struct {
	Place
	Timeout uint32
}

// ParseListKeys reads a ListKeys.
func ParseListKeys(b []byte) (ListKeys, error) {
	var m ListKeys
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Timeout = f.Uint32()
		case 3:
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}

// ParseBucket reads a request of which all but a bucket and its type is nothing:
// to show or to reset its properties.
func ParseBucket(b []byte) (Place, error) {
	var m Place
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}

// ParsePreflist reads a request for the nodes in charge of a key.
func ParsePreflist(b []byte) (Place, error) {
	var m Place
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 2:
			m.Key = f.Bytes()
		case 3:
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}

// ParseClientID reads a request to set the connection's client id.
func ParseClientID(b []byte) ([]byte, error) {
	var id []byte
	f := field.Read(b)
	for f.Next() {
		if f.Num == 1 {
			id = f.Bytes()
		}
	}
	return id, f.Err()
}

func lacks(request, what string) error {
	return kv.Errorf(kv.KindInvalid, "read "+request, "it has no %s", what)
}
