package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
	"github.com/ringtaildb/ringtail/internal/riak/props"
)

// propsBody is a bucket's properties as answers show them; DW is nil for "the
// request's w". Riak's follow, for its clients ask for them on this path.
type propsBody struct {
	R     int8   `json:"r"`
	W     int8   `json:"w"`
	DW    *int8  `json:"dw"`
	Merge string `json:"merge"`
	TTL   kv.TTL `json:"ttl"`
	// SLA is the bucket's own, nil for the cluster's.
	SLA *SLATexts `json:"sla"`
	riakOnly
}

func (s *Server) getProps(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	p := s.parts.Buckets.Props(t.bucket)
	if typed(r) {
		_, bucket := kv.SplitBucket(t.bucket)
		writeRiakProps(w, bucket, p, s.parts.Buckets.N())
		return nil
	}
	writeProps(w, t.bucket, p, s.parts.Buckets.N())
	return nil
}

func (s *Server) putProps(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	return s.changeProps(w, r, t.bucket, typed(r))
}

// changeProps changes the properties of a bucket, or of a type, as the body of r
// asks for, in our form or in Riak's.
func (s *Server) changeProps(w http.ResponseWriter, r *http.Request, name string, form bool) error {
	var body struct {
		Props map[string]json.RawMessage `json:"props"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Props == nil {
		return badProps(`the body has no props: {"props":{"r":2}}`)
	}
	_, err := s.parts.Buckets.SetProps(r.Context(), name, func(p kv.Props) (kv.Props, error) {
		return changedProps(p, body.Props, s.parts.Buckets.N(), form)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// changedProps returns p with the properties that changes names, checked
// against n, the number of owners of each key; form tells that they are in Riak's.
// The error is of KindInvalid and names the property.
func changedProps(p kv.Props, changes map[string]json.RawMessage, n int, form bool) (kv.Props, error) {
	var riak pb.Props
	was := p
	for name, raw := range changes {
		taken, err := takeRiak(&riak, name, raw, form)
		if err != nil {
			return kv.Props{}, err
		}
		if taken {
			continue
		}
		switch name {
		case "r":
			p.R, err = propCount(name, raw)
		case "w":
			p.W, err = propCount(name, raw)
		case "dw":
			if p.DW = kv.Unset; string(raw) != "null" {
				p.DW, err = propCount(name, raw)
			}
		case "merge":
			p.Merge, err = propMerge(raw)
		case "ttl":
			p.TTL, err = propTTL(raw)
		case "sla":
			p.SLA, err = changedSLA(p.SLA, raw)
		default:
			err = badProps("there is no property %q; there are r, w, dw, merge, ttl, sla", name)
		}
		if err != nil {
			return kv.Props{}, err
		}
	}
	if p.Merge != was.Merge {
		forgetMerge(&riak, props.Show(was, n))
	}
	p, err := props.Apply(p, riak, n)
	if err != nil {
		return kv.Props{}, err
	}
	return p, kv.Options{R: p.R, W: p.W, DW: p.DW}.Validate(n)
}

// forgetMerge takes Riak's words for the merge rule out of c where they are as they
// were: who sends back what a GET has shown, and changes merge, has not changed them.
func forgetMerge(c *pb.Props, was pb.Props) {
	if c.AllowMult == was.AllowMult {
		c.AllowMult = pb.Unset
	}
	if c.LastWriteWins == was.LastWriteWins {
		c.LastWriteWins = pb.Unset
	}
}

// propCount reads a number of replicas. A null or a negative number is none, so
// that nothing but dw's null becomes kv.Unset.
func propCount(name string, raw json.RawMessage) (int8, error) {
	var v *uint8
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || *v > kv.MaxReplicas {
		return 0, badProps("%s=%s is no number of replicas, which is at most %d", name, raw, kv.MaxReplicas)
	}
	return int8(*v), nil
}

func propMerge(raw json.RawMessage) (kv.Merge, error) {
	var v string
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, badProps("merge=%s is no text", raw)
	}
	return kv.ParseMerge(v)
}

// propTTL reads a time to live in milliseconds, 0 for none.
func propTTL(raw json.RawMessage) (kv.TTL, error) {
	var v *kv.TTL
	if err := json.Unmarshal(raw, &v); err != nil || v == nil || *v < 0 || *v > kv.MaxTTL {
		return 0, badProps("ttl=%s is not within 0 to %d milliseconds", raw, kv.MaxTTL)
	}
	return *v, nil
}

func writeProps(w http.ResponseWriter, name string, p kv.Props, n int) {
	body := propsBody{R: p.R, W: p.W, Merge: p.Merge.String(), TTL: p.TTL, SLA: slaTexts(p.SLA), riakOnly: riakOnlyOf(name, props.Show(p, n))}
	if p.DW != kv.Unset {
		body.DW = &p.DW
	}
	writeJSON(w, http.StatusOK, struct {
		Props propsBody `json:"props"`
	}{body})
}

func badProps(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "set properties", format, args...)
}
