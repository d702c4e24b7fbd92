package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// adding returns a merge that adds an item to sets.
func adding(item string) func([][]byte) ([]byte, error) {
	return func(siblings [][]byte) ([]byte, error) {
		items := []string{item}
		for _, s := range siblings {
			items = append(items, strings.Fields(string(s))...)
		}
		slices.Sort(items)
		return []byte(strings.Join(slices.Compact(items), " ")), nil
	}
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := must(t)
		b := newCluster(t, 3).dial().Bucket("b")
		first := ok(b.Update(background, "k", adding("one"), client.ContentType("text/plain")))
		r := ok(b.Get(background, "k"))
		if values(r) != "one" || r.Siblings[0].ContentType != "text/plain" || len(first.Context) == 0 {
			t.Errorf("of a key without a value: %+v, then %+v", first, r)
		}
		ok(b.Put(background, "k", nil, []byte("two")))
		ok(b.Update(background, "k", adding("three"), client.ReturnBody(true)))
		if r := ok(b.Get(background, "k")); values(r) != "one three two" {
			t.Errorf("of two siblings: %+v", r)
		}
		ok(b.Delete(background, "k", ok(b.Get(background, "k")).Context))
		ok(b.Update(background, "k", adding("four")))
		if r := ok(b.Get(background, "k")); values(r) != "four" || r.Deleted {
			t.Errorf("of a deleted key: %+v", r)
		}
	})
}

// TestUpdateMergesWhatComesUpMeanwhile: also with the body of the put shown.
func TestUpdateMergesWhatComesUpMeanwhile(t *testing.T) {
	for _, body := range []bool{false, true} {
		for name, other := range map[string]func(*client.Bucket, client.Context) (client.Result, error){
			"put": func(b *client.Bucket, c client.Context) (client.Result, error) {
				return b.Put(background, "k", c, []byte("other"))
			},
			"delete": func(b *client.Bucket, c client.Context) (client.Result, error) { return b.Delete(background, "k", c) },
		} {
			t.Run(fmt.Sprintf("%s, body %v", name, body), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ok := must(t)
					b := newCluster(t, 1).dial().Bucket("b")
					seen := ok(b.Put(background, "k", nil, []byte("base"))).Context
					rounds := 0
					ok(b.Update(background, "k", func(siblings [][]byte) ([]byte, error) {
						if rounds++; rounds == 1 {
							ok(other(b, seen))
						}
						return adding("mine")(siblings)
					}, client.ReturnBody(body)))
					r := ok(b.Get(background, "k"))
					if rounds != 2 || len(r.Siblings) != 1 || r.Deleted || !strings.Contains(values(r), "mine") ||
						name == "put" && !strings.Contains(values(r), "other") {
						t.Errorf("after %d rounds: %+v", rounds, r)
					}
				})
			})
		}
	}
}

// TestNoUpdateIsLost: many add to one set at once, over nodes that lose
// connections and refuse; what each was told is stored is in it.
func TestNoUpdateIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.setRing(ringOf(7, 3, 3, "md5"))
		b := c.dial().Bucket("b")
		c.warm(t, b)
		for i, n := range c.nodes {
			requests := 0
			n.setFault(func(rq wire.Request) bool {
				switch requests++; {
				case requests%17 == 0 && rq.Type == wire.TypePut:
					n.serve(deaf(rq))
					rq.Reply.Fail(&kv.Error{Op: "put", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown})
					return true
				case requests%11 == i:
					rq.Reply.Fail(kv.Errorf(kv.KindStorage, "put", "as asked for"))
					return true
				}
				return false
			})
		}
		var callers sync.WaitGroup
		for i := range 8 {
			callers.Go(func() {
				for j := range 5 {
					if _, err := b.Update(background, "k", adding(fmt.Sprintf("%d/%d", i, j))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		callers.Wait()
		for _, n := range c.nodes {
			n.setFault(nil)
		}
		must(t)(b.Update(background, "k", adding("last")))
		r := must(t)(b.Get(background, "k"))
		if got := strings.Fields(values(r)); len(got) != 41 || len(r.Siblings) != 1 {
			t.Errorf("%d items of 41 in %d siblings: %v", len(got), len(r.Siblings), got)
		}
	})
}

// deaf returns rq with nobody to hear the answer.
func deaf(rq wire.Request) wire.Request {
	rq.Reply.To = silent{}
	return rq
}

type silent struct{}

func (silent) Respond(uint64, wire.Type, wire.Flags, wire.Appender) {}

// TestUpdateEnds: with merge's error as it is, with its context, after its rounds,
// and at once when another round could do no better.
func TestUpdateEnds(t *testing.T) {
	mine := errors.New("mine")
	refused := &client.Error{Op: "get", Kind: client.KindUnavailable, Err: mine}
	for name, c := range map[string]struct {
		merge   func(*client.Bucket) error
		fault   func(wire.Request) bool
		timeout time.Duration
		kind    client.Kind
		applied client.Applied
		rounds  int
	}{
		"merge":                               {merge: func(*client.Bucket) error { return mine }, rounds: 1},
		"merge with an error of this package": {merge: func(*client.Bucket) error { return refused }, rounds: 1},
		"contended":                           {merge: interfere, kind: client.KindTooManySiblings, applied: client.AppliedUnknown, rounds: 64},
		"deadline":                            {merge: interfere, timeout: time.Second, kind: client.KindTimeout, applied: client.AppliedUnknown},
		"invalid":                             {fault: refuse(kv.Errorf(kv.KindInvalid, "get", "no")), kind: client.KindInvalid},
		"unavailable":                         {fault: refuse(kv.Errorf(kv.KindUnavailable, "get", "no")), kind: client.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 1)
				b := cl.dial().Bucket("b")
				cl.nodes[0].setFault(c.fault)
				ctx := background
				if c.timeout > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(background, c.timeout)
					defer cancel()
				}
				rounds := 0
				_, err := b.Update(ctx, "k", func(siblings [][]byte) ([]byte, error) {
					rounds++
					return []byte("v"), c.merge(b)
				})
				if c.rounds > 0 && rounds != c.rounds {
					t.Errorf("%d rounds, want %d", rounds, c.rounds)
				}
				if c.kind == "" {
					if err != mine && err != error(refused) {
						t.Errorf("the error is %v", err)
					}
					return
				}
				wantError(t, err, c.kind, c.applied)
			})
		})
	}
}

// interfere writes the key that an Update of it is about to write.
func interfere(b *client.Bucket) error {
	seen, err := b.Get(background, "k")
	if err == nil {
		_, err = b.Put(background, "k", seen.Context, []byte("other"))
	}
	return err
}
