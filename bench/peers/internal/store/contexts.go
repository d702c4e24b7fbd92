package store

import (
	"bytes"
	"hash/maphash"
	"sync"

	"github.com/ringtaildb/ringtail/client"
)

const stripes = 256

// contexts remembers what is known of Ringtail's keys from one measurement to the
// next. Each begins with nothing in mind: without this its first put of each key
// would be beside what the one before left, a sibling, as no application puts
// that has read. Safe for concurrent use.
type contexts struct {
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	mu sync.Mutex
	of map[string]client.Context
}

func newContexts() *contexts {
	c := &contexts{seed: maphash.MakeSeed()}
	for i := range c.stripes {
		c.stripes[i].of = map[string]client.Context{}
	}
	return c
}

func (c *contexts) stripe(key string) *stripe {
	return &c.stripes[maphash.String(c.seed, key)%stripes]
}

// of returns what is known of key.
func (c *contexts) of(key string) client.Context {
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[key]
}

// put notes what a put answered: no context when it failed or left siblings, and
// then nothing is known until the next get.
func (c *contexts) put(key string, seen client.Context) {
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(seen) == 0 {
		delete(s.of, key)
		return
	}
	s.of[key] = bytes.Clone(seen)
}

// got notes what a get answered, where nothing is known.
func (c *contexts) got(key string, seen client.Context) {
	s := c.stripe(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.of[key]; !known && len(seen) > 0 {
		s.of[key] = bytes.Clone(seen)
	}
}
