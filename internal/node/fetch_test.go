package node

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage/logstore"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// answered is a Responder that keeps what it is sent, one line for each answer.
type answered struct {
	mu    sync.Mutex
	lines map[uint64]string
}

func (a *answered) Respond(id uint64, _ wire.Type, flags wire.Flags, m wire.Appender) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := "answered"
	if flags&wire.FlagError != 0 {
		err := wire.ParseError(m.AppendTo(nil))
		line = fmt.Sprintf("%v, applied %v", kv.KindOf(err), kv.AppliedOf(err))
	}
	if a.lines == nil {
		a.lines = map[uint64]string{}
	}
	a.lines[id] += line
}

func (a *answered) of(id uint64) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lines[id]
}

func (a *answered) count(line string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		if l == line {
			n++
		}
	}
	return n
}

// TestFetches: so many are served at once, so many more wait, and the rest is
// refused. Each has a payload of its own, and the time of its first look.
func TestFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stage := new(metrics.Stage)
		f := newFetches(stage)
		began := time.Now()
		go_, to := make(chan struct{}), new(answered)
		var mu sync.Mutex
		serving, most := 0, 0
		serve := func(req wire.Request) {
			mu.Lock()
			serving++
			most = max(most, serving)
			mu.Unlock()
			<-go_
			if string(req.Payload) != fmt.Sprint(req.Reply.ID) || !req.Began.Equal(began) {
				t.Errorf("request %d: payload %q, began %v", req.Reply.ID, req.Payload, req.Began)
			}
			mu.Lock()
			serving--
			mu.Unlock()
			req.Reply.Send(wire.Raw(nil))
		}
		payload := make([]byte, 0, 100)
		ask := func(id uint64, patience time.Duration, serve func(wire.Request)) {
			payload = fmt.Append(payload[:0], id)
			f.later(wire.Request{Payload: payload, Deadline: began.Add(patience), Reply: wire.Reply{To: to, ID: id}}, serve)
		}
		for id := range uint64(maxFetchers) {
			ask(id, time.Minute, serve)
		}
		synctest.Wait()
		for id := range uint64(maxFetches - maxFetchers) {
			ask(maxFetchers+id, time.Duration(1+id%2*59)*time.Minute, serve)
		}
		synctest.Wait()
		if most != maxFetchers || stage.Depth() != maxFetches || to.count("answered") != 0 {
			t.Errorf("%d served at once, %d in the stage, %d answered", most, stage.Depth(), to.count("answered"))
		}
		ask(1<<32, time.Hour, func(wire.Request) { t.Error("served what was refused") })
		if got := to.of(1 << 32); got != "overloaded, applied no" || stage.Refused.Load() != 1 || stage.Depth() != maxFetches {
			t.Errorf("one more: %q, %d refused, %d in the stage", got, stage.Refused.Load(), stage.Depth())
		}
		time.Sleep(time.Minute)
		close(go_)
		synctest.Wait()
		late := (maxFetches - maxFetchers) / 2
		if n := to.count("timeout, applied no"); n != late || to.count("answered") != maxFetches-late || stage.Depth() != 0 || f.bytes.Load() != 0 {
			t.Errorf("%d were too late, want %d; %d answered; %d in the stage, with %d bytes", n, late, to.count("answered"), stage.Depth(), f.bytes.Load())
		}
	})
}

// TestFetchBytes: payloads are bounded, however few they are.
func TestFetchBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFetches(new(metrics.Stage))
		to, go_ := new(answered), make(chan struct{})
		serve := func(req wire.Request) { <-go_; req.Reply.Send(wire.Raw(nil)) }
		payload := make([]byte, maxFetchBytes/4)
		for id := range uint64(5) {
			f.later(wire.Request{Payload: payload, Deadline: time.Now().Add(time.Hour), Reply: wire.Reply{To: to, ID: id}}, serve)
		}
		close(go_)
		synctest.Wait()
		if to.of(4) != "overloaded, applied no" || to.count("answered") != 4 || f.bytes.Load() != 0 {
			t.Errorf("answers %v, %d bytes are left", to.lines, f.bytes.Load())
		}
	})
}

type alone struct{ ring *ring.Ring }

func (a alone) Current() *ring.Current { return &ring.Current{Ring: a.ring} }

type numbers struct{ n uint64 }

func (s *numbers) Next() (kv.NodeID, uint64, error) { s.n++; return 1, s.n, nil }

// TestDiskHoldsNobodyUp: while the disk is stuck, what is in memory is served, over
// the same connection, and what is not is served when it is not stuck any more.
func TestDiskHoldsNobodyUp(t *testing.T) {
	cold := storagetest.NewColdFS(vfs.NewMem())
	cfg := logstore.Default()
	cfg.FS, cfg.Dir, cfg.Logger, cfg.CacheBytes, cfg.ReserveBytes = cold, "data", slog.New(slog.DiscardHandler), 0, 0
	engine, err := logstore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	r, err := ring.Claim(nil, ring.Params{N: 1, R: 1, W: 1, Q: 8}, 1, []ring.Node{{ID: 1, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	stored := replica.Default()
	stored.MaxHeadBytes = 0
	store, err := replica.Open(stored, 1, engine, &numbers{1}, alone{r}, 1)
	if err != nil {
		t.Fatal(err)
	}
	level := kv.LevelOf(r.Epoch())
	put := func(name string) kv.Key {
		k := kv.AppendKey(nil, "b", []byte(name))
		if _, _, _, err := store.Put(level, r.PartitionOf(k), k, object.Write{Value: []byte("v")}, nil, nil); err != nil {
			t.Fatal(err)
		}
		return k
	}
	old := []kv.Key{put("a"), put("b"), put("c")}
	if err := engine.Sync(); err != nil {
		t.Fatal(err)
	}
	cold.Freeze()
	cold.Hold()
	fresh := put("fresh") // not in a file yet

	n := &Node{store: store, metrics: metrics.NewNode(time.Now())}
	n.fetches = newFetches(&n.metrics.Stages[metrics.StageDisk])
	to := new(answered)
	ask := func(id uint64, typ wire.Type, m wire.Appender) {
		n.Handle(wire.Request{
			Type: typ, Level: level, Deadline: time.Now().Add(time.Hour), Payload: m.AppendTo(nil), Reply: wire.Reply{To: to, ID: id, Type: typ},
		})
	}
	o, _, err := store.Read(r.PartitionOf(fresh), fresh, nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, k := range old {
		ask(uint64(id), wire.TypeReplicaRead, &wire.ReplicaRead{Key: k})
	}
	ask(3, wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckApplied, Key: old[0], Object: o.Bytes()})
	ask(4, wire.TypeReplicaRead, &wire.ReplicaRead{Key: fresh})
	ask(5, wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckApplied, Key: kv.AppendKey(nil, "b", []byte("new")), Object: o.Bytes()})
	cold.Await(4)
	for id, want := range []string{"", "", "", "", "answered", "answered"} {
		if got := to.of(uint64(id)); got != want {
			t.Errorf("request %d, while the disk is stuck: %q, want %q", id, got, want)
		}
	}
	if depth := n.metrics.Stages[metrics.StageDisk].Depth(); depth != 4 {
		t.Errorf("%d in the stage", depth)
	}
	cold.Release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n.fetches.waiting() > 0 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	for id := range uint64(6) {
		if got := to.of(id); got != "answered" {
			t.Errorf("request %d: %q", id, got)
		}
	}
}
