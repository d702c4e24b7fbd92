package ring

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Newest returns the owners that are to stay, as far as the view tells: those of
// New, or the only ones. Shared, read-only.
func (v View) Newest() []kv.NodeID {
	if v.New != nil {
		return v.New
	}
	return v.Old
}

// Takes tells whether id is an owner that is given what it lacks: hints, and what
// other copies hold. One that leaves is not any more from phase 2 on: its copy is
// about to be given away and dropped.
func (v View) Takes(id kv.NodeID) bool {
	return slices.Contains(v.Readers, id) || slices.Contains(v.New, id)
}

// Mark is what one owner says of one step.
type Mark struct {
	// Step is its number among those of all partitions (Transition.Index).
	Step  int
	Marks Marks
}
