package resp

import (
	"bytes"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// batch is the ops of a connection that are under way together. Those of one key
// have their effects in the order in which they came: reads that follow each other
// share one get, and of writes that follow each other, which nobody could have
// read between, only the last is put; everything else of the same key waits for
// the round after.
type batch struct {
	c    *conn
	ops  []op
	done chan struct{}
	left atomic.Int32
	// rounds is how many there are.
	rounds int16
	// told is how many of the ops' answers were sent before the others were there,
	// and late when to look for such.
	told int
	late *time.Timer
	// answered counts the bytes of answers.
	answered atomic.Int64
	// keys is where the ops' keys stand.
	keys []byte
	// table finds the last op of a key: its index + 1, at its key's hash or after.
	table [2 * maxWindow]uint8
	seed  maphash.Seed
}

// batches is shared by all connections: one that is idle has none.
var batches = sync.Pool{New: func() any {
	b := &batch{ops: make([]op, 0, 8), done: make(chan struct{}, 1), seed: maphash.MakeSeed()}
	return b
}}

func newBatch(c *conn) *batch {
	b := batches.Get().(*batch)
	b.c = c
	return b
}

func (b *batch) release() {
	b.c = nil
	if cap(b.keys) > maxUnsent {
		b.keys = nil
	}
	batches.Put(b)
}

// add returns a new op, the last one, to be filled in and then placed. The one
// before it may move.
func (b *batch) add() *op {
	n := len(b.ops)
	if n == cap(b.ops) {
		grown := make([]op, n, min(4*cap(b.ops), maxWindow))
		copy(grown, b.ops)
		b.ops = grown
	}
	b.ops = b.ops[:n+1]
	o := &b.ops[n]
	o.b, o.leader = b, -1
	return o
}

// place has the last op, whose key is set, take its turn among those of its key.
func (b *batch) place() {
	i := len(b.ops) - 1
	o := &b.ops[i]
	at := b.find(o.key)
	if j := int(b.table[at]) - 1; j >= 0 {
		switch p := &b.ops[j]; {
		case o.do == read && p.do == read && p.shared && o.shared && p.all == o.all:
			o.leader = int16(j)
			return
		case o.do == write && p.do == write && p.shared && o.shared:
			p.leader, o.round = int16(i), p.round
		default:
			o.round = p.until() + 1
		}
	}
	b.table[at] = uint8(i + 1)
	b.rounds = max(b.rounds, o.until()+1)
}

// find returns the place of key in the table.
func (b *batch) find(key []byte) int {
	at := int(maphash.Bytes(b.seed, key) % uint64(len(b.table)))
	for b.table[at] != 0 && !bytes.Equal(b.ops[b.table[at]-1].key, key) {
		at = (at + 1) % len(b.table)
	}
	return at
}

// key returns the store's form of a key, which lasts as long as the batch.
func (b *batch) key(bucket string, user []byte) []byte {
	at := len(b.keys)
	b.keys = append(b.keys, byte(len(bucket)))
	b.keys = append(b.keys, bucket...)
	b.keys = append(b.keys, user...)
	return b.keys[at:len(b.keys):len(b.keys)]
}

// run carries the ops out, round by round.
func (b *batch) run() {
	for round := range b.rounds {
		b.left.Store(1)
		for i := range b.ops {
			o := &b.ops[i]
			if o.do == idle || o.leader >= 0 || round < o.round || round > o.until() {
				continue
			}
			b.left.Add(1)
			o.start(round)
		}
		if b.left.Add(-1) > 0 {
			b.wait()
		}
	}
}

// earlyAfter is how long answers that are there wait for others of their batch: far
// longer than a batch takes while all is well.
const earlyAfter = 5 * time.Millisecond

// wait waits for the round to end. What takes long holds up no answers of commands
// before it.
func (b *batch) wait() {
	if len(b.ops) == 1 {
		<-b.done
		return
	}
	if b.late == nil {
		b.late = time.NewTimer(earlyAfter)
	} else {
		b.late.Reset(earlyAfter)
	}
	defer b.late.Stop()
	for {
		select {
		case <-b.done:
			return
		case <-b.late.C:
			b.early()
			b.late.Reset(earlyAfter)
		}
	}
}

// early sends the answers of the first ops that have ended, up to the first that
// is a part of a larger answer.
func (b *batch) early() {
	from := b.told
	for ; b.told < len(b.ops); b.told++ {
		o, outcome := &b.ops[b.told], b.outcome(b.told)
		if o.lead || o.last || b.c.group.open || outcome.do != idle && !outcome.over.Load() {
			break
		}
		b.c.emit(o, outcome)
	}
	if b.told > from {
		_ = b.c.flush()
	}
}

// ended is told that an op has ended its part in a round.
func (b *batch) ended() {
	if b.left.Add(-1) == 0 {
		b.done <- struct{}{}
	}
}

// outcome returns the op whose outcome is op i's.
func (b *batch) outcome(i int) *op {
	o := &b.ops[i]
	for o.leader >= 0 {
		o = &b.ops[o.leader]
	}
	return o
}

// clear makes the batch empty.
func (b *batch) clear() {
	for i := range b.ops {
		b.ops[i].free()
	}
	b.ops, b.keys, b.rounds, b.told = b.ops[:0], b.keys[:0], 0, 0
	b.table = [2 * maxWindow]uint8{}
	b.answered.Store(0)
}
