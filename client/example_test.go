package client_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, []string{"127.0.0.1:7401", "127.0.0.1:7411", "127.0.0.1:7421"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	prefs := c.Bucket("preferences", client.Timeout(300*time.Millisecond))
	if _, err := prefs.Put(ctx, "alice", nil, []byte("dark")); err != nil {
		log.Fatal(err)
	}
	res, err := prefs.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range res.Siblings {
		fmt.Println(string(s.Value))
	}
}

// A put that must not be lost by the failure of two disks, and what its error
// tells.
func ExampleError() {
	save := func(ctx context.Context, orders *client.Bucket, id string, order []byte) error {
		_, err := orders.Put(ctx, id, nil, order, client.W(3), client.DW(3), client.Strict(true))
		var e *client.Error
		switch {
		case err == nil:
			return nil
		case errors.As(err, &e) && e.Applied == client.AppliedNo:
			return fmt.Errorf("order %s is not saved, try again: %w", id, err)
		default:
			return fmt.Errorf("order %s may be saved, look before you try again: %w", id, err)
		}
	}
	_ = save
}

// A cart is read, changed and written by Update, which puts together what two
// devices wrote at the same time. Adding to a set may be done twice without harm:
// so it may be called again.
func ExampleBucket_Update() {
	carts, done := demo("carts")
	defer done()
	ctx := context.Background()

	add := func(item string) {
		_, err := carts.Update(ctx, "alice", func(siblings [][]byte) ([]byte, error) {
			items := append(union(siblings), item)
			return []byte(strings.Join(items, " ")), nil
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	add("apples")
	// A phone that was offline puts its own cart, without having seen the other.
	if _, err := carts.Put(ctx, "alice", nil, []byte("bread")); err != nil {
		log.Fatal(err)
	}
	add("cheese")

	cart, err := carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d cart: %s\n", len(cart.Siblings), cart.Siblings[0].Value)
	// Output:
	// 1 cart: apples bread cheese
}

// Writes that did not know of each other are kept as siblings; the next one who
// reads them puts one value in their place.
func ExampleBucket_Put_siblings() {
	carts, done := demo("carts")
	defer done()
	ctx := context.Background()

	phone, _ := carts.Get(ctx, "alice")
	laptop, _ := carts.Get(ctx, "alice")
	for _, w := range []struct {
		seen client.Context
		cart string
	}{{phone.Context, "apples"}, {laptop.Context, "bread"}} {
		if _, err := carts.Put(ctx, "alice", w.seen, []byte(w.cart)); err != nil {
			log.Fatal(err)
		}
	}

	cart, err := carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cart.Siblings), "carts")
	var values [][]byte
	for _, s := range cart.Siblings {
		values = append(values, s.Value)
	}
	one := []byte(strings.Join(union(values), " "))
	if _, err := carts.Put(ctx, "alice", cart.Context, one); err != nil {
		log.Fatal(err)
	}
	cart, err = carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d cart: %s\n", len(cart.Siblings), cart.Siblings[0].Value)
	// Output:
	// 2 carts
	// 1 cart: apples bread
}

// union returns the items of all carts, each once.
func union(carts [][]byte) []string {
	var items []string
	for _, c := range carts {
		items = append(items, strings.Fields(string(c))...)
	}
	slices.Sort(items)
	return slices.Compact(items)
}

// A delete with the context of a get removes what that showed, and nothing that
// was put meanwhile.
func ExampleBucket_Delete() {
	sessions, done := demo("sessions")
	defer done()
	ctx := context.Background()

	put, err := sessions.Put(ctx, "s1", nil, []byte("alice"))
	if err != nil {
		log.Fatal(err)
	}
	if _, err := sessions.Delete(ctx, "s1", put.Context); err != nil {
		log.Fatal(err)
	}
	res, err := sessions.Get(ctx, "s1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Found(), res.Deleted)
	// Output:
	// false true
}

// With TLS, also through a proxy that ends it: tls.Dialer takes the name to check
// from each address, unless the configuration has one.
func ExampleDialer() {
	d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS13}}
	c, err := client.Dial(context.Background(), []string{"ringtail.example.com:7401"},
		client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		log.Print(err)
		return
	}
	defer c.Close()
}
