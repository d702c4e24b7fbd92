package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/riak/props"
)

// riakOnly are properties that Riak's HTTP shows and ours does not. A quorum is a
// number or a name.
type riakOnly struct {
	Name          string `json:"name"`
	NVal          uint32 `json:"n_val"`
	AllowMult     bool   `json:"allow_mult"`
	LastWriteWins bool   `json:"last_write_wins"`
	BasicQuorum   bool   `json:"basic_quorum"`
	NotFoundOK    bool   `json:"notfound_ok"`
	RW            any    `json:"rw"`
	PR            any    `json:"pr"`
	PW            any    `json:"pw"`
}

// riakProps are a bucket's properties as Riak's HTTP shows them.
type riakProps struct {
	riakOnly
	R   any    `json:"r"`
	W   any    `json:"w"`
	DW  any    `json:"dw"`
	TTL uint32 `json:"ttl,omitempty"`
}

func riakOnlyOf(name string, v pb.Props) riakOnly {
	return riakOnly{
		Name: name, NVal: *v.NVal,
		AllowMult: v.AllowMult == pb.Yes, LastWriteWins: v.LastWriteWins == pb.Yes,
		BasicQuorum: v.BasicQuorum == pb.Yes, NotFoundOK: v.NotFoundOK == pb.Yes,
		RW: shown(*v.RW), PR: shown(*v.PR), PW: shown(*v.PW),
	}
}

func writeRiakProps(w http.ResponseWriter, name string, p kv.Props, n int) {
	v := props.Show(p, n)
	b := riakProps{riakOnly: riakOnlyOf(name, v), R: shown(*v.R), W: shown(*v.W), DW: shown(*v.DW)}
	if v.TTL != nil {
		b.TTL = *v.TTL
	}
	writeJSON(w, http.StatusOK, struct {
		Props riakProps `json:"props"`
	}{b})
}

func shown(q pb.Quorum) any {
	for name, v := range quorumNames {
		if v == q {
			return name
		}
	}
	return uint32(q)
}

// lackingProps are Riak's properties that ask for what Ringtail does not have,
// where they say anything but no.
var lackingProps = map[string]bool{
	"precommit": true, "postcommit": true, "backend": true, "search": true, "search_index": true,
	"datatype": true, "consistent": true, "write_once": true, "hll_precision": true,
}

// passedOver are properties that Riak's clients send back as they were shown, or
// that are about the inside of Riak.
var passedOver = map[string]bool{
	"name": true, "active": true, "claimant": true, "young_vclock": true, "old_vclock": true, "small_vclock": true, "big_vclock": true,
	"chash_keyfun": true, "linkfun": true, "repl": true, "has_precommit": true, "has_postcommit": true, "dvv_enabled": true,
}

// takeRiak takes the property name into c if it is one of Riak's, and tells whether
// it was. The numbers r, w and dw, and ttl, are ours as well as Riak's, which goes
// by names and by seconds: they are Riak's where a name is given, or in its form.
func takeRiak(c *pb.Props, name string, raw json.RawMessage, form bool) (bool, error) {
	choices := map[string]*pb.Choice{
		"allow_mult": &c.AllowMult, "last_write_wins": &c.LastWriteWins, "basic_quorum": &c.BasicQuorum, "notfound_ok": &c.NotFoundOK,
	}
	quorums := map[string]**pb.Quorum{"r": &c.R, "w": &c.W, "dw": &c.DW, "rw": &c.RW, "pr": &c.PR, "pw": &c.PW}
	switch {
	case passedOver[name]:
		return true, nil
	case lackingProps[name]:
		if s := string(raw); s != "false" && s != "null" && s != "[]" && s != `""` && c.Lacking == "" {
			c.Lacking = name
		}
		return true, nil
	case choices[name] != nil:
		var v *bool
		if err := json.Unmarshal(raw, &v); err != nil || v == nil {
			return true, badProps("%s=%s is neither true nor false", name, raw)
		}
		*choices[name] = pb.ChoiceOf(*v)
		return true, nil
	case name == "n_val" || name == "ttl" && form:
		v := new(uint32)
		if err := json.Unmarshal(raw, v); err != nil || string(raw) == "null" {
			return true, badProps("%s=%s is no number", name, raw)
		}
		if name == "ttl" {
			c.TTL = v
		} else {
			c.NVal = v
		}
		return true, nil
	case quorums[name] != nil:
		q, err := quorumOf(name, raw)
		named := len(raw) > 0 && raw[0] == '"'
		if !form && !named && (name == "r" || name == "w" || name == "dw") {
			return false, nil
		}
		*quorums[name] = &q
		return true, err
	}
	return false, nil
}

// quorumOf reads a number of replicas, or its name.
func quorumOf(name string, raw json.RawMessage) (pb.Quorum, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if q, ok := quorumNames[text]; ok {
			return q, nil
		}
	}
	var v *uint8
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || *v > kv.MaxReplicas {
		return 0, badProps("%s=%s is neither a number of replicas nor one, quorum, all or default", name, raw)
	}
	return pb.Quorum(*v), nil
}

// deleteProps gives a bucket the properties that it has in Riak when nobody has set
// any.
func (s *Server) deleteProps(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	b := s.parts.Buckets
	_, err := b.SetProps(r.Context(), t.bucket, func(kv.Props) (kv.Props, error) { return props.Reset(t.bucket, b.Props), nil })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getType shows the properties of a type.
func (s *Server) getType(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	name := kv.TypedBucket(t.bucket, "")
	if name != "" && !s.parts.Buckets.Known(name) {
		return unknownType(t.bucket)
	}
	writeRiakProps(w, t.bucket, s.parts.Buckets.Props(name), s.parts.Buckets.N())
	return nil
}

// putType changes the properties of a type; with create=true it makes it, unless
// there is one.
func (s *Server) putType(w http.ResponseWriter, r *http.Request, t target) error {
	q, err := parseQuery(r.URL.RawQuery, "create")
	if err != nil {
		return err
	}
	create := false
	if v, ok := q["create"]; ok {
		if create, err = parseBool("create", v); err != nil {
			return err
		}
	}
	name := kv.TypedBucket(t.bucket, "")
	switch known := s.parts.Buckets.Known(name); {
	case name == "":
		return badProps("those of the type %s are the cluster's", kv.DefaultType)
	case !known && !create:
		return unknownType(t.bucket)
	case known && create:
		return statusError{http.StatusConflict, kv.Errorf(kv.KindRefused, "create bucket type", "there is one with the name %q", t.bucket)}
	}
	return s.changeProps(w, r, name, true)
}

// getTypes lists the types of buckets.
func (s *Server) getTypes(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	types := []string{kv.DefaultType}
	for _, name := range s.parts.Buckets.Names() {
		if typ, bucket := kv.SplitBucket(name); bucket == "" {
			types = append(types, typ)
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Types []string `json:"types"`
	}{types})
	return nil
}
