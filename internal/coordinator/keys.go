package coordinator

import (
	"context"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// pageTimeout bounds the wait for one page of keys.
const pageTimeout = 10 * time.Second

// maxBatch bounds the partitions of which the keys are collected at once: each
// key is told once, though several owners have it.
const maxBatch = 16

// maxListedBuckets bounds the buckets of one listing, each of which is kept in
// mind until its end.
const maxListedBuckets = 1 << 18

// Keys calls fn with every key of bucket that has a value, each once, in no
// order. Each partition is asked of as many of its readers as a get of the
// cluster's R: one alone may be new in the ring, and lack most of it. fn's slice
// is valid until it returns; its error ends the listing. The error is of
// KindUnavailable when too few readers of some partition can be reached.
func (b Blocking) Keys(ctx context.Context, bucket string, fn func(key []byte) error) error {
	if err := kv.CheckBucket(bucket); err != nil {
		return err
	}
	return b.list(ctx, []byte(bucket), fn)
}

// Buckets calls fn with the name of every bucket that has a key with a value, as
// Keys does with keys. Each partition is read from end to end.
func (b Blocking) Buckets(ctx context.Context, fn func(name []byte) error) error {
	told := map[string]struct{}{}
	return b.list(ctx, nil, func(name []byte) error {
		if _, ok := told[string(name)]; ok {
			return nil
		}
		if len(told) == maxListedBuckets {
			return kv.Errorf(kv.KindTooLarge, "list buckets", "there are more than %d", maxListedBuckets)
		}
		told[string(name)] = struct{}{}
		return fn(name)
	})
}

// list lists the keys of bucket, or the buckets where that is empty: these only
// once for each batch.
func (b Blocking) list(ctx context.Context, bucket []byte, fn func([]byte) error) error {
	cur := b.Cluster.Current()
	if cur == nil {
		return kv.Errorf(kv.KindUnavailable, "list keys", "this node is not in a ring yet")
	}
	l := listing{Coordinator: b.Coordinator, need: cur.Ring.Params().R, bucket: bucket, fn: fn, down: map[kv.NodeID]bool{}}
	for p := range cur.Ring.Params().Q {
		l.todo = append(l.todo, kv.Partition(p))
	}
	for len(l.todo) > 0 {
		if err := l.batch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// KeysOf is Keys for the keys of one partition.
func (b Blocking) KeysOf(ctx context.Context, bucket string, p kv.Partition, fn func(key []byte) error) error {
	cur := b.Cluster.Current()
	if cur == nil {
		return kv.Errorf(kv.KindUnavailable, "list keys", "this node is not in a ring yet")
	}
	if int(p) >= cur.Ring.Params().Q {
		return kv.Errorf(kv.KindInvalid, "list keys", "partition %d of %d", p, cur.Ring.Params().Q)
	}
	l := listing{
		Coordinator: b.Coordinator, need: cur.Ring.Params().R, bucket: []byte(bucket), fn: fn, down: map[kv.NodeID]bool{},
		todo: []kv.Partition{p},
	}
	return l.batch(ctx)
}

// listing is the state of one Keys.
type listing struct {
	*Coordinator
	// need is how many readers are asked of each partition.
	need   int
	bucket []byte
	fn     func([]byte) error
	todo   []kv.Partition
	down   map[kv.NodeID]bool
}

// batch lists the first partitions of todo that have the same readers, and takes
// them out. What a node refuses because others are to be read by then it lists
// once more, of those.
func (l *listing) batch(ctx context.Context) error {
	told := map[string]struct{}{}
	first, rest := l.group(l.todo)
	parts := first.parts
	l.todo = rest
	for range maxRetries {
		left := slices.Clone(parts)
		var err error
		for len(left) > 0 && err == nil {
			var g group
			g, left = l.group(left)
			err = l.read(ctx, g, told)
		}
		if !isStale(err) {
			return err
		}
		l.await(ctx)
	}
	return kv.Errorf(kv.KindStaleRing, "list keys", "the owners of partition %d change", parts[0])
}

// await gives news of the ring some time to come, after a refusal.
func (l *listing) await(ctx context.Context) {
	t := time.NewTimer(l.cfg.StandInAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// group is partitions with the same readers at the same level.
type group struct {
	level   kv.Level
	readers []kv.NodeID
	parts   []kv.Partition
}

// group takes the first of parts out, with those that can be asked together with
// it. The order of parts is kept, and their room used.
func (l *listing) group(parts []kv.Partition) (g group, left []kv.Partition) {
	cur := l.Cluster.Current()
	left = parts[:0]
	for i, p := range parts {
		if len(g.parts) == maxBatch {
			return g, append(left, parts[i:]...)
		}
		v := cur.View(p)
		if i == 0 {
			g.level, g.readers = v.Level, v.Readers
		}
		if v.Level == g.level && sameNodes(v.Readers, g.readers) {
			g.parts = append(g.parts, p)
		} else {
			left = append(left, p)
		}
	}
	return g, left
}

func sameNodes(a, b []kv.NodeID) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id kv.NodeID) bool { return !slices.Contains(b, id) })
}

// read asks readers of a group until enough have answered, this node first.
func (l *listing) read(ctx context.Context, g group, told map[string]struct{}) error {
	readers := slices.Clone(g.readers)
	if i := slices.Index(readers, l.Self); i > 0 {
		readers[0], readers[i] = readers[i], readers[0]
	}
	answered, need := 0, min(l.need, len(readers))
	for _, id := range readers {
		if answered == need {
			break
		}
		if id != l.Self && (l.down[id] || !l.Peers.Up(id)) {
			continue
		}
		ok, err := l.ask(ctx, id, g.level, g.parts, told)
		if isStale(err) {
			l.outdated(id, readers, err)
		}
		if err != nil {
			return err
		}
		if ok {
			answered++
		}
	}
	if answered < need {
		return kv.Errorf(kv.KindUnavailable, "list keys", "%d of %d owners of partition %d can be reached, %d are needed", answered, len(readers), g.parts[0], need)
	}
	return nil
}

// outdated asks for news of the ring after node id has refused: itself, or, where
// this node's own copy did, the others.
func (l *listing) outdated(id kv.NodeID, readers []kv.NodeID, err error) {
	for _, of := range readers {
		if of != l.Self && (of == id || id == l.Self && l.Peers.Up(of)) {
			l.refresh(of, err)
		}
	}
}

// ask lists parts at node id, page by page, and tells whether it did to the end.
// The error is fn's, ctx's, the local store's, or tells that the ring has changed.
func (l *listing) ask(ctx context.Context, id kv.NodeID, level kv.Level, parts []kv.Partition, told map[string]struct{}) (bool, error) {
	var after []byte
	for len(parts) > 0 {
		if err := ctx.Err(); err != nil {
			return false, kv.Wrap(kv.KindTimeout, "list keys", err)
		}
		page, err := l.page(id, level, wire.ListKeys{Bucket: l.bucket, After: after, Partitions: parts})
		switch {
		case err == nil:
		case id == l.Self || isStale(err):
			return false, err
		default:
			l.down[id] = true
			return false, nil
		}
		if page.Done > len(parts) || page.Done == 0 && len(page.Keys) == 0 {
			return false, kv.Errorf(kv.KindInternal, "list keys", "node %v answered a page of %d partitions for %d", id, page.Done, len(parts))
		}
		if err := l.tell(page.Keys, told); err != nil {
			return false, err
		}
		if parts, after = parts[page.Done:], nil; page.Partial && len(page.Keys) > 0 {
			after = append(after, page.Keys[len(page.Keys)-1]...)
		}
	}
	return true, nil
}

// tell passes keys on that were not told before.
func (l *listing) tell(keys [][]byte, told map[string]struct{}) error {
	for _, k := range keys {
		if _, ok := told[string(k)]; ok {
			continue
		}
		told[string(k)] = struct{}{}
		if err := l.fn(k); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) page(id kv.NodeID, level kv.Level, m wire.ListKeys) (wire.KeysPage, error) {
	if id == l.Self {
		return l.Local.KeysPage(level, m)
	}
	w := &pageWaiter{done: make(chan struct{})}
	call := wire.Call{Type: wire.TypeListKeys, Deadline: l.Now().Add(pageTimeout), Level: level}
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
