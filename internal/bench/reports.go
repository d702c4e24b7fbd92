package bench

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// MaxReports bounds the reports of one file, and maxReportBytes the file.
	MaxReports     = 1000
	maxReportBytes = 1 << 30
)

// WriteReports writes reports as JSON, one a line. The error is w's.
func WriteReports(w io.Writer, reports []Report) error {
	enc := json.NewEncoder(w)
	for _, r := range reports {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// ReadReports reads what WriteReports, or ringtail bench --json, wrote: one report
// at least. An error is of KindInvalid.
func ReadReports(r io.Reader) ([]Report, error) {
	bad := func(format string, args ...any) ([]Report, error) {
		return nil, kv.Errorf(kv.KindInvalid, "read reports", format, args...)
	}
	dec := json.NewDecoder(io.LimitReader(r, maxReportBytes))
	var out []Report
	for {
		var one Report
		err := dec.Decode(&one)
		switch {
		case errors.Is(err, io.EOF) && len(out) > 0:
			return out, nil
		case errors.Is(err, io.EOF):
			return bad("there is none")
		case err != nil:
			return bad("report %d: %w", len(out)+1, err)
		case one.Format == 0:
			return bad("report %d is none of ringtail bench", len(out)+1)
		case one.Format > Format:
			return bad("report %d has format %d, this release reads up to %d", len(out)+1, one.Format, Format)
		case len(out) == MaxReports:
			return bad("there are more than %d", MaxReports)
		}
		if err := one.check(); err != nil {
			return bad("report %d: %w", len(out)+1, err)
		}
		out = append(out, one)
	}
}

// check returns an error for what no run can have told.
func (r *Report) check() error {
	if len(r.Timeline) > MaxIntervals+1 {
		return kv.Errorf(kv.KindTooLarge, "read timeline", "%d steps, the limit is %d", len(r.Timeline), MaxIntervals)
	}
	if len(r.Versions) > kv.MaxSiblings+1 {
		return kv.Errorf(kv.KindTooLarge, "read versions", "%d, the limit is %d", len(r.Versions), kv.MaxSiblings+1)
	}
	for _, k := range r.Kinds {
		if _, err := decode(k.Histogram, longest); err != nil {
			return err
		}
		if k.Service == nil {
			continue
		}
		if _, err := decode(k.Service.Histogram, longest); err != nil {
			return err
		}
	}
	return nil
}

// kind returns what is told of a kind, nil if there was none.
func (r *Report) kind(name string) *KindReport {
	for i := range r.Kinds {
		if r.Kinds[i].Kind == name {
			return &r.Kinds[i]
		}
	}
	return nil
}
