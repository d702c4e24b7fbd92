package logstore

import (
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// jobs carries out an engine's jobs one after the other, when it is told to: the
// engine runs in one thread, as in a simulation.
type jobs struct{ now, later []func() }

func (j *jobs) use(c *Config) {
	c.Go = func(job func()) { j.now = append(j.now, job) }
	c.After = func(_ time.Duration, job func()) { j.later = append(j.later, job) }
}

// step carries out one job, and returns false when there is none. Those that were
// to wait come last.
func (j *jobs) step() bool {
	if len(j.now) == 0 {
		j.now, j.later = j.later, nil
	}
	if len(j.now) == 0 {
		return false
	}
	job := j.now[0]
	j.now = j.now[1:]
	job()
	return true
}

func (j *jobs) run() {
	for j.step() {
	}
}

// counted carries out jobs as usual, and knows when none is left.
type counted struct {
	mu   sync.Mutex
	cond *sync.Cond
	n    int
}

func (c *counted) use(cfg *Config) {
	c.cond = sync.NewCond(&c.mu)
	begin := func(job func()) func() {
		c.mu.Lock()
		c.n++
		c.mu.Unlock()
		return func() {
			job()
			c.mu.Lock()
			c.n--
			c.cond.Broadcast()
			c.mu.Unlock()
		}
	}
	cfg.Go = func(job func()) { go begin(job)() }
	cfg.After = func(d time.Duration, job func()) { time.AfterFunc(d, begin(job)) }
}

func (c *counted) wait() {
	c.mu.Lock()
	for c.n > 0 {
		c.cond.Wait()
	}
	c.mu.Unlock()
}

// single returns an engine on fs whose jobs the test carries out, and them.
func single(t testing.TB, fs vfs.FS, change func(*Config)) (*Engine, *jobs) {
	t.Helper()
	j := new(jobs)
	c := testConfig(fs)
	j.use(&c)
	if change != nil {
		change(&c)
	}
	return mustOpen(t, c), j
}

// roll begins a new segment.
func (e *Engine) rollNow(t testing.TB) {
	t.Helper()
	e.log.mu.Lock()
	e.log.roll()
	e.log.mu.Unlock()
	if err := e.flushNow(); err != nil {
		t.Fatal(err)
	}
}

// TestSingleThread runs an engine with all its work in one thread.
func TestSingleThread(t *testing.T) {
	disk := vfs.NewMem()
	e, j := single(t, disk, nil)
	acks := 0
	w := &onDurable{func(err error) {
		if err != nil {
			t.Error(err)
		}
		acks++
	}}
	for i := range 100 {
		var b storage.Batch
		b.Set(key(1, string(rune('a'+i%20))), make([]byte, 2000))
		if err := e.Apply(&b, w); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			if err := e.Sync(); err != nil {
				t.Fatal(err)
			}
			if acks != i+1 {
				t.Errorf("%d acks after a sync behind %d batches", acks, i+1)
			}
		}
		if i%7 == 0 {
			j.run()
		}
	}
	j.run()
	if acks != 100 || e.Stats().Compactions == 0 {
		t.Errorf("%d acks, %d merges", acks, e.Stats().Compactions)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	j.run() // what was queued finds the engine closed
}

type onDurable struct{ fn func(error) }

func (w *onDurable) Durable(err error) { w.fn(err) }
