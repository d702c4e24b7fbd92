package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// rules switches the rules of vclock.Own off, one by one, for the test that
// shows that each is needed. It is zero outside of tests.
type rules struct {
	// mergeSetsOwn adopts this node's entry in another copy's clock.
	mergeSetsOwn bool
	// keepOldBoots goes on with actors of earlier processes.
	keepOldBoots bool
	// keepAfterFailure goes on with an actor whose last write failed.
	keepAfterFailure bool
	// forgetCounter counts on from the clock alone.
	forgetCounter bool
	// shareActors has one actor for all records of a process.
	shareActors bool
}

// issue issues the dot of a write to rec; actors born before from are not used
// again.
func (s *Store) issue(rec record, node kv.NodeID, seq, from uint64) vclock.Own {
	own := rec.own
	if s.broken.keepOldBoots {
		from = 0
	}
	if s.broken.forgetCounter {
		own.Counter = 0
	}
	if s.broken.shareActors {
		own.Actor = vclock.Actor{Node: node, Birth: from}
	}
	return vclock.Issue(own, rec.obj.Clock(), node, seq, from)
}

// ownAfter returns the Own of rec after a merge of in: as before.
func (s *Store) ownAfter(rec record, in object.Object) vclock.Own {
	if !s.broken.mergeSetsOwn {
		return rec.own
	}
	for i := range in.Clock().Len() {
		if e := in.Clock().At(i); e.Node == s.self {
			return vclock.Own(e.Dot)
		}
	}
	return vclock.Own{}
}
