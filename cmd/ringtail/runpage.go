package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// runFlags are those of a command that starts a run at one node.
type runFlags struct {
	addrFlags
	Detach bool          `help:"Start it, show where it stands, and do not wait."`
	Status bool          `help:"Show where it stands, and start nothing."`
	Every  time.Duration `default:"1s" placeholder:"DURATION" help:"How often to show where it stands (1s)."`
}

// runs is the progress of a run, or a page that contains one.
type runs interface {
	httpapi.RunView | httpapi.RepairView
	IsRunning() bool
}

// runPage starts the run of a page, shows its progress until it has ended, and
// then what came of it. It stays with the node that took the first question.
func runPage[V runs](ctx context.Context, s streams, f runFlags, path string, show func(io.Writer, V)) error {
	d, err := f.door()
	if err != nil {
		return err
	}
	if f.Every <= 0 {
		return usagef("--every: %v is not positive", f.Every)
	}
	q := question{method: http.MethodPost, path: path, timeout: pageTimeout}
	if f.Status {
		q.method = http.MethodGet
	}
	var v V
	addr, err := d.first(ctx, q, &v)
	if err != nil {
		return err
	}
	show(s.out, v)
	q.method = http.MethodGet
	for !f.Detach && !f.Status && v.IsRunning() {
		select {
		case <-time.After(f.Every):
		case <-ctx.Done():
			fmt.Fprintln(s.err, "it goes on; see --status")
			return nil
		}
		var next V
		if err := newDoor(addr).page(ctx, q, &next); err != nil {
			return err
		}
		v = next
		show(s.out, v)
	}
	return nil
}

// progress tells where a run stands in a few words.
func progress(what string, v httpapi.RunView) string {
	switch {
	case v.Started.IsZero():
		return what + ": none yet"
	case !v.Running:
		return fmt.Sprintf("%s: done in %s", what, v.Ended.Sub(v.Started).Round(time.Second))
	case v.Total == 0:
		return what + ": begins"
	}
	return fmt.Sprintf("%s: %d of %d (%.0f%%)", what, v.Done, v.Total, 100*float64(v.Done)/float64(v.Total))
}
