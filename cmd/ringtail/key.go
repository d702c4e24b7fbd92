package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// headerContext carries a key's context, both ways.
const headerContext = "X-Ringtail-Context"

// headerExpires tells when a value is not shown any more.
const headerExpires = "X-Ringtail-Expires"

// raw is an argument of any bytes. The parser would turn those of a string that
// are not UTF-8 into others.
type raw string

// Decode implements kong.MapperValue.
func (r *raw) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("text")
	if err != nil {
		return err
	}
	*r = raw(token.String())
	return nil
}

// keyFlags name a key and say how to ask for it.
type keyFlags struct {
	addrFlags
	Key     raw           `arg:"" help:"The key; any bytes. After -- it may begin with a dash."`
	Bucket  raw           `default:"default" env:"RINGTAIL_BUCKET" help:"The key's bucket (default)." placeholder:"NAME"`
	Strict  bool          `help:"Only owners of the key count, never stand-ins."`
	Timeout time.Duration `help:"How long the node may take (2s)." placeholder:"DURATION"`
	JSON    bool          `name:"json" help:"Print the outcome as JSON."`
}

// updateFlags are what put and delete have in common.
type updateFlags struct {
	keyFlags
	W           *int   `help:"Replicas that must have applied it, 1 to N (the bucket's)." placeholder:"COUNT"`
	DW          *int   `name:"dw" help:"Replicas that must have it on disk, 0 to N (w)." placeholder:"COUNT"`
	ReturnBody  bool   `name:"returnbody" help:"Print what the key then holds."`
	Context     string `help:"What a get said of the values that this one replaces." placeholder:"TEXT"`
	ContextFile string `help:"Read the context from FILE, and write the new one there." placeholder:"FILE"`
}

// question returns the question about the key.
func (f keyFlags) question(method string) (question, error) {
	bucket, key := string(f.Bucket), string(string(f.Key))
	if err := kv.CheckKey(bucket, key); err != nil {
		return question{}, err
	}
	q := question{
		method: method, path: "/buckets/" + escape(bucket) + "/keys/" + escape(key),
		query: url.Values{}, header: http.Header{"Accept": {"application/json"}},
		timeout: kv.DefaultTimeout,
	}
	if f.Strict {
		q.query.Set("strict", "true")
	}
	if f.Timeout != 0 {
		if f.Timeout < kv.MinTimeout || f.Timeout > kv.MaxTimeout {
			return question{}, usagef("--timeout: %v is not within %v to %v", f.Timeout, kv.MinTimeout, kv.MaxTimeout)
		}
		q.timeout = f.Timeout
		q.query.Set("timeout", strconv.FormatInt(f.Timeout.Milliseconds(), 10))
	}
	return q, nil
}

// escape returns s as one step of a path. Dots are escaped where they alone
// would be taken for a step up.
func escape(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}

// setCount sets the query parameter of a number of replicas that was given.
func setCount(q question, name string, count *int) {
	if count != nil {
		q.query.Set(name, strconv.Itoa(*count))
	}
}

// send carries out the put or delete that q describes, with the options and
// the context of f, and shows the outcome.
func (f updateFlags) send(ctx context.Context, s streams, q question) error {
	setCount(q, "w", f.W)
	setCount(q, "dw", f.DW)
	if f.ReturnBody {
		q.query.Set("returnbody", "true")
	}
	seen, err := f.seen()
	if err != nil {
		return err
	}
	if seen != "" {
		q.header.Set(headerContext, seen)
	}
	d, err := f.door()
	if err != nil {
		return err
	}
	a, err := d.ask(ctx, q)
	if err != nil {
		return err
	}
	v, err := a.values()
	if err != nil {
		return err
	}
	if err := keepContext(f.ContextFile, v); err != nil {
		return err
	}
	switch {
	case f.JSON:
		return v.printJSON(s, string(f.Key))
	case f.ReturnBody:
		return v.print(s, string(f.Key))
	}
	return nil
}

// seen returns the context that the command line gives, empty for none.
func (f updateFlags) seen() (string, error) {
	switch {
	case f.ContextFile == "":
		return f.Context, nil
	case f.Context != "":
		return "", usagef("--context: not together with --context-file")
	}
	b, err := os.ReadFile(f.ContextFile)
	if os.IsNotExist(err) {
		return "", nil
	}
	return strings.TrimSpace(string(b)), err
}

// keepContext writes the context of v to the file that was named for it; where
// the answer had none the file becomes empty, lest it be taken for this key's.
func keepContext(file string, v values) error {
	if file == "" {
		return nil
	}
	return os.WriteFile(file, []byte(v.Context+"\n"), 0o644)
}
