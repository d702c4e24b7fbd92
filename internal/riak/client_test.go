package riak

import (
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/ringtaildb/ringtail/internal/riak/field"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// m is the fields of a message, by their numbers: numbers, flags, text, bytes,
// messages; several in a list.
type m map[int]any

func (f m) bytes() []byte {
	var b []byte
	for num := range 40 {
		if v, ok := f[num]; ok {
			b = appendField(b, field.Num(num), v)
		}
	}
	return b
}

func appendField(b []byte, num field.Num, v any) []byte {
	switch v := v.(type) {
	case int:
		return field.AppendUint(b, num, uint64(v))
	case bool:
		return field.AppendBool(b, num, v)
	case string:
		return field.AppendText(b, num, v)
	case []byte:
		return field.AppendBytes(b, num, v)
	case m:
		return field.AppendBytes(b, num, v.bytes())
	case []any:
		for _, one := range v {
			b = appendField(b, num, one)
		}
	}
	return b
}

// client is a connection to a door.
type client struct {
	t  *testing.T
	nc net.Conn
}

func (d *door) dial() *client {
	d.t.Helper()
	near, far := net.Pipe()
	d.pipes.conns <- far
	d.t.Cleanup(func() { near.Close() })
	return &client{d.t, near}
}

func frame(code pb.Code, fields []byte) []byte {
	return pb.End(append(pb.Begin(nil, code), fields...), 0)
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.nc.Write(b); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// reply is a message that has come.
type reply struct {
	code pb.Code
	body []byte
}

func (c *client) read() reply {
	c.t.Helper()
	var head [pb.HeadSize]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:])-1)
	if _, err := io.ReadFull(c.nc, body); err != nil {
		c.t.Fatalf("read an answer: %v", err)
	}
	return reply{pb.Code(head[4]), body}
}

// ask sends a request and returns its answer.
func (c *client) ask(code pb.Code, fields m) reply {
	c.t.Helper()
	c.send(frame(code, fields.bytes()))
	return c.read()
}

// want asks and makes sure of the answer's code.
func (c *client) want(answer, code pb.Code, fields m) reply {
	c.t.Helper()
	r := c.ask(code, fields)
	if r.code != answer {
		c.t.Fatalf("request %d with %v: answer %d, %q; want %d", code, fields, r.code, r.body, answer)
	}
	return r
}

// fails asks and returns the error's text.
func (c *client) fails(code pb.Code, fields m) string {
	c.t.Helper()
	return c.want(pb.ErrorResp, code, fields).text(1)
}

// ended makes sure that the connection is closed.
func (c *client) ended() {
	c.t.Helper()
	if n, err := io.Copy(io.Discard, c.nc); err != nil || n > 0 {
		c.t.Errorf("%d bytes more, %v", n, err)
	}
}

// all returns the fields num, which are bytes.
func (r reply) all(num int) [][]byte {
	var list [][]byte
	for f := field.Read(r.body); f.Next(); {
		if int(f.Num) == num {
			list = append(list, f.Bytes())
		}
	}
	return list
}

func (r reply) text(num int) string {
	for _, b := range r.all(num) {
		return string(b)
	}
	return ""
}

// number returns the field num, -1 where it is left out.
func (r reply) number(num int) int64 {
	for f := field.Read(r.body); f.Next(); {
		if int(f.Num) == num {
			return int64(f.Uint32())
		}
	}
	return -1
}

// values returns the values of an answer to a get or a put.
func (r reply) values() []string {
	var list []string
	for _, b := range r.all(1) {
		c := reply{body: b}
		v := c.text(1)
		if c.number(11) == 1 {
			v += "(deleted)"
		}
		list = append(list, v)
	}
	return list
}
