package antientropy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

var histories = flag.Int("histories", 60, "random histories to play")

// history is a random run of a cluster of six nodes, three of them owners. Each
// write is durable at two places, an owner's copy or a hint, so none may be
// lost; its other messages are under way for as long as the dice say, and may
// arrive more than once.
type history struct {
	*cluster
	*rand.Rand
	log []string
	// superseded are the values that some write supersedes, by key; written are
	// all that are not deletes.
	superseded map[string]bool
	written    map[string][]string
	late       []lateMessage
	clients    [3]client
	epoch      uint64
}

type client struct {
	ctx  object.Object
	key  string
	seen []string
}

type lateMessage struct {
	key string
	obj object.Object
	to  kv.NodeID
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// any returns a node that is up, an owner or none.
func (h *history) any(owner bool) *node {
	for {
		n := h.nodes[h.IntN(len(h.nodes))]
		if n.ring.Owns(0, n.id) == owner {
			return n
		}
	}
}

// read has a client read a key from some nodes, their hints included.
func (h *history) read(cl *client, all bool) {
	cl.key = fmt.Sprintf("k%d", h.IntN(2))
	var acc object.Object
	var under vclock.Floor
	add := func(o object.Object, f vclock.Floor) {
		merged, _, _, err := object.MergeUnder(nil, acc, o, under, f)
		if err != nil {
			h.t.Fatal(err)
		}
		acc, under = merged, vclock.AppendFloorJoin(nil, under, f)
	}
	for _, n := range h.nodes {
		if !all && h.IntN(3) == 0 {
			continue
		}
		o, f, _, _, err := n.store.ReadUnder(^kv.Level(0), 0, key(cl.key), nil)
		if err != nil {
			h.t.Fatal(err)
		}
		add(o, f)
		if o, _, err = n.store.ReadHints(0, key(cl.key), nil); err != nil {
			h.t.Fatal(err)
		}
		add(o, nil)
	}
	cl.ctx, cl.seen = acc, nil
	for s := acc.Siblings(); s.Next(); {
		cl.seen = append(cl.seen, string(s.Value))
	}
}

// write has a client write, at an owner or at a stand-in.
func (h *history) write(cl *client, deleted bool) {
	if cl.key == "" {
		cl.key = "k0"
	}
	value := fmt.Sprintf("%s/%d", cl.key, len(h.log))
	w := object.Write{Now: kv.TimeOf(h.now), Value: []byte(value), Context: object.ContextOf(cl.ctx)}
	if deleted {
		w.Value, w.Deleted = nil, true
	}
	n := h.any(h.IntN(4) > 0)
	owners := slices.Clone(n.ring.Owners(0))
	h.Shuffle(len(owners), func(i, j int) { owners[i], owners[j] = owners[j], owners[i] })
	var o object.Object
	var err error
	if n.ring.Owns(0, n.id) {
		o, _, _, err = n.store.Put(kv.LevelOf(n.ring.Epoch()), 0, key(cl.key), w, nil, durable{})
	} else {
		o, _, _, err = n.store.PutHint(kv.LevelOf(n.ring.Epoch()), owners[0], 0, key(cl.key), w, nil, durable{})
		owners = owners[1:]
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.note("%s: write %s deleted %v at %d", cl.key, value, deleted, n.id)
	for _, v := range cl.seen {
		h.superseded[v] = true
	}
	if !deleted {
		h.written[cl.key] = append(h.written[cl.key], value)
	}
	owners = slices.DeleteFunc(owners, func(id kv.NodeID) bool { return id == n.id })
	h.receive(lateMessage{cl.key, o, owners[0]}, durable{})
	for _, id := range owners {
		h.late = append(h.late, lateMessage{cl.key, o, id})
	}
	cl.seen = nil // its context is as old as before, and it has spent it
	h.read(cl, false)
}

// receive has a message arrive at its owner or at a stand-in for it.
func (h *history) receive(m lateMessage, w storage.Waiter) {
	to := h.node(m.to)
	if to.ring.Owns(0, to.id) && h.IntN(3) > 0 {
		h.note("%s: message arrives at %d", m.key, m.to)
		if err := to.store.Merge(0, key(m.key), m.obj, nil, w); err != nil {
			h.t.Fatal(err)
		}
		return
	}
	n := h.any(false)
	owner := m.to
	if !n.ring.Owns(0, owner) {
		owner = n.ring.Owners(0)[h.IntN(3)]
	}
	h.note("%s: message for %d arrives at %d as a hint", m.key, owner, n.id)
	if err := n.store.MergeHint(owner, 0, key(m.key), m.obj, w); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) step() {
	switch h.IntN(14) {
	case 0, 1, 2:
		h.write(&h.clients[h.IntN(3)], false)
	case 3:
		cl := &h.clients[h.IntN(3)]
		h.read(cl, true)
		h.write(cl, true)
	case 4:
		h.read(&h.clients[h.IntN(3)], false)
	case 5, 6:
		if len(h.late) > 0 {
			i := h.IntN(len(h.late))
			h.receive(h.late[i], nil)
			if h.IntN(3) > 0 {
				h.late = slices.Delete(h.late, i, i+1)
			}
		}
	case 7:
		n := h.nodes[h.IntN(len(h.nodes))]
		h.note("crash %d", n.id)
		n.crash()
	case 8:
		h.note("hints are handed over")
		h.handOver()
	case 9:
		n := h.nodes[h.IntN(len(h.nodes))]
		h.note("%d leads", n.id)
		n.lead()
	case 10:
		h.messages()
	case 11:
		if h.IntN(6) == 0 {
			h.change()
		}
	default:
		h.live(time.Second)
	}
}

// messages loses, doubles and delivers some messages, in any order.
func (h *history) messages() {
	h.pass(500 * time.Millisecond)
	for range h.IntN(30) {
		if len(h.pending) == 0 {
			return
		}
		i := h.IntN(len(h.pending))
		switch m := *h.pending[i]; h.IntN(8) {
		case 0:
			h.pending = slices.Delete(h.pending, i, i+1)
		case 1:
			h.pending = append(h.pending, &m)
			h.deliver(i)
		default:
			h.deliver(i)
		}
	}
}

// change moves one copy to another node, after the others have all.
func (h *history) change() {
	owners := slices.Clone(h.nodes[0].ring.Owners(0))
	owners[h.IntN(3)] = h.any(false).id
	h.epoch++
	h.note("the owners are %v", owners)
	h.move(h.epoch, owners...)
}

// check finds out what is lost, or is back.
func (h *history) check() (broken string) {
	for k, values := range h.written {
		var want []string
		for _, v := range values {
			if !h.superseded[v] {
				want = append(want, v)
			}
		}
		slices.Sort(want)
		for _, id := range h.nodes[0].ring.Owners(0) {
			if got := h.node(id).values(k); got != strings.Join(want, ",") {
				return fmt.Sprintf("node %d has %q of %s, want %q", id, got, k, want)
			}
		}
	}
	return ""
}

// play plays one history, and returns what is wrong in the end.
func play(t *testing.T, seed uint64, omit Omit) (*history, string) {
	cfg := testConfig()
	cfg.Omit = omit
	cfg.MaxMessage = minMessage
	h := &history{
		cluster: newCluster(t, 6, testRing(t, 1, 1, 1, 2, 3), cfg), Rand: rand.New(rand.NewPCG(seed, 1)), epoch: 1,
		superseded: map[string]bool{}, written: map[string][]string{},
	}
	for _, n := range h.nodes {
		n.disk.overtaking = true
	}
	for range 40 + h.IntN(80) {
		h.step()
	}
	h.finish()
	for _, m := range h.late {
		h.receive(m, nil)
	}
	h.finish()
	broken := h.check()
	return h, broken
}

// TestHistories: nothing that was acknowledged is lost, and nothing that was
// superseded comes back, whatever the order of events.
func TestHistories(t *testing.T) {
	for seed := range uint64(*histories) {
		h, broken := play(t, seed, 0)
		if broken != "" {
			t.Fatalf("seed %d: %s\n%s", seed, broken, strings.Join(h.log, "\n"))
		}
		h.equal()
	}
}

// TestHistoriesCatch: the histories notice rules that are left out.
func TestHistoriesCatch(t *testing.T) {
	for _, omit := range []Omit{OmitReports, OmitExchange, OmitMerge} {
		seed := uint64(0)
		for ; seed < 500; seed++ {
			if _, broken := play(t, seed, omit); broken != "" {
				break
			}
		}
		if seed == 500 {
			t.Errorf("no history notices that %#x is left out", omit)
		}
	}
}
