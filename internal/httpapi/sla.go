package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Contract is the SLA to which the cluster is held.
type Contract interface {
	// SLA returns the cluster's, and SLAs those of buckets that have their own.
	SLA() kv.SLA
	SLAs() map[string]kv.SLA
	// SetSLA changes what is set for the cluster, where an objective that is none
	// stands for the default. An error of change is returned as it is.
	SetSLA(ctx context.Context, change func(kv.SLA) (kv.SLA, error)) error
}

// SLAView is the page /cluster/sla.
type SLAView struct {
	SLA SLATexts `json:"sla"`
	// Buckets are those that have an SLA of their own.
	Buckets map[string]*SLATexts `json:"buckets"`
}

// SLATexts is an SLA, each objective as "99.9% < 300ms", nil for none.
type SLATexts struct {
	Get *string `json:"get"`
	Put *string `json:"put"`
}

// slaTexts returns nil for no SLA.
func slaTexts(s kv.SLA) *SLATexts {
	if s == (kv.SLA{}) {
		return nil
	}
	text := func(o kv.Objective) *string {
		if o == (kv.Objective{}) {
			return nil
		}
		return new(o.String())
	}
	return &SLATexts{Get: text(s.Get), Put: text(s.Put)}
}

func (s *Server) getSLA(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	view := SLAView{SLA: *slaTexts(s.parts.Contract.SLA()), Buckets: map[string]*SLATexts{}}
	for name, sla := range s.parts.Contract.SLAs() {
		if texts := slaTexts(sla); texts != nil {
			view.Buckets[kv.BucketText(name)] = texts
		}
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// putSLA changes the objectives that the body names.
func (s *Server) putSLA(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body struct {
		SLA json.RawMessage `json:"sla"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.SLA == nil {
		return kv.Errorf(kv.KindInvalid, "set SLA", `the body has no sla: {"sla":"99.9%% of puts < 300ms"}`)
	}
	err := s.parts.Contract.SetSLA(r.Context(), func(was kv.SLA) (kv.SLA, error) { return changedSLA(was, body.SLA) })
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// changedSLA returns was with the objectives that raw names: a text such as
// "99.9% of puts < 300ms", or {"put":"99.9% < 300ms"}, where null takes one away;
// null alone takes both away.
func changedSLA(was kv.SLA, raw json.RawMessage) (kv.SLA, error) {
	if string(raw) == "null" {
		return kv.SLA{}, nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		given, err := kv.ParseSLA(text)
		return given.Or(was), err
	}
	var given struct{ Get, Put json.RawMessage }
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&given); err != nil {
		return was, kv.Errorf(kv.KindInvalid, "set SLA", `sla=%s is neither a text such as "99.9%% of puts < 300ms" nor an object with get and put`, raw)
	}
	for _, c := range []struct {
		raw json.RawMessage
		to  *kv.Objective
	}{{given.Get, &was.Get}, {given.Put, &was.Put}} {
		if c.raw == nil {
			continue
		}
		var text *string
		if err := json.Unmarshal(c.raw, &text); err != nil {
			return was, kv.Errorf(kv.KindInvalid, "set SLA", "%s is no text", c.raw)
		}
		*c.to = kv.Objective{}
		if text == nil {
			continue
		}
		var err error
		if *c.to, err = kv.ParseObjective(*text); err != nil {
			return was, err
		}
	}
	return was, nil
}
