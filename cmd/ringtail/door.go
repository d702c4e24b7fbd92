package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// maxAnswer bounds an answer, in bytes: all siblings of a key in base64.
	maxAnswer = 2 * kv.MaxMessage
	// dialTimeout bounds the time that an address has to take a connection.
	dialTimeout = 2 * time.Second
	// grace is what an answer may take beyond the time that the node was given.
	grace = 3 * time.Second
)

// addrFlags say which nodes to ask.
type addrFlags struct {
	Addr []string `default:"127.0.0.1:7400" env:"RINGTAIL_ADDR" placeholder:"HOST:PORT" help:"HTTP addresses of nodes, asked in turn until one answers (127.0.0.1:7400)."`
}

// door returns what reaches those nodes, or an error of usage.
func (f addrFlags) door() (door, error) {
	for _, a := range f.Addr {
		if err := checkAddr(a); err != nil {
			return door{}, usagef("--addr: %w", err)
		}
	}
	if len(f.Addr) == 0 {
		return door{}, usagef("--addr: there is no address")
	}
	return newDoor(f.Addr...), nil
}

// checkAddr returns an error unless a is a host and a port to connect to.
func checkAddr(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil || host == "" || port == "" || port == "0" {
		return fmt.Errorf("%q is not host:port", a)
	}
	return nil
}

// door asks the HTTP doors of a cluster's nodes. It is safe for concurrent use.
type door struct {
	addrs  []string
	client *http.Client
}

func newDoor(addrs ...string) door {
	return door{addrs: addrs, client: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext,
			// Few questions are asked, with pauses between them.
			DisableKeepAlives: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// question is a request to whichever node answers.
type question struct {
	method string
	// path is escaped; query is what follows it.
	path   string
	query  url.Values
	header http.Header
	body   []byte
	// timeout is the time that the node is given; the answer may take a little
	// longer.
	timeout time.Duration
}

// answer is what a node said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// answerError is an error that a node answered, or the lack of an answer.
type answerError struct {
	kind    kv.Kind
	applied string
	message string
}

// Error implements error.
func (e *answerError) Error() string {
	return fmt.Sprintf("%s (kind: %v, applied: %s)", e.message, e.kind, e.applied)
}

// ask returns the first answer that it gets. A write goes to the next address
// only when it certainly did not reach the one before: put twice, it would
// become its own sibling.
func (d door) ask(ctx context.Context, q question) (answer, error) {
	var failed []error
	for _, addr := range d.addrs {
		a, err := d.askOne(ctx, addr, q)
		if err == nil {
			return a, a.err()
		}
		failed = append(failed, err)
		if ctx.Err() != nil || q.writes() && !neverSent(err) {
			break
		}
	}
	return answer{}, noAnswer(q, failed)
}

// first asks q of each address in turn until one answers, reads the answer into
// v, and returns that address.
func (d door) first(ctx context.Context, q question, v any) (string, error) {
	var err error
	for _, addr := range d.addrs {
		if err = newDoor(addr).page(ctx, q, v); err == nil {
			return addr, nil
		}
		if told, ok := errors.AsType[*answerError](err); ok && told.kind != kv.KindUnavailable && told.kind != kv.KindTimeout {
			break
		}
	}
	return "", err
}

// noAnswer returns the error for a question whose every attempt failed.
func noAnswer(q question, failed []error) *answerError {
	var texts []string
	for _, err := range failed {
		texts = append(texts, err.Error())
	}
	e := &answerError{kind: kv.KindUnavailable, applied: kv.AppliedNo.String(), message: strings.Join(texts, "; ")}
	last := failed[len(failed)-1]
	if q.writes() && !neverSent(last) {
		e.applied = kv.AppliedUnknown.String()
	}
	if errors.Is(last, context.DeadlineExceeded) {
		e.kind = kv.KindTimeout
	}
	return e
}

func (q question) writes() bool { return q.method != http.MethodGet }

// neverSent tells whether err came before anything was sent.
func neverSent(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}

// askOne asks the node at addr. Any answer is no error.
func (d door) askOne(ctx context.Context, addr string, q question) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout+grace)
	defer cancel()
	target := "http://" + addr + q.path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, q.method, target, bytes.NewReader(q.body))
	if err != nil {
		return answer{}, err
	}
	for name, v := range q.header {
		r.Header[name] = v
	}
	resp, err := d.client.Do(r)
	if err != nil {
		return answer{}, plainly(addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, plainly(addr, err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// plainly returns err without the URL, which repeats the key in its escapes.
func plainly(addr string, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	switch {
	case neverSent(err):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s gave no answer in time: %w", addr, context.DeadlineExceeded)
	}
	return fmt.Errorf("%s: %w", addr, err)
}

// err returns the error that the node answered with, nil when it did what it
// was asked.
func (a answer) err() error {
	if a.status < http.StatusBadRequest {
		return nil
	}
	var body struct {
		Error struct{ Kind, Message, Applied string }
	}
	if err := json.Unmarshal(a.body, &body); err != nil || body.Error.Message == "" {
		return &answerError{
			kind: kv.KindInternal, applied: kv.AppliedUnknown.String(),
			message: fmt.Sprintf("HTTP status %d, and no error of Ringtail's; is this a node's HTTP address?", a.status),
		}
	}
	e := body.Error
	return &answerError{kind: parseKind(e.Kind), applied: e.Applied, message: e.Message}
}

// parseKind returns the kind of that name, KindInternal for one that this
// release does not know.
func parseKind(name string) kv.Kind {
	for k := range kv.NumKinds {
		if k.String() == name {
			return k
		}
	}
	return kv.KindInternal
}

// get reads the page at path into v.
func (d door) get(ctx context.Context, path string, v any) error {
	return d.page(ctx, question{method: http.MethodGet, path: path, timeout: pageTimeout}, v)
}

// pageTimeout bounds a page about the cluster, and a change of it.
const pageTimeout = 20 * time.Second

// page asks q, whose answer is JSON, and reads it into v.
func (d door) page(ctx context.Context, q question, v any) error {
	a, err := d.ask(ctx, q)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return kv.Wrap(kv.KindWrongVersion, "read the answer to "+q.method+" "+q.path, err)
	}
	return nil
}
