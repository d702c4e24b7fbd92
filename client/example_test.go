package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
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

// A cart is read, changed and written with the context of the read. When two
// devices did so at the same time, both carts are kept; the next one who reads
// merges them.
func Example_shoppingCart() {
	carts, done := demo("carts")
	defer done()
	ctx := context.Background()

	// add puts an item into a cart that was read before.
	add := func(cart client.Result, item string) {
		items := append(merge(cart.Siblings), item)
		if _, err := carts.Put(ctx, "alice", cart.Context, []byte(strings.Join(items, " "))); err != nil {
			log.Fatal(err)
		}
	}

	phone, _ := carts.Get(ctx, "alice")
	laptop, _ := carts.Get(ctx, "alice")
	add(phone, "apples")
	add(laptop, "bread") // does not know of the apples

	cart, err := carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cart.Siblings), "carts")
	add(cart, "cheese") // replaces both

	cart, err = carts.Get(ctx, "alice")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(cart.Siblings), "cart:", string(cart.Siblings[0].Value))
	// Output:
	// 2 carts
	// 1 cart: apples bread cheese
}

// merge returns the items of all carts, each once.
func merge(carts []client.Sibling) []string {
	var items []string
	for _, c := range carts {
		items = append(items, strings.Fields(string(c.Value))...)
	}
	slices.Sort(items)
	return slices.Compact(items)
}
