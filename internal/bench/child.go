package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// maxOrder bounds a line that a process of the load is told.
const maxOrder = 1 << 20

// Part makes the part of a load that it is told of at in, for RunProcesses, and
// tells what came of it at out. When in ends, the load does. The error is out's:
// all others are told there.
func Part(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &teller{enc: json.NewEncoder(out)}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4<<10), maxOrder)
	if err := t.part(ctx, lines, cancel); err != nil {
		return t.tell(message{Error: err.Error(), Kind: kindOf(err)})
	}
	return nil
}

func kindOf(err error) client.Kind {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return client.Kind(kv.KindOf(err).String())
}

// teller writes messages. Safe for concurrent use.
type teller struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (t *teller) tell(m message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.enc.Encode(m)
}

// Write implements io.Writer: it tells a line of progress.
func (t *teller) Write(line []byte) (int, error) {
	return len(line), t.tell(message{Text: string(line)})
}

func (t *teller) part(ctx context.Context, lines *bufio.Scanner, cancel func()) error {
	var cfg Config
	if err := order(lines, &cfg); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	stores, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer stores.close()
	cfg.Probe = stores.probe
	b := newBench(cfg, stores.load)

	// The next order is the start; whatever follows it is the end.
	starts := make(chan start, 1)
	go func() {
		defer cancel()
		var s start
		if order(lines, &s) == nil {
			starts <- s
			lines.Scan()
		}
	}()
	if err := b.prepare(ctx, t); err != nil {
		return err
	}
	if err := t.tell(message{Ready: true}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return kv.Wrap(kv.KindTimeout, "wait for the start", ctx.Err())
	case s := <-starts:
		return t.load(ctx, b, s)
	}
}

func (t *teller) load(ctx context.Context, b *bench, s start) error {
	began := time.Now().Add(time.Until(time.Unix(0, s.Began)))
	printing, stop := context.WithCancel(ctx)
	var printer sync.WaitGroup
	printer.Go(func() { t.progress(printing, b, began) })
	p, err := b.load(ctx, began)
	stop()
	printer.Wait()
	if err != nil {
		return err
	}
	return t.tell(message{Part: &p})
}

// progress tells what was done in each second.
func (t *teller) progress(ctx context.Context, b *bench, began time.Time) {
	pause(ctx, time.Until(began))
	last := b.moment(began)
	every(ctx, progressEvery, func(now time.Time) {
		m := b.moment(now)
		s := between(last, m)
		_ = t.tell(message{Second: &s}) // nobody listens any more: the end of the input tells that
		last = m
	})
}

// order reads a line into v.
func order(lines *bufio.Scanner, v any) error {
	const op = "read orders"
	if !lines.Scan() {
		return kv.Errorf(kv.KindInvalid, op, "there are no more: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), v); err != nil {
		return kv.Wrap(kv.KindInvalid, op, err)
	}
	return nil
}
