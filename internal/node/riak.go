package node

import (
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// riakStore makes the coordinator the Store of Riak's door.
type riakStore struct {
	coordinator.Blocking
	node *Node
}

// Holders implements riak.Store: the owners that answer, and a stand-in for each
// that does not.
func (s riakStore) Holders(key kv.Key) []pb.Holder {
	list := door(s).Preflist(key)
	var holders []pb.Holder
	stand := list.StandIns
	for _, o := range list.Owners {
		primary := true
		for !o.Up && len(stand) > 0 {
			o, stand, primary = stand[0], stand[1:], false
		}
		if o.Up {
			holders = append(holders, pb.Holder{Partition: list.Partition, Node: o.Node, Primary: primary})
		}
	}
	return holders
}
