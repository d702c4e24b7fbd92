package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
)

// secured is a Network whose connections are encrypted.
type secured struct {
	transport.Network
	cfg *tls.Config
}

// Listen implements transport.Network.
func (s secured) Listen(addr string) (net.Listener, error) {
	l, err := s.Network.Listen(addr)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, s.cfg), nil
}

// certificate returns one that a host of that name shows, and who believes it.
func certificate(t *testing.T, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTLS: a Dialer with a tls.Config is all that it takes; a node that the
// configuration does not trust is not talked to.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t, "ringtail.test")
	network := secured{transport.TCP{}, &tls.Config{Certificates: []tls.Certificate{cert}}}
	addr, stop, err := serveOn(network, "127.0.0.1:0", &node{model: newModel(), host: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	dial := func(cfg *tls.Config) (*client.Client, error) {
		d := tls.Dialer{Config: cfg}
		return client.Dial(background, []string{addr}, client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}))
	}
	c, err := dial(&tls.Config{RootCAs: pool, ServerName: "ringtail.test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	large := make([]byte, kv.MaxValue)
	must(t)(c.Bucket("b").Put(background, "k", nil, large))
	if r := must(t)(c.Bucket("b").Get(background, "k")); len(values(r)) != len(large) {
		t.Errorf("%d bytes came back", len(values(r)))
	}
	_, err = dial(&tls.Config{RootCAs: pool, ServerName: "another.test"})
	wantError(t, err, client.KindUnavailable, client.AppliedNo)
}
