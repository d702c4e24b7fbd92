// Package store has the stores that are measured: how each is built or found,
// started on loopback with three copies of everything, seen to be whole, and put
// under load through the Go client that its users use.
package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"

	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
)

const (
	// copies is how many nodes each store has, and copies of each key.
	copies = 3
	// startWithin bounds the time from the start of a store's first process until
	// all of it answers.
	startWithin = 90 * time.Second
	// requestWithin bounds one request, of clients that do not bound it
	// themselves.
	requestWithin = 10 * time.Second
)

// View is a way to use a store: what its gets and puts ask for.
type View string

// The views. Each store has those that its Open knows.
const (
	// Plain is all that a store has to offer, for those without a choice.
	Plain View = "plain"
	// Buffered and Durable are Ringtail's puts with dw=0 and dw=w, and gets with
	// r=2; One is its gets with r=1.
	Buffered View = "buffered"
	Durable  View = "durable"
	One      View = "one"
	// Linearizable and Serializable are etcd's gets.
	Linearizable View = "linearizable"
	Serializable View = "serializable"
)

// Store is one store, of three nodes. It is used by one goroutine.
type Store interface {
	// Name is unique among the stores of a run.
	Name() string
	// Version is known before the start.
	Version() string
	// Start starts the processes, from the calling goroutine's thread
	// (fleet.Group.Start), and returns when the store is whole.
	Start(ctx context.Context) error
	// Whole returns nil when all nodes answer and agree.
	Whole(ctx context.Context) error
	// Open connects clients.
	Open(ctx context.Context, v View) (Session, error)
	// Group is the processes, nil before Start.
	Group() *fleet.Group
}

// Session is a store as the load generator sees it.
type Session interface {
	bench.Store
	Close()
}

// Env is what stores need to start.
type Env struct {
	// Dir is where each makes a directory of its name.
	Dir   string
	Ports *fleet.Ports
	// Conns is the number of connections to each node, 0 for each store's best.
	Conns int
}

// conns returns the number of connections to each node of a store whose best that
// is.
func (e Env) conns(best int) int {
	if e.Conns > 0 {
		return e.Conns
	}
	return best
}

// group makes the group of a store of that name.
func (e Env) group(name string) (*fleet.Group, error) {
	return fleet.NewGroup(e.Dir + "/" + name)
}

// ports returns a block of n ports for each node.
func (e Env) ports(n int) ([copies]int, error) {
	var out [copies]int
	for i := range out {
		first, err := e.Ports.Block(n)
		if err != nil {
			return out, err
		}
		out[i] = first
	}
	return out, nil
}

// The number of connections to each node that each store did best with, at 64
// callers on 2 processors (docs/peers.md). Ringtail's is its client's default.
const (
	ringtailConns = 1
	redisConns    = 1
	natsConns     = 1
	etcdConns     = 1
)

// probeKey is put to see whether a store is whole.
const probeKey = "probe"

var (
	// seen is the context of every answer of a store that has none: there is
	// nothing to be looked up before an update.
	seen = client.Context("-")
	// one is what is told of a value: that there is one.
	one = make([]client.Sibling, 1)
)

// answer is what a get or put of another store returns.
func answer(found bool) client.Result {
	r := client.Result{Context: seen}
	if found {
		r.Siblings = one
	}
	return r
}

func unknownView(store string, v View) error { return fmt.Errorf("%s has no view %q", store, v) }
