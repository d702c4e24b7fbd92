package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// errSilent is why a connection that was closed before its first byte ended: a
// port check, not worth a line in the log.
var errSilent = errors.New("closed without a byte")

// offer sends hello and reads the answer. It returns the answer also when that
// is a refusal, in its Err. It ends with ctx or after timeout, whatever the
// pace of the peer.
func offer(ctx context.Context, nc net.Conn, hello wire.Hello, timeout time.Duration) (wire.HelloAck, error) {
	if err := nc.SetDeadline(time.Now().Add(timeout)); err != nil {
		return wire.HelloAck{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	ack, err := exchange(nc, hello)
	if !stop() {
		return wire.HelloAck{}, context.Cause(ctx)
	}
	if err != nil {
		return wire.HelloAck{}, err
	}
	return ack, nc.SetDeadline(time.Time{})
}

func exchange(nc net.Conn, hello wire.Hello) (wire.HelloAck, error) {
	if _, err := nc.Write(wire.AppendHello(nil, hello)); err != nil {
		return wire.HelloAck{}, err
	}
	body, err := readHello(nc)
	if err != nil {
		return wire.HelloAck{}, err
	}
	ack, err := wire.ParseHelloAck(body)
	if err == nil && ack.Err == nil && !hello.Versions.Has(ack.Version) {
		err = kv.Errorf(kv.KindWrongVersion, "read hello answer", "version %d was not offered", ack.Version)
	}
	return ack, err
}

// readHello reads the body of a Hello or a HelloAck, and no byte more.
func readHello(r io.Reader) ([]byte, error) {
	var buf [wire.MaxHello]byte
	head := buf[:wire.HelloHeader]
	if _, err := io.ReadFull(r, head); err != nil {
		if err == io.EOF {
			return nil, errSilent
		}
		return nil, err
	}
	n, err := wire.HelloSize(head)
	if err != nil {
		return nil, err
	}
	rest := buf[wire.HelloHeader : wire.HelloHeader+n]
	if _, err := io.ReadFull(r, rest); err != nil {
		return nil, err
	}
	return wire.HelloBody(rest)
}

// checkAck tells whether the answer comes from the cluster and, unless want is
// 0, the node that was meant.
func checkAck(ack wire.HelloAck, cluster kv.ClusterID, want kv.NodeID) error {
	const op = "check hello answer"
	switch {
	case ack.Err != nil:
		return ack.Err
	case want != 0 && ack.Node != want:
		return kv.Errorf(kv.KindUnavailable, op, "node %v answers in place of %v: the address has another owner now", ack.Node, want)
	case cluster != 0 && ack.Cluster != cluster:
		return kv.Errorf(kv.KindWrongCluster, op, "the peer belongs to cluster %v, not %v", ack.Cluster, cluster)
	}
	return nil
}

// examine decides about a Hello: nil, or the refusal to be sent.
//
// What the cluster wants of its members' versions is for admit to say, with its
// reason; a client may speak any that this program does.
func (h Hooks) examine(hello wire.Hello, cluster kv.ClusterID) (wire.Version, error) {
	spoken := wire.Versions{Min: wire.MinVersion, Max: h.versions().Max}
	version, err := spoken.Choose(hello.Versions)
	if err != nil {
		return 0, err
	}
	if hello.Cluster != 0 && hello.Cluster != cluster {
		return 0, kv.Errorf(kv.KindWrongCluster, "accept", "this node belongs to cluster %v, the peer to %v", cluster, hello.Cluster)
	}
	return version, h.admit(hello)
}
