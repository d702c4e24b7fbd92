package replica

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// issue issues the dot of a write to rec; actors born before from are not used
// again.
func (s *Store) issue(rec record, node kv.NodeID, seq, from uint64) vclock.Own {
	own := rec.own
	if s.omits(OmitNewBoots) {
		from = 0
	}
	if s.omits(OmitCounterBeside) {
		own.Counter = 0
	}
	if s.omits(OmitOwnActors) {
		own.Actor = vclock.Actor{Node: node, Birth: from}
	}
	return vclock.Issue(own, rec.obj.Clock(), node, seq, from)
}

// ownAfter returns the Own of rec after a merge of in: as before.
func (s *Store) ownAfter(rec record, in object.Object) vclock.Own {
	if !s.omits(OmitOwnByWrites) {
		return rec.own
	}
	for i := range in.Clock().Len() {
		if e := in.Clock().At(i); e.Node == s.self {
			return vclock.Own(e.Dot)
		}
	}
	return vclock.Own{}
}
