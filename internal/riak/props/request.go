package props

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// Strictly returns count, or the bucket's where that is unset, raised to what a
// request wants of owners alone (pr or pw). Then o counts stand-ins out, and does so
// for all that it counts: that is more than Riak asks for.
func Strictly(o *kv.Options, count, bucket int8, name string, owners pb.Quorum, n int) (int8, error) {
	if owners == 0 || owners == pb.Default {
		return count, nil
	}
	least, err := Resolve(name, owners, n)
	if err != nil {
		return count, err
	}
	if o.Strict = true; count == kv.Unset {
		count = bucket
	}
	return max(count, least), nil
}

// Look says what a get does that finds nothing: with notfound_ok it is believed,
// otherwise all owners that can be reached are asked, or with basic_quorum a
// majority.
type Look struct{ notFoundOK, basicQuorum bool }

// Look returns what a request asks for, or else its bucket.
func (e Extra) Look(notFoundOK, basicQuorum pb.Choice) Look {
	l := Look{e.NotFoundOK, e.BasicQuorum}
	if notFoundOK != pb.Unset {
		l.notFoundOK = notFoundOK == pb.Yes
	}
	if basicQuorum != pb.Unset {
		l.basicQuorum = basicQuorum == pb.Yes
	}
	return l
}

// Further returns how many owners are to be asked after asked of them, or the
// bucket's r, had nothing; 0 for no more.
func (l Look) Further(asked, bucket int8, n int) int8 {
	if asked == kv.Unset {
		asked = bucket
	}
	wanted := int8(n)
	if l.basicQuorum {
		wanted = int8(n/2 + 1)
	}
	if l.notFoundOK || asked >= wanted {
		return 0
	}
	return wanted
}
