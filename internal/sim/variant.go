package sim

import (
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// Variant is a deliberately broken build, which the checkers must catch.
type Variant struct {
	Name string
}

func (v *Variant) replica() replica.Config { return replica.Default() }

func (v *Variant) coordinator() coordinator.Config { return coordinator.Default() }
