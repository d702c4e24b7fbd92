package membership

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// Gossip needs the cluster's id before it can talk to anybody. Who does not
// know it yet asks on the gossip port:
//
//	request  magic, 2 bytes of version, CRC-32C
//	answer   magic, 2 bytes of version, cluster, node, peer address, CRC-32C
//
// The first byte tells a request from gossip: memberlist's streams begin with
// its label, byte 244, here; a message of its own has a type of at most 13.
const (
	discoveryMagic   = "RTLd"
	discoveryVersion = 1
	requestSize      = len(discoveryMagic) + 2 + 4
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = len(discoveryMagic) + 2 + 8 + 8 + 2 + MaxAddress + 4
)

// seedAnswer is what a node says on its gossip port to whoever asks.
type seedAnswer struct {
	// cluster is 0 when the node belongs to none yet.
	cluster kv.ClusterID
	node    kv.NodeID
	// peer is the node's peer address.
	peer string
}

func appendRequest(b []byte) []byte {
	at := len(b)
	b = append(b, discoveryMagic...)
	b = binary.BigEndian.AppendUint16(b, discoveryVersion)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// checkRequest returns an error of KindInvalid unless b is a request.
func checkRequest(b []byte) error {
	_, err := discoveryBody(b)
	return err
}

func (a seedAnswer) append(b []byte) []byte {
	at := len(b)
	b = append(b, discoveryMagic...)
	b = binary.BigEndian.AppendUint16(b, discoveryVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(a.cluster))
	b = binary.BigEndian.AppendUint64(b, uint64(a.node))
	b = appendText(b, a.peer)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

func parseAnswer(b []byte) (seedAnswer, error) {
	body, err := discoveryBody(b)
	if err != nil {
		return seedAnswer{}, err
	}
	c := cursor{parse.Reader{Rest: body}}
	a := seedAnswer{cluster: kv.ClusterID(c.U64()), node: kv.NodeID(c.U64()), peer: c.text(MaxAddress)}
	if c.Bad || len(c.Rest) > 0 || a.node == 0 {
		return seedAnswer{}, kv.Errorf(kv.KindInvalid, "read seed's answer", "%d bytes are malformed", len(b))
	}
	return a, nil
}

// discoveryBody checks magic, version and checksum, and strips them.
func discoveryBody(b []byte) ([]byte, error) {
	const op = "read discovery message"
	end := len(b) - 4
	if len(b) < requestSize || string(b[:len(discoveryMagic)]) != discoveryMagic {
		return nil, kv.Errorf(kv.KindInvalid, op, "this is not Ringtail's gossip")
	}
	if crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return nil, kv.Errorf(kv.KindInvalid, op, "the checksum does not match")
	}
	if v := binary.BigEndian.Uint16(b[len(discoveryMagic):]); v != discoveryVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, op, "version %d, this release speaks %d", v, discoveryVersion)
	}
	return b[len(discoveryMagic)+2 : end], nil
}

// ask sends a request over conn, which it closes, and returns the answer.
func ask(conn net.Conn, timeout time.Duration) (seedAnswer, error) {
	const op = "ask seed"
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return seedAnswer{}, kv.Wrap(kv.KindUnavailable, op, err)
	}
	if _, err := conn.Write(appendRequest(nil)); err != nil {
		return seedAnswer{}, kv.Wrap(kv.KindUnavailable, op, err)
	}
	b, err := io.ReadAll(io.LimitReader(conn, int64(maxAnswer)))
	if err != nil {
		return seedAnswer{}, kv.Wrap(kv.KindUnavailable, op, err)
	}
	return parseAnswer(b)
}
