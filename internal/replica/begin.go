package replica

import (
	"github.com/ringtaildb/ringtail/internal/storage"
)

// metaBegun, of partition 0, is there once Begin was called on the engine.
const metaBegun = "begun"

// Begun tells whether the engine is one that a Store has begun on. One that is
// not is empty, and whoever knows that the node had copies marks them as damaged
// before Begin: they were lost with the engine before it.
func (s *Store) Begun() (bool, error) {
	_, begun, err := s.engine.Get(metaKey(0, metaBegun), nil)
	return begun, err
}

// Begin makes durable what was written so far, and that the engine is begun on.
func (s *Store) Begin() error {
	var b storage.Batch
	b.Set(metaKey(0, metaBegun), nil)
	if err := s.engine.Apply(&b, nil); err != nil {
		return err
	}
	return s.engine.Sync()
}
