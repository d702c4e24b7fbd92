package pb

import "github.com/ringtaildb/ringtail/internal/riak/field"

// Props are a bucket's properties as a message has them, to show or to change
// them. A nil one is left out.
type Props struct {
	NVal                                              *uint32
	AllowMult, LastWriteWins, BasicQuorum, NotFoundOK Choice
	R, W, DW, RW, PR, PW                              *Quorum
	// TTL is in seconds.
	TTL *uint32
	// Lacking names the first property that is there and asks for what Ringtail
	// does not have, empty for none.
	Lacking string
}

// lackingProps are properties that ask for what Ringtail does not have, whatever
// they say.
var lackingProps = map[int]string{
	4: "precommit", 6: "postcommit", 22: "backend", 25: "search_index", 26: "datatype", 29: "hll_precision",
}

// lackingFlags are properties that do so where they are true.
var lackingFlags = map[int]string{
	5: "has_precommit", 7: "has_postcommit", 23: "search", 27: "consistent", 28: "write_once",
}

// ParseProps reads the message RpbBucketProps. How Riak hashes keys, follows links
// and prunes its clocks (fields 8 to 13), and whether it copies between clusters
// (24) is passed over: clients send back what they were shown.
func ParseProps(b []byte) (Props, error) {
	var p Props
	quorums := map[int]**Quorum{14: &p.PR, 15: &p.R, 16: &p.W, 17: &p.PW, 18: &p.DW, 19: &p.RW}
	choices := map[int]*Choice{2: &p.AllowMult, 3: &p.LastWriteWins, 20: &p.BasicQuorum, 21: &p.NotFoundOK}
	f := field.Read(b)
	for f.Next() {
		num := int(f.Num)
		if q, ok := quorums[num]; ok {
			v := Quorum(f.Uint32())
			*q = &v
		} else if c, ok := choices[num]; ok {
			*c = choice(&f)
		} else if name, ok := lackingProps[num]; ok {
			p.lacks(name)
		} else if name, ok := lackingFlags[num]; ok && f.Bool() {
			p.lacks(name)
		} else if num == 1 || num == 30 {
			v := f.Uint32()
			if num == 1 {
				p.NVal = &v
			} else {
				p.TTL = &v
			}
		}
	}
	return p, f.Err()
}

func (p *Props) lacks(name string) {
	if p.Lacking == "" {
		p.Lacking = name
	}
}

// appendProps appends p as the message RpbBucketProps.
func appendProps(b []byte, p Props) []byte {
	if p.NVal != nil {
		b = field.AppendUint(b, 1, uint64(*p.NVal))
	}
	for _, c := range []struct {
		num field.Num
		v   Choice
	}{{2, p.AllowMult}, {3, p.LastWriteWins}, {20, p.BasicQuorum}, {21, p.NotFoundOK}} {
		if c.v != Unset {
			b = field.AppendBool(b, c.num, c.v == Yes)
		}
	}
	for _, q := range []struct {
		num field.Num
		v   *Quorum
	}{{14, p.PR}, {15, p.R}, {16, p.W}, {17, p.PW}, {18, p.DW}, {19, p.RW}} {
		if q.v != nil {
			b = field.AppendUint(b, q.num, uint64(*q.v))
		}
	}
	if p.TTL != nil {
		b = field.AppendUint(b, 30, uint64(*p.TTL))
	}
	return b
}

// SetProps changes the properties of a bucket, or of a type where the request is
// for one.
type SetProps struct {
	Place
	Props Props
}

// ParseSetBucket reads a request to set a bucket's properties.
func ParseSetBucket(b []byte) (SetProps, error) {
	return parseSetProps(b, func(m *SetProps, f *field.Message) {
		switch f.Num {
		case 1:
			m.Bucket = f.Bytes()
		case 3:
			m.Type = f.Bytes()
		}
	})
}

// ParseSetType reads a request to set a type's properties.
func ParseSetType(b []byte) (SetProps, error) {
	return parseSetProps(b, func(m *SetProps, f *field.Message) {
		if f.Num == 1 {
			m.Type = f.Bytes()
		}
	})
}

func parseSetProps(b []byte, other func(*SetProps, *field.Message)) (SetProps, error) {
	var m SetProps
	has := false
	f := field.Read(b)
	for f.Next() {
		if f.Num != 2 {
			other(&m, &f)
			continue
		}
		p, err := ParseProps(f.Bytes())
		f.Fault(err)
		m.Props, has = p, true
	}
	if f.Err() == nil && !has {
		return m, lacks("properties", "props")
	}
	return m, f.Err()
}

// ParseGetType reads a request for a type's properties.
func ParseGetType(b []byte) (Place, error) {
	var m Place
	f := field.Read(b)
	for f.Next() {
		if f.Num == 1 {
			m.Type = f.Bytes()
		}
	}
	return m, f.Err()
}
