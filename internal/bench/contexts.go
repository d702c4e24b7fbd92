package bench

import (
	"bytes"
	"sync"

	"github.com/ringtaildb/ringtail/client"
)

// contexts remembers the newest context of each key that any caller has seen. A
// hot key's updates would otherwise build on what one caller saw long ago and
// pile up siblings, which no application does that puts what it has just read.
// Safe for concurrent use.
type contexts struct {
	slots []seen
	locks [stripes]sync.Mutex // one for every stripes-th slot
}

// seen is what is known of a key. Its zero value is nothing: the key was
// probably never put.
type seen struct {
	context client.Context
	// stale tells that the context does not cover all that the key may hold.
	stale bool
}

const stripes = 1024

// newContexts returns what is known of keys at first: nothing, which with stale is
// not to say that there is nothing.
func newContexts(keys int, stale bool) *contexts {
	c := &contexts{slots: make([]seen, keys)}
	for i := range c.slots {
		c.slots[i].stale = stale
	}
	return c
}

// known tells whether a key is one of those whose context is kept: it is not one
// that was inserted, which nobody updates.
func (c *contexts) known(key int) bool { return key < len(c.slots) }

func (c *contexts) of(key int) seen {
	lock := &c.locks[key%stripes]
	lock.Lock()
	defer lock.Unlock()
	return c.slots[key]
}

// learn remembers a context that a get or put returned. A put returns none when
// it left siblings. It keeps a copy: the context shares memory with values.
func (c *contexts) learn(key int, context client.Context) {
	if !c.known(key) {
		return
	}
	lock := &c.locks[key%stripes]
	lock.Lock()
	defer lock.Unlock()
	s := &c.slots[key]
	if !bytes.Equal(s.context, context) {
		s.context = bytes.Clone(context)
	}
	s.stale = false
}

// spoil notes that a key may hold what its context does not cover.
func (c *contexts) spoil(key int) {
	lock := &c.locks[key%stripes]
	lock.Lock()
	defer lock.Unlock()
	c.slots[key].stale = true
}
