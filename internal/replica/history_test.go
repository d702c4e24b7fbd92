package replica

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A history is one key on three nodes, a, b and c, that lose parts of what they
// knew. It keeps what every dot was issued for, and what must not be lost.
type history struct {
	t       testing.TB
	off     rule
	newDisk func() disk
	nodes   map[string]*node
	// dots tells what value each dot that was ever seen stands for.
	dots map[vclock.Dot]string
	puts []done
	// floor is what the last low collected.
	floor vclock.Floor
	// broken is the first promise that did not hold.
	broken error
	ids    kv.NodeID
}

// done is a put: acknowledged, with the object that it made, or failed.
type done struct {
	name    string
	failed  bool
	deleted bool
	obj     object.Object
	dot     vclock.Dot
	lww     bool
	// seen is the context that it came with.
	seen vclock.Clock
}

// node is one process and its data directory.
type node struct {
	dir
	engine *lyingEngine
	store  *Store
	source *sequence
	backup *dir
}

// dir is a data directory: the engine's disk, the node's id, and the highest
// sequence number that is reserved.
type dir struct {
	disk     disk
	id       kv.NodeID
	reserved *uint64
}

// rule is one of the rules that keep a dot from being issued twice.
type rule string

const (
	onlyWritesSetOwn rule = "only a local write sets a record's actor"
	newBoots         rule = "no actor from before the process started is used"
	newAfterFailure  rule = "no actor is used after its write has failed"
	counterBeside    rule = "the counter stands beside the actor"
	ownActors        rule = "each record has an actor of its own"
	reservedAhead    rule = "sequence numbers are reserved before they are used"
	newIDs           rule = "a wiped or restored directory is a new node"
	floorReset       rule = "a copy that is dropped loses its floor"
	dataFirst        rule = "data is durable before its floor"
	floorDrops       rule = "only what the floor covers is dropped"
	noRule           rule = ""
	reserveBlock          = 10
	historyPartition      = kv.Partition(5)
)

var historyKey = kv.AppendKey(nil, "bucket", []byte("key"))

// omitted are the rules that a Store can leave out.
var omitted = map[rule]Omit{
	onlyWritesSetOwn: OmitOwnByWrites,
	newBoots:         OmitNewBoots,
	newAfterFailure:  OmitNewAfterFailure,
	counterBeside:    OmitCounterBeside,
	ownActors:        OmitOwnActors,
	floorReset:       OmitFloorReset,
	dataFirst:        OmitDataBeforeFloor,
	floorDrops:       OmitFloor,
}

// sequence is a node's Source.
type sequence struct {
	id       kv.NodeID
	last     uint64
	reserved *uint64
	// late reserves numbers only after they were used.
	late bool
}

// Next implements Source.
func (s *sequence) Next() (kv.NodeID, uint64, error) {
	s.last++
	if s.last > *s.reserved && (!s.late || s.last%reserveBlock == 0) {
		*s.reserved = s.last
		if !s.late {
			*s.reserved += reserveBlock - 1
		}
	}
	return s.id, s.last, nil
}

func newHistory(t testing.TB, off rule, newDisk func() disk) *history {
	h := &history{t: t, off: off, newDisk: newDisk, nodes: map[string]*node{}, dots: map[vclock.Dot]string{}}
	for _, name := range []string{"a", "b", "c"} {
		n := &node{dir: h.emptyDir()}
		h.nodes[name] = n
		h.start(n)
	}
	t.Cleanup(func() {
		for _, n := range h.nodes {
			_ = n.engine.Close()
		}
	})
	return h
}

func (h *history) emptyDir() dir {
	h.ids++
	return dir{disk: h.newDisk(), id: h.ids, reserved: new(uint64)}
}

// start starts a process on n's directory.
func (h *history) start(n *node) {
	n.engine = newLyingEngine(n.disk.open(h.t))
	n.source = &sequence{id: n.id, last: *n.reserved, reserved: n.reserved, late: h.off == reservedAhead}
	n.store = mustOpen(h.t, omitted[h.off], n.id, n.engine, n.source, rings{}, n.source.last+1)
}

// replace stops n's process and starts one on d.
func (h *history) replace(n *node, d dir) {
	if err := n.engine.Close(); err != nil {
		h.t.Fatal(err)
	}
	n.dir = d
	h.start(n)
}

// spotOf is the place of the data record, or of a hint record.
func (n *node) spotOf(hint bool) spot {
	if !hint {
		part, err := n.store.part(historyPartition)
		if err != nil {
			panic(err)
		}
		return new(work).data(part, historyKey)
	}
	p := storage.NewPrefix(storage.SpaceHints, historyPartition)
	return spot{shelf: pile{}, at: append(p[:], historyKey...), k: historyKey}
}

// pile is a shelf that counts nothing.
type pile struct{}

func (pile) under() *floor                { return nil }
func (pile) serves(kv.Level) error        { return nil }
func (pile) admit(entry) error            { return nil }
func (pile) unreadable(cause error) error { return cause }
func (pile) changed(kv.Key, entry, entry) {}

// command is one line of a history: a verb, its node, a put's name, and options.
type command struct {
	verb, node, name string
	hint, lww, cap   bool
	seen             string
}

func parseCommand(line string) (command, error) {
	f := strings.Fields(line)
	if len(f) < 2 {
		return command{}, fmt.Errorf("%q is no command", line)
	}
	c := command{verb: f[0], node: f[1]}
	for i := 2; i < len(f); i++ {
		switch f[i] {
		case "hint":
			c.hint = true
		case "lww":
			c.lww = true
		case "cap":
			c.cap = true
		case "seen":
			c.seen = f[i+1]
			i++
		default:
			c.name = f[i]
		}
	}
	return c, nil
}

// do carries out one command, and looks at every copy afterwards.
func (h *history) do(c command) {
	n := h.nodes[c.node]
	switch c.verb {
	case "put", "fail", "del":
		n.engine.lie = c.verb == "fail"
		h.put(n, c)
	case "send": // a node is sent the object of the put of that name
		if p := h.find(c.name); p != nil {
			h.merge(n, c.hint, p.obj, nil)
		}
	case "copy": // a node is sent the copy of the node of that name
		from := h.nodes[c.name]
		f, _ := from.store.Floor(historyPartition)
		h.merge(n, c.hint, h.read(from, false), f)
	case "sync":
		h.must(n.engine.Sync())
	case "crash":
		h.replace(n, dir{n.disk.crashed(), n.id, n.reserved})
	case "wipe":
		h.replace(n, h.otherDir(n, h.emptyDir()))
	case "backup":
		h.must(n.engine.Sync())
		reserved := *n.reserved
		n.backup = &dir{n.disk.copied(), n.id, &reserved}
	case "restore":
		if b := n.backup; b != nil {
			h.ids++
			reserved := *b.reserved
			h.replace(n, h.otherDir(n, dir{b.disk.copied(), h.ids, &reserved}))
		}
	case "low": // the sequences below which all writes of all nodes are done
		h.floor = h.lows()
	case "floor": // a node raises its floor to what the last low collected
		h.must(n.store.RaiseFloor([]kv.Partition{historyPartition}, h.floor))
	case "reap":
		upkeep(h.t, n.store)
	case "leave": // a node drops a copy that it does not own any more
		_, _, changes := n.store.Tree(historyPartition)
		_, err := n.store.DropCopy(historyPartition, changes)
		h.must(err)
	case "gone", "held": // the value of that name is gone from a node, or there
		if held := holds(h.read(n, false), c.name); held != (c.verb == "held") {
			h.fail("%s is held at %s: %v", c.name, c.node, held)
		}
	case "drop":
		h.must(n.engine.Drop(storage.NewPrefix(storage.SpaceData, historyPartition).Range()))
		n.spotOf(false).head.part.drops.Add(1)
	default:
		h.t.Fatalf("%q is no verb", c.verb)
	}
	for _, n := range h.nodes {
		h.look(h.read(n, false))
		h.look(h.read(n, true))
	}
}

// otherDir is d, a directory of another node unless that rule is off.
func (h *history) otherDir(n *node, d dir) dir {
	if h.off == newIDs {
		d.id = n.id
	}
	return d
}

func (h *history) put(n *node, c command) {
	w := object.Write{Now: 1000, Value: []byte(c.name)}
	if c.verb == "del" {
		w.Deleted, w.Value = true, nil
	}
	if c.lww {
		w.Merge = kv.MergeLWW
	}
	if c.cap {
		w.MaxClock = 1
	}
	if p := h.find(c.seen); p != nil {
		w.Context = object.ContextOf(p.obj)
	}
	o, _, _, err := n.store.put(levelOf(n.store), 0, new(work), n.spotOf(c.hint), w, nil, nil)
	if failed := c.verb == "fail"; failed != (err != nil) {
		h.t.Fatalf("%s %s: %v", c.verb, c.name, err)
	}
	d := done{name: c.name, failed: err != nil, deleted: w.Deleted, obj: o, lww: c.lww, seen: w.Context.Clock}
	for s := o.Siblings(); s.Next(); {
		if s.Seq == n.source.last {
			d.dot = s.Dot
		}
	}
	h.puts = append(h.puts, d)
	h.look(o)
}

func (h *history) merge(n *node, hint bool, o object.Object, f vclock.Floor) {
	if o.Bytes() != nil || len(f) > 0 {
		h.must(n.store.mergeFrom(new(work), n.spotOf(hint), o, sender{level: unplanned, floor: f}, nil))
	}
}

// lows asks every node for its low-water mark.
func (h *history) lows() vclock.Floor {
	var all vclock.Floor
	for _, name := range []string{"a", "b", "c"} {
		low, err := h.nodes[name].store.Low()
		h.must(err)
		all = vclock.AppendFloorJoin(nil, all, vclock.AppendFloorEntry(nil, h.nodes[name].id, low))
	}
	return all
}

func (h *history) read(n *node, hint bool) object.Object {
	rec, _, err := n.store.read(n.spotOf(hint).at, nil, false)
	if err != nil {
		// Two siblings with one dot are no object.
		h.fail("%v", err)
	}
	return rec.obj
}

// look holds o's dots against all that were seen before.
func (h *history) look(o object.Object) {
	for s := o.Siblings(); s.Next(); {
		value := string(s.Value)
		if other, ok := h.dots[s.Dot]; ok && other != value {
			h.fail("dot %v is issued twice, for %s and %s", s.Dot, other, value)
		}
		h.dots[s.Dot] = value
	}
}

// end merges all that is about, and looks for what was acknowledged and that no
// put has superseded, and for what was deleted. Every put is about for ever, in a
// message to each node.
func (h *history) end() error {
	var all object.Object
	var floor vclock.Floor
	for _, name := range []string{"a", "b", "c"} {
		n := h.nodes[name]
		f, _ := n.store.Floor(historyPartition)
		o := h.join(h.read(n, false), h.read(n, true), f, nil)
		for _, p := range h.puts {
			o = h.join(o, p.obj, f, nil)
		}
		all = h.join(all, o, floor, f)
		floor = vclock.AppendFloorJoin(nil, floor, f)
	}
	h.look(all)
	for _, p := range h.puts {
		switch {
		case p.failed || p.lww:
		case !p.deleted && !h.superseded(p) && !holds(all, p.name):
			h.fail("%s is lost", p.name)
		case h.deleted(p) && holds(all, p.name):
			h.fail("%s has come back", p.name)
		}
	}
	return h.broken
}

// join merges b, whose holder has floor fb, into a.
func (h *history) join(a, b object.Object, fa, fb vclock.Floor) object.Object {
	o, _, _, err := object.MergeUnder(nil, a, b, fa, fb)
	h.must(err)
	return o
}

// deleted tells whether a delete that was acknowledged had seen p.
func (h *history) deleted(p done) bool {
	for _, by := range h.puts {
		if by.deleted && !by.failed && by.seen.Covers(p.dot) {
			return true
		}
	}
	return false
}

// superseded tells whether some put supersedes p, also one that failed, for it
// may come out of the log. An lww put may supersede all that its node holds.
func (h *history) superseded(p done) bool {
	for _, by := range h.puts {
		if by.lww || by.seen.Covers(p.dot) {
			return true
		}
	}
	return false
}

func holds(o object.Object, value string) bool {
	for s := o.Siblings(); s.Next(); {
		if string(s.Value) == value {
			return true
		}
	}
	return false
}

// find returns the acknowledged put of that name, nil when there is none.
func (h *history) find(name string) *done {
	for i := range h.puts {
		if h.puts[i].name == name && !h.puts[i].failed {
			return &h.puts[i]
		}
	}
	return nil
}

func (h *history) must(err error) {
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) fail(format string, args ...any) {
	if h.broken == nil {
		h.broken = fmt.Errorf(format, args...)
	}
}

// play plays a script of commands and returns the first promise that it broke.
func play(t testing.TB, script string, off rule, newDisk func() disk) error {
	h := newHistory(t, off, newDisk)
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		c, err := parseCommand(line)
		if err != nil {
			t.Fatal(err)
		}
		if h.do(c); h.broken != nil {
			return h.broken
		}
	}
	return h.end()
}

// randomScript is a history of 40 commands.
func randomScript(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 0))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	var b strings.Builder
	puts := 0
	for range 40 {
		node := pick("a", "b", "c")
		earlier := func() string { return fmt.Sprintf("v%d", rng.IntN(puts+1)) }
		switch verb := pick("put", "put", "put", "put", "fail", "send", "send", "send", "copy", "sync", "crash", "crash", "wipe", "backup", "restore", "drop"); verb {
		case "put", "fail":
			seen := earlier()
			puts++
			fmt.Fprintf(&b, "%s %s v%d %s %s %s", verb, node, puts, pick("", "", "hint"), pick("", "", "cap"), pick("", "", "seen "+seen))
			if seed%4 == 0 {
				b.WriteString(pick(" lww", ""))
			}
			b.WriteByte('\n')
		case "send":
			fmt.Fprintf(&b, "send %s %s %s\n", node, earlier(), pick("", "", "hint"))
		case "copy":
			fmt.Fprintf(&b, "copy %s %s\n", node, pick("a", "b", "c"))
		default:
			fmt.Fprintf(&b, "%s %s\n", verb, node)
		}
	}
	return b.String()
}
