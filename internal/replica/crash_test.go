package replica

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// probe is an engine that calls after once each change and sync is made.
type probe struct {
	storage.Engine
	after func()
}

func (e *probe) Apply(b *storage.Batch, w storage.Waiter) error {
	err := e.Engine.Apply(b, w)
	e.after()
	return err
}

func (e *probe) Drop(from, to []byte) error {
	err := e.Engine.Drop(from, to)
	e.after()
	return err
}

func (e *probe) Sync() error {
	err := e.Engine.Sync()
	e.after()
	return err
}

// crashing is a store through all that it makes durable; after each write to the
// disk the power fails, and what comes back is looked at.
type crashing struct {
	*testing.T
	disk disk
	e    storage.Engine
	s    *Store
	seq  uint64
	// puts are the writes that were begun, in the order of their sequences.
	puts []begun
	// spoiled is the record that the disk has spoiled, nil for none.
	spoiled kv.Key
	// repaired tells that the end of the repair has begun.
	repaired bool
	crashes  int
}

// begun is a put or delete of a key, in partition 0 or 1.
type begun struct {
	p       kv.Partition
	k       kv.Key
	value   string
	deleted bool
	seq     uint64
}

// Next implements Source.
func (c *crashing) Next() (kv.NodeID, uint64, error) { c.seq++; return self, c.seq, nil }

func (c *crashing) start(d disk) {
	c.disk = d
	c.e = d.open(c)
	c.s = mustOpen(c, 0, self, &probe{c.e, c.crash}, c, rings{testRing(c, 1)}, c.seq+1)
}

func (c *crashing) put(p kv.Partition, key, value string) {
	c.Helper()
	k := kv.AppendKey(nil, "b", []byte(key))
	w := object.Write{Value: []byte(value), Deleted: value == ""}
	if o := mustRead(c, c.s, p, k); o.Bytes() != nil {
		w.Context = object.ContextOf(o)
	}
	c.puts = append(c.puts, begun{p, k, value, w.Deleted, c.seq + 1})
	mustPut(c, c.s, p, k, w)
}

func (c *crashing) floor(parts ...kv.Partition) {
	c.Helper()
	low, err := c.s.Low()
	if err == nil {
		err = c.s.RaiseFloor(parts, vclock.AppendFloorEntry(nil, self, low))
	}
	c.must(err)
}

func (c *crashing) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// crash opens what every loss of power that is possible now leaves.
func (c *crashing) crash() {
	c.Helper()
	left := []disk{c.disk.crashed()}
	if d, ok := c.disk.(*logDisk); ok {
		for n := d.durable + 1; n <= len(d.log); n++ {
			left = append(left, d.crashedAt(n))
		}
	}
	for _, d := range left {
		c.crashes++
		c.look(d)
	}
}

// look opens d and looks at the floors, the mark of the spoiled copy, and at the
// trees once they are built.
func (c *crashing) look(d disk) {
	c.Helper()
	e := d.open(c)
	defer func() { c.must(e.Close()) }()
	s := mustOpen(c, 0, self, e, &sequence{id: self, last: 1000, reserved: new(uint64)}, rings{testRing(c, 1)}, 1001)
	for p := range kv.Partition(2) {
		f, _ := s.Floor(p)
		for _, put := range c.puts {
			if put.p == p && f.Covers(self, put.seq) {
				c.lookAt(s, e, put)
			}
		}
	}
	if c.spoiled != nil && !c.repaired {
		raw, found, err := e.Get(appendDataKey(nil, 0, c.spoiled), nil)
		c.must(err)
		if spoiled := found && bytes.Equal(raw, nonsense); !spoiled && !slices.Contains(s.Damaged(), 0) {
			c.Fatal("what the disk spoiled is gone, and the copy is not marked")
		}
	}
	upkeep(c, s)
	for p := range kv.Partition(2) {
		if err := checkTree(s, e, p); err != nil {
			c.Fatal(err)
		}
	}
}

// lookAt checks that a put that its copy's floor covers has not been lost.
func (c *crashing) lookAt(s *Store, e storage.Engine, put begun) {
	c.Helper()
	rec, _, err := s.read(appendDataKey(nil, put.p, put.k), nil, false)
	if err != nil {
		return // it was spoiled
	}
	held := holds(rec.obj, put.value)
	later := slices.ContainsFunc(c.puts, func(o begun) bool { return o.seq > put.seq && bytes.Equal(o.k, put.k) && o.p == put.p })
	switch {
	case !put.deleted && !held && !later:
		c.Fatalf("%v is lost, and its floor covers it", put.k)
	case put.deleted && rec.obj.Live() > 0 && !later:
		c.Fatalf("the delete of %v is lost, and its floor covers it", put.k)
	}
}

var nonsense = []byte("nonsense")

// TestCrashAtEveryWrite takes a store through floors, reaping, a copy that is
// dropped, damage that is cut out and repaired, and a clean stop, and has the
// power fail after each of its writes.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for name, newDisk := range disks {
		t.Run(name, func(t *testing.T) {
			c := &crashing{T: t}
			c.start(newDisk())
			c.live()
			t.Logf("%d crashes", c.crashes)
			c.must(c.e.Close())
		})
	}
}

func (c *crashing) live() {
	for p := range kv.Partition(2) {
		for i := range 4 {
			c.put(p, fmt.Sprint("key ", i), "first")
		}
	}
	c.floor(0, 1)
	c.put(0, "key 0", "")
	c.put(1, "key 0", "")
	c.put(0, "key 1", "second")
	c.floor(0, 1)
	upkeep(c, c.s)
	if _, _, reapable := c.s.Usage(0); reapable != 0 {
		c.Errorf("%d records are left to reap", reapable)
	}
	_, _, changes := c.s.Tree(1)
	if dropped, err := c.s.DropCopy(1, changes); !dropped || err != nil {
		c.Fatalf("dropped: %v, %v", dropped, err)
	}
	c.damage()
	c.must(c.s.Save())
}

// damage spoils a record, which a put finds, and repairs the copy.
func (c *crashing) damage() {
	k := kv.AppendKey(nil, "b", []byte("key 2"))
	good, _, err := c.e.Get(appendDataKey(nil, 0, k), nil)
	c.must(err)
	inject(c, c.e, appendDataKey(nil, 0, k), nonsense)
	c.must(c.e.Sync())
	c.spoiled = k
	for i := range c.puts {
		if bytes.Equal(c.puts[i].k, k) {
			c.puts[i].seq = 1 << 40 // no floor of this copy covers it any more
		}
	}
	if _, _, err := c.s.Read(0, k, nil); kv.KindOf(err) != kv.KindCorrupt || err == nil {
		c.Fatalf("it is read: %v", err)
	}
	upkeep(c, c.s)
	rec, err := parseRecord(good)
	c.must(err)
	c.must(c.s.Merge(0, k, rec.obj, nil, nil))
	c.repaired = true
	c.must(c.s.Repaired(0, c.s.Damages(0)))
	if !holds(mustRead(c, c.s, 0, k), "first") {
		c.Error("it is not back after the repair")
	}
}
