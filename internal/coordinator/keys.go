package coordinator

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// pageTimeout bounds the wait for one page of keys.
const pageTimeout = 10 * time.Second

// Keys calls fn with every key of bucket that has a value, each once, in no
// order. Each partition is asked of one owner that is up, so a key that only
// other owners have yet is missed. fn's slice is valid until it returns; its
// error ends the listing. The error is of KindUnavailable when no owner of some
// partition can be reached.
func (b Blocking) Keys(ctx context.Context, bucket string, fn func(key []byte) error) error {
	r := b.Cluster.Ring()
	if r == nil {
		return kv.Errorf(kv.KindUnavailable, "list keys", "this node is not in a ring yet")
	}
	l := listing{Coordinator: b.Coordinator, ring: r, bucket: []byte(bucket), fn: fn, down: map[kv.NodeID]bool{}, after: map[kv.Partition][]byte{}}
	for p := range r.Params().Q {
		l.todo = append(l.todo, kv.Partition(p))
	}
	for len(l.todo) > 0 {
		if err := l.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

// listing is the state of one Keys.
type listing struct {
	*Coordinator
	ring   *ring.Ring
	bucket []byte
	fn     func([]byte) error
	todo   []kv.Partition
	down   map[kv.NodeID]bool
	// after is the last key of a partition that was left half-way.
	after map[kv.Partition][]byte
}

// round asks each partition in todo of its first owner that is up; those whose
// owner failed stay in todo.
func (l *listing) round(ctx context.Context) error {
	shares := map[kv.NodeID][]kv.Partition{}
	for _, p := range l.todo {
		id, ok := l.owner(p)
		if !ok {
			return kv.Errorf(kv.KindUnavailable, "list keys", "no owner of partition %d can be reached", p)
		}
		shares[id] = append(shares[id], p)
	}
	l.todo = l.todo[:0]
	for id, parts := range shares {
		left, err := l.ask(ctx, id, parts)
		if err != nil {
			return err
		}
		l.todo = append(l.todo, left...)
	}
	return nil
}

func (l *listing) owner(p kv.Partition) (kv.NodeID, bool) {
	owners := l.ring.Owners(p)
	for _, id := range owners {
		if id == l.Self {
			return id, true
		}
	}
	for _, id := range owners {
		if !l.down[id] && l.Peers.Up(id) {
			return id, true
		}
	}
	return 0, false
}

// ask lists parts at node id, page by page, and returns those that it did not
// finish because the node failed. The error is fn's, ctx's, or the local
// store's.
func (l *listing) ask(ctx context.Context, id kv.NodeID, parts []kv.Partition) ([]kv.Partition, error) {
	for len(parts) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, kv.Wrap(kv.KindTimeout, "list keys", err)
		}
		page, err := l.page(id, wire.ListKeys{Bucket: l.bucket, After: l.after[parts[0]], Partitions: parts})
		if err != nil {
			if id == l.Self {
				return nil, err
			}
			l.down[id] = true
			return parts, nil
		}
		if page.Done > len(parts) || page.Done == 0 && len(page.Keys) == 0 {
			return nil, kv.Errorf(kv.KindInternal, "list keys", "node %v answered a page of %d partitions for %d", id, page.Done, len(parts))
		}
		for _, k := range page.Keys {
			if err := l.fn(k); err != nil {
				return nil, err
			}
		}
		for _, p := range parts[:page.Done] {
			delete(l.after, p)
		}
		parts = parts[page.Done:]
		if page.Partial && len(parts) > 0 && len(page.Keys) > 0 {
			l.after[parts[0]] = append([]byte(nil), page.Keys[len(page.Keys)-1]...)
		}
	}
	return nil, nil
}

func (l *listing) page(id kv.NodeID, m wire.ListKeys) (wire.KeysPage, error) {
	if id == l.Self {
		return l.Local.KeysPage(m)
	}
	w := &pageWaiter{done: make(chan struct{})}
	call := wire.Call{Type: wire.TypeListKeys, Deadline: l.Now().Add(pageTimeout), Level: kv.LevelOf(l.ring.Epoch())}
	l.Peers.Call(id, call, &m, w, 0)
	<-w.done
	return w.page, w.err
}

// pageWaiter is a Completion that a goroutine waits for.
type pageWaiter struct {
	done chan struct{}
	page wire.KeysPage
	err  error
}

// Complete implements wire.Completion.
func (w *pageWaiter) Complete(_ uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	w.err = err
	if err == nil {
		w.page, w.err = wire.ParseKeysPage(append([]byte(nil), resp.Payload...))
	}
	close(w.done)
}
