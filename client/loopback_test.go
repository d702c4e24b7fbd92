package client_test

import (
	"context"
	"log"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// serveOn serves h on addr of network until the returned function is called.
func serveOn(network transport.Network, addr string, h wire.Handler) (string, func(), error) {
	l, err := network.Listen(addr)
	if err != nil {
		return "", nil, err
	}
	hooks := transport.Hooks{Identity: func() (kv.ClusterID, wire.Identity) { return 77, wire.Identity{Node: 1, Boot: 1} }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = transport.NewServer(transport.Default(), hooks, h, nil).Serve(ctx, l)
	}()
	return l.Addr().String(), func() {
		cancel()
		<-ended
	}, nil
}

// demo returns a bucket of a node on this machine, for examples.
func demo(bucket string) (*client.Bucket, func()) {
	addr, stop, err := serveOn(transport.TCP{}, "127.0.0.1:0", &node{model: newModel(), host: "n1"})
	if err != nil {
		log.Fatal(err)
	}
	c, err := client.Dial(context.Background(), []string{addr})
	if err != nil {
		log.Fatal(err)
	}
	return c.Bucket(bucket), func() {
		_ = c.Close()
		stop()
	}
}
