package antientropy

import (
	"math/bits"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// purpose is why an exchange takes place, the more urgent first. It travels:
// append only.
type purpose uint8

const (
	forSweep purpose = iota
	forRefill
	forFill
	forLeftover
	forCycle
)

var purposeNames = [...]string{"sweep", "refill", "fill", "left-over", "cycle"}

// String returns the purpose as it stands in answers.
func (p purpose) String() string { return purposeNames[p] }

// job is an exchange to be conducted.
type job struct {
	purpose
	peer kv.NodeID
	// parts are ascending; nil stands for all that both nodes own.
	parts []kv.Partition
	// leg is the sweep's, nil for other purposes.
	leg *leg
	// levels are, for a fill, those at which the peer's copies must be sealed.
	levels []kv.Level
}

// exchange is the side of an exchange that asks. start and step return the next
// request, nil when it is over; step is given the answer to the last one. It has
// one request under way at a time.
//
// A partition is exchanged fully, and listed as complete, when each of the two
// copies has all that the other one had when the exchange began. Writes go on
// meanwhile, at both. That does no harm: each key is compared at some moment
// after the beginning, either by itself or in a hash that covers it and was
// equal, and what a copy has seen only grows. What was written meanwhile may or
// may not be exchanged. So no moment is needed at which both are equal, and none
// at which all keys are looked at.
//
// A copy that is refilled only takes: what it has left cannot be read until it
// is whole again. So does one that is filled in a step of a change (steps.go):
// its source may be about to be dropped. A left-over copy only gives.
//
// What can go wrong is that a copy loses data while it is compared. Then hashes
// may be equal that would not have been, and what is missing would be taken for
// what was seen and forgotten. Hence the tokens: each side notes its floor
// before it looks, and looks again whether it still holds before it says
// anything; and hence the standing, which must be the same in all answers.
type exchange struct {
	*local
	job
	// all tells that the partitions are those that both nodes own.
	all     bool
	era     kv.Level
	began   time.Time
	copies  []copyPair
	pending kind

	// The peer's standing in its first answer.
	theirs standing
	heard  bool

	// todo are the places in copies that are still to be compared, batch those
	// whose branches are, adopt those whose floors are to be handed over.
	todo, batch, adopt []int
	// asked are what the last request was about.
	asked []int
	// leaves are those that differ, askedLeaves those in the last keysAsk; window
	// bounds their number, so that the answer fits.
	leaves, askedLeaves []leafRange
	window              int
	// push are the keys to be handed over.
	push []pushKey

	tally Tally
	err   error
}

// copyPair is one partition in an exchange.
type copyPair struct {
	p kv.Partition
	// own is taken before the copy is looked at. floor is the peer's, as it was
	// before that looked; joined is the join of both.
	own              token
	floor, joined    vclock.Floor
	failed, complete bool
	// stage is the peer's, for a copy that is refilled.
	stage stage
	// size is that of the peer's, in bytes, for a copy that is filled.
	size uint64
}

type leafRange struct {
	at           int
	leaf         merkle.Leaf
	after, until kv.Key
}

type pushKey struct {
	at  int
	key kv.Key
}

// maxWindow bounds the leaves of one request.
const maxWindow = 1024

// head is what the exchange's requests begin with.
func (x *exchange) head() head { return head{x.purpose, x.era} }

// takesOnly tells that the peer is given nothing.
func (x *exchange) takesOnly() bool { return x.purpose == forRefill || x.purpose == forFill }

func newExchange(l *local, j job, now time.Time) *exchange {
	return &exchange{local: l, job: j, began: now, window: maxWindow, all: j.parts == nil}
}

// start returns the first request.
func (x *exchange) start() []byte {
	c := x.Cluster.Current()
	if c == nil {
		x.err = errNoRing
		return nil
	}
	x.era = eraOf(c)
	if x.all {
		x.parts = x.shared(c, x.peer)
		// While the ring changes, both may see it differently.
		x.all = c.Progress == nil
	}
	if len(x.parts) == 0 {
		return nil
	}
	marked := x.Damage.Damaged()
	x.copies = make([]copyPair, len(x.parts))
	for i, p := range x.parts {
		x.copies[i] = copyPair{p: p, own: x.token(p), failed: x.purpose != forRefill && !x.sound(p, marked) || x.shut(p, x.purpose, false)}
	}
	m := rootsAsk{head: x.head(), hash: hashOf(x.sums(x.parts)), levels: x.levels}
	if !x.all {
		m.parts = x.parts
	}
	x.pending = kindRoots
	return m.encode()
}

// step takes the answer to the last request and returns the next one.
func (x *exchange) step(answer []byte) []byte {
	switch x.pending {
	case kindRoots:
		x.takeRoots(parseRootsAnswer(answer))
	case kindBranches:
		x.takeBranches(parseBranchesAnswer(answer))
	case kindKeys:
		x.takeKeys(parseKeysAnswer(answer))
	case kindObjects:
		m, err := parseObjectsAnswer(answer)
		x.takes(m.standing, err)
	case kindAdopt:
		x.takeAdopt(parseAdoptAnswer(answer))
	}
	if x.err == nil && x.local.era() != x.era {
		x.err = errRingChanged
	}
	if x.err != nil {
		return nil
	}
	return x.next()
}

// next returns the next request: objects before further leaves, leaves before
// further partitions, so that little is remembered.
func (x *exchange) next() []byte {
	for {
		var b []byte
		switch {
		case len(x.push) > 0:
			x.pending, b = kindObjects, x.askObjects()
		case len(x.leaves) > 0:
			x.pending, b = kindKeys, x.askKeys()
		case len(x.batch) > 0:
			x.settle()
		case len(x.adopt) > 0:
			x.pending, b = kindAdopt, x.askAdopt()
		case len(x.todo) > 0:
			x.pending, b = kindBranches, x.askBranches()
		default:
			return nil
		}
		if b != nil || x.err != nil {
			return b
		}
	}
}

// takes checks what every answer has.
func (x *exchange) takes(s standing, err error) bool {
	switch {
	case err != nil:
		x.err = err
	case !x.heard:
		x.theirs, x.heard = s, true
	case !x.vouches(x.theirs, s):
		x.err = kv.Errorf(kv.KindRefused, "exchange", "node %v was started anew, or refilled a copy, meanwhile", x.peer)
	}
	return x.err == nil
}

func (x *exchange) takeRoots(m rootsAnswer, err error) {
	if !x.takes(m.standing, err) {
		return
	}
	if !m.same && len(m.sums) != len(x.copies) {
		x.err = kv.Errorf(kv.KindInvalid, "exchange", "node %v answers for %d partitions, asked for %d", x.peer, len(m.sums), len(x.copies))
		return
	}
	for _, at := range m.closed {
		x.copies[at].failed = true
	}
	for i, s := range m.stages {
		x.copies[i].stage = s
	}
	for i, size := range m.sizes {
		x.copies[i].size = size
	}
	sums := x.sums(x.parts)
	for i := range x.copies {
		switch c := &x.copies[i]; {
		case c.failed || x.lost(c):
		case !m.same && m.sums[i] != sums[i] && x.bereft(c.p, x.purpose):
			c.failed = true
		case !m.same && m.sums[i] != sums[i]:
			x.todo = append(x.todo, i)
		default:
			c.floor, c.joined = c.own.floor, c.own.floor
			x.batch = append(x.batch, i)
		}
	}
	x.tally.Differing = len(x.todo)
}

// askBranches shows the branches of the next partitions.
func (x *exchange) askBranches() []byte {
	m := branchesAsk{head: x.head()}
	x.asked = x.asked[:0]
	for len(x.todo) > 0 && (len(m.parts)+1)*branchesSize <= x.cfg.MaxMessage {
		at := x.todo[0]
		x.todo = x.todo[1:]
		c := &x.copies[at]
		c.own = x.token(c.p)
		m.parts = append(m.parts, branches{c.p, c.own.floor, x.Trees.Branches(c.p, nil)})
		x.asked = append(x.asked, at)
	}
	return m.encode()
}

func (x *exchange) takeBranches(m branchesAnswer, err error) {
	if !x.takes(m.standing, err) {
		return
	}
	if n := len(m.parts); n == 0 || n > len(x.asked) {
		x.err = kv.Errorf(kv.KindInvalid, "exchange", "node %v answers for %d partitions, asked for %d", x.peer, n, len(x.asked))
		return
	}
	x.todo = append(slices.Clone(x.asked[len(m.parts):]), x.todo...)
	x.batch = append(x.batch[:0], x.asked[:len(m.parts)]...)
	for i := range m.parts {
		x.takeLeaves(x.batch[i], &m.parts[i])
	}
}

// takeLeaves notes the leaves of one partition that differ.
func (x *exchange) takeLeaves(at int, m *branchLeaves) {
	c := &x.copies[at]
	if m.closed || x.lost(c) {
		c.failed = true
		return
	}
	c.floor = m.floor
	c.joined = vclock.AppendFloorJoin(nil, c.own.floor, c.floor)
	var own [merkle.Fanout]uint64
	for mask, hashes := m.mask, m.hashes; mask != 0; mask, hashes = mask&(mask-1), hashes[merkle.Fanout:] {
		branch := bits.TrailingZeros32(mask)
		if x.cfg.omits(OmitBranch) && branch%4 == 3 {
			continue
		}
		for i, h := range x.Trees.LeavesOf(c.p, branch, own[:0]) {
			if h != hashes[i] {
				x.leaves = append(x.leaves, leafRange{at: at, leaf: merkle.Leaf(branch*merkle.Fanout + i)})
			}
		}
	}
}

// lost tells that the node's own copy cannot be compared, or has lost data since
// it was first looked at, and leaves it out of the rest of the exchange.
func (x *exchange) lost(c *copyPair) bool {
	if !x.holds(c.p, c.own) || !x.built(c.p) {
		c.failed = true
	}
	return c.failed
}

// settle ends the comparison of a batch: all that was found is exchanged, each
// of the two copies has what the other one had. So each may take over the
// other's floor, this node's now, the peer's when it is asked to. A left-over
// copy's floor is always handed over: then its data is durable at the owner.
func (x *exchange) settle() {
	var raise []adoption
	for _, at := range x.batch {
		c := &x.copies[at]
		switch {
		case c.failed || x.lost(c):
			continue
		case x.purpose == forLeftover:
			x.adopt = append(x.adopt, at)
			continue
		}
		c.complete = true
		if x.purpose == forRefill || x.cfg.omits(OmitTakeover) {
			continue
		}
		// A copy that is filled has all that its source had, so the source's floor
		// holds for it as well; not the other way round.
		if !c.own.floor.Includes(c.joined) {
			raise = append(raise, adoption{c.p, c.floor})
		}
		if !x.takesOnly() && !c.floor.Includes(c.joined) {
			x.adopt = append(x.adopt, at)
		}
	}
	x.batch = x.batch[:0]
	x.err = x.raise(raise)
}

// outcome returns the partitions that were exchanged fully, ascending. They are
// so whatever happened to the others.
func (x *exchange) outcome() []kv.Partition {
	var out []kv.Partition
	for i := range x.copies {
		if c := &x.copies[i]; c.complete {
			out = append(out, c.p)
		}
	}
	return out
}

var (
	errNoRing      = kv.Errorf(kv.KindUnavailable, "exchange", "this node is not in a ring yet")
	errRingChanged = kv.Errorf(kv.KindStaleRing, "exchange", "the ring has changed meanwhile")
)

// Tally counts what an exchange, or all of them, came upon.
type Tally struct {
	// Differing partitions had different roots or floors.
	Differing int
	// Found keys differed; Received and Sent objects were given for them.
	Found, Received, Sent int
	// Bytes of payload were sent and received.
	Bytes int
}

func (t *Tally) add(o Tally) {
	t.Differing += o.Differing
	t.Found, t.Received, t.Sent = t.Found+o.Found, t.Received+o.Received, t.Sent+o.Sent
	t.Bytes += o.Bytes
}
