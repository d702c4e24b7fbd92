package httpapi

import (
	"slices"
	"strconv"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/content"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/riak/props"
)

// riakNames are the parameters that only Riak's clients give.
var riakNames = []string{"pr", "pw", "rw", "vtag", "basic_quorum", "notfound_ok", "sloppy_quorum", "n_val", "asis"}

// getNames are the parameters of a get or delete, keyNames those of a put.
var (
	getNames = append(slices.Clip(optionNames), riakNames...)
	keyNames = append(slices.Clip(putNames), riakNames...)
)

// quorumNames are numbers of replicas that go by name, as Riak has them.
var quorumNames = map[string]pb.Quorum{"one": pb.One, "quorum": pb.Majority, "all": pb.All, "default": pb.Default}

var quorumParams = []string{"r", "w", "dw", "pr", "pw", "rw"}

// keyQuery is what the query of a request for a key asks for.
type keyQuery struct {
	kv.Options
	life kv.Lifetime
	// vtag, unless empty, names the one sibling that is wanted.
	vtag string
	// look says how often a get that finds nothing looks further.
	look props.Look
}

// keyQuery reads the query of a request for a key of bucket.
func (s *Server) keyQuery(raw, bucket string, put bool) (keyQuery, error) {
	k := keyQuery{Options: kv.Defaults()}
	names := getNames
	if put {
		names = keyNames
	}
	q, err := parseQuery(raw, names...)
	if err != nil {
		return k, err
	}
	n := s.parts.Buckets.N()
	if err := byName(q, n); err != nil {
		return k, err
	}
	if k.Options, err = optionsOf(q, n); err != nil {
		return k, err
	}
	if v, ok := q["ttl"]; ok {
		if k.life.TTL, err = parseTTL(v); err != nil {
			return k, err
		}
	}
	return k, k.riak(q, s.parts.Buckets.Props(bucket), n)
}

// byName puts numbers in the place of names.
func byName(q map[string]string, n int) error {
	for name, v := range q {
		symbol, ok := quorumNames[v]
		if !ok || !slices.Contains(quorumParams, name) {
			continue
		}
		count, err := props.Resolve(name, symbol, n)
		if err != nil {
			return err
		}
		if q[name] = strconv.Itoa(int(count)); count == kv.Unset {
			delete(q, name)
		}
	}
	return nil
}

// riak reads what only Riak's clients ask for, of a bucket with the properties p.
func (k *keyQuery) riak(q map[string]string, p kv.Props, n int) error {
	e := props.ExtraOf(p)
	var err error
	flag := func(name string) (c pb.Choice) {
		if v, ok := q[name]; ok && err == nil {
			var yes bool
			yes, err = parseBool(name, v)
			c = pb.ChoiceOf(yes)
		}
		return c
	}
	count := func(name string, otherwise pb.Quorum) pb.Quorum {
		v, ok := q[name]
		if !ok || err != nil {
			return otherwise
		}
		var c int8
		c, err = parseCount(name, v)
		return pb.Quorum(c)
	}
	if rw := count("rw", 0); rw > 0 {
		if err := (kv.Options{R: int8(rw), W: int8(rw), DW: kv.Unset}).Validate(n); err != nil {
			return badQuery("rw: %v", err)
		}
		if k.R == kv.Unset {
			k.R = int8(rw)
		}
		if k.W == kv.Unset {
			k.W = int8(rw)
		}
	}
	pr, pw := count("pr", e.PR()), count("pw", e.PW())
	k.look = e.Look(flag("notfound_ok"), flag("basic_quorum"))
	if flag("sloppy_quorum") == pb.No {
		k.Strict = true
	}
	if flag("asis") == pb.Yes {
		return badQuery("asis: only a cluster's own nodes may store a version as it is")
	}
	if v, ok := q["n_val"]; ok && v != strconv.Itoa(n) {
		return badQuery("n_val=%s: it belongs to the cluster, and is %d", v, n)
	}
	k.vtag = q["vtag"]
	if err != nil {
		return err
	}
	if k.R, err = props.Strictly(&k.Options, k.R, p.R, "pr", pr, n); err != nil {
		return err
	}
	k.W, err = props.Strictly(&k.Options, k.W, p.W, "pw", pw, n)
	return err
}

// sortPairs brings headers, which come in no order, into one.
func sortPairs(pairs []content.Pair) {
	slices.SortStableFunc(pairs, func(a, b content.Pair) int { return slices.Compare(a.Key, b.Key) })
}
