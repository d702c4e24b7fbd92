package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"

	"github.com/ringtaildb/ringtail/bench/peers/internal/contest"
)

// The names of the other stores, and of Ringtail's engines in the order in which
// they are measured.
var (
	otherStores = []string{"redis", "nats", "etcd"}
	allEngines  = []string{"logstore", "memory", "pebble"}
)

// maxConns bounds the connections to each node.
const maxConns = client.MaxConns

// options are the flags.
type options struct {
	contest.Config
	// engines is empty for a choice by what ringtail has.
	engines, stores, contests []string
	firstPort, lastPort       int
	conns                     int
	variants                  bool
	dir, json, doc            string
}

// texts are flags that are read further.
type texts struct{ engines, stores, contests, ports, dist string }

// define has the flags set o and t.
func define(f *flag.FlagSet, o *options, t *texts) {
	f.IntVar(&o.Rounds, "rounds", 3, "`rounds`, in each of which every store is measured once")
	f.IntVar(&o.Callers, "callers", 64, "`callers` that each wait for their answer")
	f.IntVar(&o.Keys, "keys", 100_000, "how many `keys`")
	f.IntVar(&o.ValueBytes, "value-size", 1024, "size of each value in `bytes`")
	f.StringVar(&t.dist, "dist", string(bench.Uniform), "how often each key is used: uniform or zipfian")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how `long` each measurement is")
	f.DurationVar(&o.WarmUp, "warmup", time.Second, "how `long` the load runs before it")
	f.StringVar(&t.engines, "engines", "", "Ringtail's engines, a `list` (pebble, and logstore, or memory while there is none)")
	f.StringVar(&t.stores, "stores", strings.Join(otherStores, ","), "the others, a `list`")
	f.StringVar(&t.contests, "contests", "", "a `list` of put-buffered, put-durable, get, a-buffered, a-durable (all)")
	f.IntVar(&o.conns, "conns", 0, "`connections` to each node, 0 for each store's best")
	f.BoolVar(&o.variants, "variants", false, "measure other ways to use Redis too")
	f.StringVar(&t.ports, "ports", "21000-21999", "`range` in which to look for free ports")
	f.StringVar(&o.dir, "dir", "", "`directory` in which to make a temporary one for all data (the system's)")
	f.StringVar(&o.json, "json", "peers.json", "`file` for the figures as JSON, empty for none")
	f.StringVar(&o.doc, "doc", "", "`document` whose figures to replace by these")
}

// parse reads the flags. What is wrong with them, and the help, goes to w.
func parse(args []string, w io.Writer) (options, error) {
	var o options
	var t texts
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(w)
	define(f, &o, &t)
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.Distribution = bench.Distribution(t.dist)
	o.engines, o.stores, o.contests = list(t.engines), list(t.stores), list(t.contests)
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	if n, err := fmt.Sscanf(t.ports, "%d-%d", &o.firstPort, &o.lastPort); n != 2 || err != nil {
		return o, fmt.Errorf("-ports: %q is not like 21000-21999", t.ports)
	}
	if o.conns < 0 || o.conns > maxConns {
		return o, fmt.Errorf("-conns: %d is not within 0 to %d", o.conns, maxConns)
	}
	if err := known("-engines", o.engines, allEngines); err != nil {
		return o, err
	}
	if err := known("-stores", o.stores, otherStores); err != nil {
		return o, err
	}
	return o, o.Validate()
}

// list takes a list of words apart.
func list(text string) []string {
	var words []string
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// known returns an error for a word that is not among those that a flag may have,
// or stands there twice.
func known(name string, words, among []string) error {
	for i, w := range words {
		if !slices.Contains(among, w) {
			return fmt.Errorf("%s: %q is none of %s", name, w, strings.Join(among, ", "))
		}
		if slices.Contains(words[:i], w) {
			return fmt.Errorf("%s: %s stands there twice", name, w)
		}
	}
	return nil
}

// plan returns the contests that were asked for.
func (o options) plan() ([]contest.Contest, error) {
	others := map[string]bool{}
	for _, s := range o.stores {
		others[s] = true
	}
	all := contest.Plan(o.engines, others, o.variants)
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
	}
	if err := known("-contests", o.contests, ids); err != nil {
		return nil, err
	}
	if len(o.contests) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(all, func(c contest.Contest) bool { return !slices.Contains(o.contests, c.ID) }), nil
}
