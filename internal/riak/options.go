package riak

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/riak/props"
)

// place is where a request leads: a bucket, its properties, and the number of
// owners of each key.
type place struct {
	// name is the bucket's, with its type (kv.TypedBucket).
	name  string
	props kv.Props
	extra props.Extra
	n     int
}

// place finds the bucket of a request.
func (s *Server) place(p pb.Place) (place, error) {
	name, err := s.bucketOf(p)
	if err != nil {
		return place{}, err
	}
	at := place{name: name, props: s.parts.Buckets.Props(name), n: s.parts.Buckets.N()}
	at.extra = props.ExtraOf(at.props)
	return at, nil
}

// bucketOf returns the name of the bucket of a request.
func (s *Server) bucketOf(p pb.Place) (string, error) {
	if len(p.Bucket) == 0 {
		return "", wordsEmptyBucket
	}
	typ := string(p.Type)
	if err := s.checkType(typ); err != nil {
		return "", err
	}
	name := kv.TypedBucket(typ, string(p.Bucket))
	return name, kv.CheckBucket(name)
}

// checkType returns an error in Riak's words for a type that does not exist.
func (s *Server) checkType(typ string) error {
	if typ == "" || typ == kv.DefaultType || len(typ) <= kv.MaxBucket && s.parts.Buckets.Known(kv.TypedBucket(typ, "")) {
		return nil
	}
	return words("No bucket-type named '" + typ + "'")
}

// key returns the key of a request.
func (at *place) key(user []byte) (kv.Key, error) {
	switch {
	case len(user) == 0:
		return nil, wordsEmptyKey
	case len(user) > kv.MaxKey:
		return nil, kv.Errorf(kv.KindTooLarge, "check key", "the key has %d bytes, the limit is %d", len(user), kv.MaxKey)
	}
	return kv.AppendKey(make([]byte, 0, 1+len(at.name)+len(user)), at.name, user), nil
}

// request is what requests for a key have in common.
type request struct {
	timeout uint32
	sloppy  pb.Choice
	nVal    uint32
}

// options returns what r asks for beside its quorums.
func (at *place) options(r request) (kv.Options, error) {
	o := kv.Defaults()
	if r.nVal != 0 && int64(r.nVal) != int64(at.n) {
		return o, kv.Errorf(kv.KindInvalid, "check options", "n_val=%d: it belongs to the cluster, and is %d", r.nVal, at.n)
	}
	o.Strict = r.sloppy == pb.No
	o.Timeout = timeoutOf(r.timeout)
	return o, nil
}

// timeoutOf returns a timeout of milliseconds, within our bounds: Riak has none,
// and clients give what they like.
func timeoutOf(ms uint32) time.Duration {
	if ms == 0 {
		return 0
	}
	return min(time.Duration(ms)*time.Millisecond, kv.MaxTimeout)
}

// reads sets how many owners a get asks: r, of which pr must be no stand-ins. What
// counts stand-ins out does so for all of them: more than Riak asks for.
func (at *place) reads(o *kv.Options, r, pr pb.Quorum) (err error) {
	if o.R, err = props.Resolve("r", r, at.n); err != nil {
		return err
	}
	o.R, err = props.Strictly(o, o.R, at.props.R, "pr", orElse(pr, at.extra.PR()), at.n)
	return err
}

// writes is reads for a put: w, dw, and pw.
func (at *place) writes(o *kv.Options, w, dw, pw pb.Quorum) (err error) {
	if o.W, err = props.Resolve("w", w, at.n); err != nil {
		return err
	}
	if o.DW, err = props.Resolve("dw", dw, at.n); err != nil {
		return err
	}
	if dw == 0 {
		o.DW = 0
	}
	o.W, err = props.Strictly(o, o.W, at.props.W, "pw", orElse(pw, at.extra.PW()), at.n)
	return err
}

// orElse returns q, or other where q is left out.
func orElse(q, other pb.Quorum) pb.Quorum {
	if q == pb.Default {
		return other
	}
	return q
}
