package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/ringtaildb/ringtail/bench/peers/internal/contest"
	"github.com/ringtaildb/ringtail/bench/peers/internal/fleet"
	"github.com/ringtaildb/ringtail/bench/peers/internal/store"
)

// run does everything, and leaves nothing behind but the files that it was asked
// for. Tables go to out, progress to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "ringtail-peers-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ports, err := fleet.NewPorts(o.firstPort, o.lastPort)
	if err != nil {
		return err
	}
	all, err := o.build(ctx, store.Env{Dir: dir, Ports: ports, Conns: o.conns}, progress)
	if err != nil {
		return err
	}
	contests, err := o.plan()
	if err != nil {
		return err
	}
	report, err := o.measure(ctx, dir, contests, used(all, contests), progress)
	if err != nil {
		return err
	}
	report.Command = strings.Join(append([]string{"go run ."}, args...), " ")
	return o.write(report, out)
}

// build finds or builds the servers, decides on Ringtail's engines, and returns
// all stores, none of them started.
func (o *options) build(ctx context.Context, env store.Env, progress io.Writer) ([]store.Store, error) {
	bin := filepath.Join(env.Dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "build the servers")
	var all []store.Store
	for _, name := range o.stores {
		stores, err := buildPeer(ctx, env, bin, name)
		if err != nil {
			return nil, err
		}
		all = append(all, stores...)
	}
	p, err := store.Ringtail(ctx, bin)
	if err != nil {
		return nil, err
	}
	o.chooseEngines(p)
	if missing := len(o.engines) - len(p.Engines(o.engines...)); missing > 0 {
		return nil, fmt.Errorf("-engines: this ringtail has not all of %s", strings.Join(o.engines, ", "))
	}
	for _, e := range o.engines {
		all = append(all, store.NewRingtail(env, p, e))
	}
	return all, nil
}

// chooseEngines takes those that can be chosen between for data that lasts; while
// there is only one, what memory does beside it.
func (o *options) chooseEngines(p store.Program) {
	if len(o.engines) > 0 {
		return
	}
	if o.engines = p.Engines("logstore", "pebble"); len(o.engines) == 1 {
		o.engines = p.Engines("memory", "pebble")
	}
}

func buildPeer(ctx context.Context, env store.Env, bin, name string) ([]store.Store, error) {
	switch name {
	case "redis":
		p, err := store.Redis(ctx)
		return []store.Store{store.NewRedis(env, p, false), store.NewRedis(env, p, true)}, err
	case "nats":
		p, err := store.NATS(ctx, bin)
		return []store.Store{store.NewJetStream(env, p, false), store.NewJetStream(env, p, true)}, err
	default:
		p, err := store.Etcd(ctx, bin)
		return []store.Store{store.NewEtcd(env, p)}, err
	}
}

// used returns the stores that the contests need.
func used(all []store.Store, contests []contest.Contest) []store.Store {
	need := map[string]bool{}
	for _, c := range contests {
		for _, row := range c.Rows {
			need[row.Store] = true
		}
	}
	var out []store.Store
	for _, s := range all {
		if need[s.Name()] {
			out = append(out, s)
		}
	}
	return out
}

// measure runs the contests and stops the stores, whatever happens.
func (o *options) measure(ctx context.Context, dir string, contests []contest.Contest, stores []store.Store, progress io.Writer) (r contest.Report, err error) {
	if r.Machine, err = contest.Look(dir); err != nil {
		return r, err
	}
	r.Load = o.Load()
	for _, s := range stores {
		r.Stores = append(r.Stores, [2]string{s.Name(), s.Version()})
	}
	defer func() { err = errors.Join(err, stop(stores)) }()
	runner := contest.Runner{Config: o.Config, Stores: stores, Dir: dir, Out: progress}
	r.Results, err = runner.Run(ctx, contests)
	r.Machine.LoadAfter = contest.LoadAverage()
	return r, err
}

// stop stops all stores that were started, side by side.
func stop(stores []store.Store) error {
	errs := make([]error, len(stores))
	var all sync.WaitGroup
	for i, s := range stores {
		if g := s.Group(); g != nil {
			all.Go(func() { errs[i] = g.Stop() })
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// write writes the report wherever it was asked for.
func (o *options) write(r contest.Report, out io.Writer) error {
	text := r.Markdown()
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if o.json != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(o.json, append(b, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.doc != "" {
		return contest.WriteInto(o.doc, text)
	}
	return nil
}
